"""Files of bots: bytes that they gave us, and how far each upload is.

Revision id: 0007, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("connection", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("media_type", sa.String, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "uploads",
        sa.Column("delivery_id", sa.BigInteger, primary_key=True),
        sa.Column("file_id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("by_relay", sa.Integer, nullable=False),
        sa.Column("message_id", sa.String, nullable=False),
    )
    op.create_index("ix_uploads_message", "uploads", ["message_id"])
