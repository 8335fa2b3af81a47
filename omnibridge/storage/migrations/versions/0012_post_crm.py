"""What systems of records hold of conversations.

Revision id: 0012, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crm_records",
        sa.Column("conversation_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("crm", sa.String, primary_key=True),
        sa.Column("what", sa.String, primary_key=True),
        sa.Column("object", sa.String, nullable=False),
        sa.Column("record_id", sa.String, nullable=False),
        sa.Column("made", sa.Integer, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("visitor", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_crm_records_visitor", "crm_records", ["visitor"])
