"""Bots that poll or are called: their tokens, chats, messages and queued updates.

Revision id: 0006, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bots",
        sa.Column("connection", sa.String, primary_key=True),
        sa.Column("bot_id", sa.BigInteger, nullable=False, unique=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("paused", sa.Integer, nullable=False),
        sa.Column("last_update_id", sa.BigInteger, nullable=False),
        sa.Column("webhook_url", sa.String, nullable=False),
        sa.Column("webhook_secret", sa.String, nullable=False),
        sa.Column("max_connections", sa.Integer, nullable=False),
        sa.Column("allowed_updates", sa.String, nullable=False),
        sa.Column("last_error_at", sa.BigInteger),
        sa.Column("last_error", sa.String, nullable=False),
    )
    op.create_table(
        "bot_chats",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("connection", sa.String, nullable=False),
        sa.Column("session", sa.String, nullable=False),
        sa.Column("first_name", sa.String, nullable=False),
        sa.Column("last_message_id", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("connection", "session", name="ux_bot_chats_session"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "bot_messages",
        sa.Column("chat_id", sa.Integer, primary_key=True),
        sa.Column("message_id", sa.Integer, primary_key=True),
        sa.Column("observation_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bot_updates",
        sa.Column("connection", sa.String, primary_key=True),
        sa.Column("update_id", sa.BigInteger, primary_key=True),
        sa.Column("chat_id", sa.Integer, nullable=False),
        sa.Column("dedupe", sa.String, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("connection", "dedupe", name="ux_bot_updates_dedupe"),
    )
    op.create_index(
        "ix_bot_updates_waiting",
        "bot_updates",
        ["connection", "update_id"],
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )
    op.create_index("ix_bot_updates_created", "bot_updates", ["created_at"])
