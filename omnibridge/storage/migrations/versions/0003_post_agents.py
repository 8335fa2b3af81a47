"""People of external systems: directory, personas, proxies, audit of created users, approvals, tokens.

Revision id: 0003, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("workspace", sa.String, nullable=False),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("user_id", sa.String),
        sa.Column("username", sa.String, nullable=False),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("departments", sa.String, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("presence", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("workspace", "system", "external_id", name="ux_agents_external"),
    )
    where = sa.text("user_id IS NOT NULL")
    op.create_index(
        "ux_agents_user",
        "agents",
        ["workspace", "system", "user_id"],
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_index("ix_agents_user", "agents", ["workspace", "user_id"])
    op.create_table(
        "personas",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("system", sa.String, primary_key=True),
        sa.Column("external_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("avatar_url", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "proxies",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("username", sa.String, nullable=False),
        sa.Column("pooled", sa.Integer, nullable=False),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("shown_name", sa.String, nullable=False),
        sa.Column("shown_avatar", sa.String, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("serving", sa.Integer, nullable=False),
        sa.Column("hold_until", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "creations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("workspace", sa.String, nullable=False),
        sa.Column("username", sa.String, nullable=False),
        sa.Column("user_id", sa.String),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reserved_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("released_at", sa.BigInteger),
        sa.UniqueConstraint("workspace", "username", name="ux_creations_username"),
    )
    op.create_index("ix_creations_reserved", "creations", ["workspace", "reserved_at"])
    op.create_index("ix_creations_user", "creations", ["workspace", "user_id"])
    op.create_table(
        "approvals",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("system", sa.String, primary_key=True),
        sa.Column("external_id", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("decided_by", sa.String, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
    )
    op.create_table(
        "tokens",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("username", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("password", sa.String, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("claim", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("username", sa.String, nullable=False),
        sa.Column("confirmed", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "hub_users",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("username", sa.String, nullable=False),
        sa.Column("roles", sa.String, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_hub_users_username", "hub_users", ["workspace", "username"])
    op.create_table(
        "agent_audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("workspace", sa.String, nullable=False),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
    op.create_index("ix_agent_audit_at", "agent_audit", ["workspace", "at"])
