"""People of external systems, and the users that we made for them: tables of `directory.py` and `seats.py`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint

from omnibridge.storage.tables import metadata, where

agents = Table(
    "agents",
    metadata,
    # The directory: one row for each external id, whether it has a user on the hub or not.
    Column("id", Integer, primary_key=True),
    Column("workspace", String, nullable=False),
    Column("system", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("user_id", String),  # NULL: no user of its own
    Column("username", String, nullable=False),
    Column("mode", String, nullable=False),  # '' = as configured; mapped, provisioned, pooled, shared
    Column("step", String, nullable=False),  # '' nothing made; reserved, created, tokened, ready; conflict
    Column("departments", String, nullable=False),  # JSON list of ids or names
    Column("capacity", Integer, nullable=False),  # 0 = not said
    Column("presence", String, nullable=False),  # '', available, not-available: as the external system last said
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("workspace", "system", "external_id", name="ux_agents_external"),
)
Index(
    "ux_agents_user",
    agents.c.workspace,
    agents.c.system,
    agents.c.user_id,
    unique=True,
    **where("user_id IS NOT NULL"),
)
Index("ix_agents_user", agents.c.workspace, agents.c.user_id)

personas = Table(
    "personas",
    metadata,
    # What the visitor sees of an external agent; the last that its system said.
    Column("workspace", String, primary_key=True),
    Column("system", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("avatar_url", String, nullable=False),
    Column("language", String, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

proxies = Table(
    "proxies",
    metadata,
    # Users that we made, and what they show. A user of one external agent carries that agent's persona for ever.
    Column("workspace", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("username", String, nullable=False),
    Column("pooled", Integer, nullable=False),  # 1 = may carry another persona
    Column("system", String, nullable=False),  # of the persona that it carries, '' = none yet
    Column("external_id", String, nullable=False),
    Column("shown_name", String, nullable=False),  # as the hub has it
    Column("shown_avatar", String, nullable=False),  # digest of the picture, '' = none
    Column("active", Integer, nullable=False),
    Column("serving", Integer, nullable=False),  # 1 = holds livechat-agent by our doing
    Column("hold_until", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),  # a widget may show it from its cache for a while after this
)

creations = Table(
    "creations",
    metadata,
    # The audit of users that we made, and what the seat budget counts. Written before the hub is asked.
    Column("id", Integer, primary_key=True),
    Column("workspace", String, nullable=False),
    Column("username", String, nullable=False),
    Column("user_id", String),
    Column("system", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("attempts", Integer, nullable=False),  # 0: a user of this name that is there is not ours
    Column("reserved_at", BigInteger, nullable=False),
    Column("created_at", BigInteger),
    Column("released_at", BigInteger),  # the seat is free again: the user was never made, or is gone
    UniqueConstraint("workspace", "username", name="ux_creations_username"),
)
Index("ix_creations_reserved", creations.c.workspace, creations.c.reserved_at)
Index("ix_creations_user", creations.c.workspace, creations.c.user_id)

approvals = Table(
    "approvals",
    metadata,
    Column("workspace", String, primary_key=True),
    Column("system", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    Column("state", String, nullable=False),  # waiting, approved, refused
    Column("cause", String, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("decided_at", BigInteger),
)

tokens = Table(
    "tokens",
    metadata,
    # How we act as a user that we made; encrypted, the name of the key in front.
    Column("workspace", String, primary_key=True),
    Column("username", String, primary_key=True),
    Column("user_id", String, nullable=False),
    Column("password", String, nullable=False),
    Column("token", String, nullable=False),  # '' = not logged in yet
    Column("issued_at", BigInteger, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    # Users of the hub who say that they are an external agent. Anybody can write that into his own fields.
    Column("workspace", String, primary_key=True),
    Column("claim", String, primary_key=True),  # SYSTEM:ID, or what is written there
    Column("user_id", String, primary_key=True),
    Column("username", String, nullable=False),
    Column("confirmed", Integer, nullable=False),  # 1 = an admin said that it is so
    Column("seen_at", BigInteger, nullable=False),
)

hub_users = Table(
    "hub_users",
    metadata,
    # What the last full `agents sync` saw.
    Column("workspace", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("username", String, nullable=False),
    Column("roles", String, nullable=False),  # JSON list
    Column("active", Integer, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)
Index("ix_hub_users_username", hub_users.c.workspace, hub_users.c.username)

agent_audit = Table(
    "agent_audit",
    metadata,
    # Who did what to whom, and why. Appended only.
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("workspace", String, nullable=False),
    Column("system", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("action", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("detail", String, nullable=False),
)
Index("ix_agent_audit_at", agent_audit.c.workspace, agent_audit.c.at)
