"""The tables of the relay itself, and what their columns mean. Times are milliseconds since the epoch, UTC.

The journal (observations, events with their decisions) and the outbox (deliveries) are the only truth; everything
in memory can be rebuilt from them. Ids are made by us and grow with time (milliseconds << 20), so rows of
one unit can refer to each other before they are written, and the rows of a conversation are found in the
range of ids of its life. Each further index would cost a page of the log for each message.

Other topics have their tables beside what is done with them; `schema.py` knows all.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData()

PENDING, HANDLED, SKIPPED, QUARANTINED = 0, 1, 2, 3
"""observations.state: to do; acted on; recorded, nothing follows; cannot be read (again after an upgrade)."""

DUE, DONE, REFUSED, BURIED = 0, 1, 2, 3
"""deliveries.state: to be sent; settled; not sent, because control had changed; given up."""


def where(condition: str) -> dict[str, Any]:
    """Of an index over a part of the rows, as `Index` takes it."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


observations = Table(
    "observations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("workspace", String, nullable=False),
    Column("room", String, nullable=False),  # '' when the observation belongs to no room
    Column("source", String, nullable=False),  # webhook, ddp, hub-read, callback, engine
    Column("kind", String, nullable=False),  # the vendor's type, or the event's class for the engine's own
    Column("dedupe", String),  # set when the same thing must be journalled at most once
    Column("received_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # raw bytes as they came
    Column("state", Integer, nullable=False, default=PENDING),
    Column("note", String, nullable=False, default=""),
)
Index(
    "ix_observations_pending",
    observations.c.workspace,
    observations.c.room,
    observations.c.id,
    **where("state = 0"),
)
Index(
    "ux_observations_dedupe",
    observations.c.dedupe,
    unique=True,
    **where("dedupe IS NOT NULL"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("workspace", String, nullable=False),
    Column("room", String, nullable=False),
    Column("version", Integer, nullable=False),  # raised by each save; guards against two writers
    Column("closed", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),  # domain Conversation as JSON
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("workspace", "room", name="ux_conversations_room"),
)

Index(
    "ix_conversations_open",
    conversations.c.id,
    **where("closed = 0"),
)

events = Table(
    "events",
    metadata,
    # What happened, and what was decided on it: there is exactly one decision for each event.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("conversation_id", BigInteger, nullable=False),
    Column("observation_id", BigInteger, nullable=False),  # no row of this id: the engine told it to an idle lane
    Column("key", String, nullable=False),  # one event however often it is reported; '#' + id = a change of state
    Column("kind", String, nullable=False),
    Column("data", LargeBinary, nullable=False),  # domain Event as JSON
    Column("at", BigInteger, nullable=False),  # the `now` that the router was given: receipt of the observation
    Column("rules_hash", String, nullable=False),
    Column("directory_hash", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("decision", LargeBinary, nullable=False),  # StoredDecision as JSON: of the next state what changed
)
# The one index finds an event by its key, and all events of a conversation.
Index("ux_events_key", events.c.conversation_id, events.c.key, unique=True)

snapshots = Table(
    "snapshots",
    metadata,
    Column("hash", String, primary_key=True),
    Column("kind", String, nullable=False),  # rules, directory
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("conversation_id", BigInteger, nullable=False),
    Column("event_id", BigInteger, nullable=False),  # whose decision asked for it; 0 = none
    Column("stream", String, nullable=False),  # (conversation, stream): one row in flight, lowest id first
    Column("command", String, nullable=False),
    Column("connection", String, nullable=False),  # whose backend, or whose bot user posts; '' = relay account
    Column("epoch", Integer),  # control epoch it was decided in; NULL = sent whoever is in control
    Column("external_id", String),  # id that the other side will know it by
    Column("body", LargeBinary, nullable=False),
    Column("state", Integer, nullable=False, default=DUE),
    Column("attempts", Integer, nullable=False, default=0),
    Column("uncertain", Integer, nullable=False, default=0),  # attempts of which the outcome was unknown
    Column("code", String, nullable=False, default=""),  # last error, or why it was refused or buried
    Column("boot", String, nullable=False),  # process that wrote it; another one's may have been sent already
    Column("next_attempt_at", BigInteger, nullable=False, default=0),
    Column("deadline_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
)
Index(
    "ix_deliveries_due",
    deliveries.c.conversation_id,
    deliveries.c.stream,
    deliveries.c.id,
    **where("state = 0"),
)

instance = Table(
    "instance",
    metadata,
    Column("name", String, primary_key=True),  # secret: key of the ids that we give to messages
    Column("value", String, nullable=False),
)
