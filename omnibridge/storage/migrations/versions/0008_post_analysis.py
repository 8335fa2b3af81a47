"""What analysers found, which messages changed since, and which transcripts were handed over.

Revision id: 0008, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "findings",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("room", sa.String, primary_key=True),
        sa.Column("message_id", sa.String, primary_key=True),
        sa.Column("analyser", sa.String, primary_key=True),
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("items", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_findings_expires", "findings", ["expires_at"])
    op.create_table(
        "message_changes",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("room", sa.String, primary_key=True),
        sa.Column("message_id", sa.String, primary_key=True),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_message_changes_at", "message_changes", ["at"])
    op.create_table(
        "transcripts",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("room", sa.String, primary_key=True),
        sa.Column("analyser", sa.String, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
