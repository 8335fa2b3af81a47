"""Tokens for callers of the API, and what they asked for.

Revision id: 0004, additive: a process of the version before works beside it. It stands on 0002 alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("workspace", sa.String, nullable=False),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_table(
        "api_audit",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("workspace", sa.String, nullable=False),
        sa.Column("room", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
