"""Questions that routing systems are asked, and decisions made for work that waits in them.

Revision id: 0014, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "routing_questions",
        sa.Column("ticket", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("router", sa.String, nullable=False),
        sa.Column("conversation_id", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("question", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("agent", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_routing_questions_conversation", "routing_questions", ["conversation_id"])
    op.create_table(
        "routed_work",
        sa.Column("router", sa.String, primary_key=True),
        sa.Column("work", sa.String, primary_key=True),
        sa.Column("serial", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("agent", sa.String, nullable=False),
        sa.Column("push", sa.String, nullable=False),
        sa.Column("refused", sa.String, nullable=False),
        sa.Column("decision", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_routed_work_at", "routed_work", ["at"])
