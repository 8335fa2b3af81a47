"""The spine: journal, conversations, outbox.

Revision id: 0002; databases of 0001, from before the first release, cannot be brought here.
`pre` migrations let old code run beside the new schema, `post` ones clean up.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "observations",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("workspace", sa.String, nullable=False),
        sa.Column("room", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("dedupe", sa.String),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("note", sa.String, nullable=False),
    )
    _partial("ix_observations_pending", "observations", ["workspace", "room", "id"], "state = 0")
    _partial("ux_observations_dedupe", "observations", ["dedupe"], "dedupe IS NOT NULL", unique=True)
    op.create_table(
        "conversations",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("workspace", sa.String, nullable=False),
        sa.Column("room", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("closed", sa.Integer, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("workspace", "room", name="ux_conversations_room"),
    )
    _partial("ix_conversations_open", "conversations", ["id"], "closed = 0")
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("conversation_id", sa.BigInteger, nullable=False),
        sa.Column("observation_id", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("rules_hash", sa.String, nullable=False),
        sa.Column("directory_hash", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("decision", sa.LargeBinary, nullable=False),
    )
    op.create_index("ux_events_key", "events", ["conversation_id", "key"], unique=True)
    op.create_table(
        "snapshots",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("conversation_id", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("command", sa.String, nullable=False),
        sa.Column("connection", sa.String, nullable=False),
        sa.Column("epoch", sa.Integer),
        sa.Column("external_id", sa.String),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("uncertain", sa.Integer, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger, nullable=False),
        sa.Column("deadline_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
    )
    _partial("ix_deliveries_due", "deliveries", ["conversation_id", "stream", "id"], "state = 0")
    op.create_table(
        "instance",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
