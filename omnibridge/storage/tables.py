"""Every table, and what its columns mean. Times are milliseconds since the epoch, UTC.

The journal (observations, events with their decisions) and the outbox (deliveries) are the only truth; everything
in memory can be rebuilt from them. Ids are made by us and grow with time (milliseconds << 20), so rows of
one unit can refer to each other before they are written, and the rows of a conversation are found in the
range of ids of its life. Each further index would cost a page of the log for each message.
"""

from __future__ import annotations

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
    sqlite_where=text("state = 0"),
    postgresql_where=text("state = 0"),
)
Index(
    "ux_observations_dedupe",
    observations.c.dedupe,
    unique=True,
    sqlite_where=text("dedupe IS NOT NULL"),
    postgresql_where=text("dedupe IS NOT NULL"),
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
    sqlite_where=text("closed = 0"),
    postgresql_where=text("closed = 0"),
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
    sqlite_where=text("state = 0"),
    postgresql_where=text("state = 0"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    # Of callers of /api/v1: only a hash of each is kept.
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("hash", LargeBinary, nullable=False),  # SHA-256 of the whole token
    Column("scopes", String, nullable=False),  # with blanks between them
    Column("workspace", String, nullable=False),
    Column("system", String, nullable=False),  # whose agents it may name
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String, nullable=False),
    Column("revoked_at", BigInteger),
)

api_audit = Table(
    "api_audit",
    metadata,
    # What callers with a token asked for, whether it was done or not; never changed.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("token", String, nullable=False),
    Column("action", String, nullable=False),
    Column("workspace", String, nullable=False),
    Column("room", String, nullable=False),
    Column("status", Integer, nullable=False),  # of the answer
    Column("detail", String, nullable=False),
)

instance = Table(
    "instance",
    metadata,
    Column("name", String, primary_key=True),  # secret: key of the ids that we give to messages
    Column("value", String, nullable=False),
)

# -- people of external systems (identity) ------------------------------------------------------------------

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
    sqlite_where=text("user_id IS NOT NULL"),
    postgresql_where=text("user_id IS NOT NULL"),
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

faces = Table(
    "faces",
    metadata,
    # Which persona a visitor saw a pooled proxy with: his browser may show that face for as long as its page lives.
    Column("workspace", String, primary_key=True),
    Column("visitor", String, primary_key=True),  # id of the hub
    Column("user_id", String, primary_key=True),
    Column("system", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
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

# -- bots that talk to us as they would to Telegram (botapi) -------------------------------------------------

bots = Table(
    "bots",
    metadata,
    # One for each connection of kind bot_api that was given a token. Only the token's hash is kept.
    Column("connection", String, primary_key=True),
    Column("bot_id", BigInteger, nullable=False, unique=True),  # the number before the colon of its token
    Column("hash", LargeBinary, nullable=False),  # SHA-256 of the whole token
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String, nullable=False),
    Column("revoked_at", BigInteger),
    Column("paused", Integer, nullable=False, default=0),
    Column("last_update_id", BigInteger, nullable=False, default=0),
    Column("webhook_url", String, nullable=False, default=""),  # '' = the bot polls
    Column("webhook_secret", String, nullable=False, default=""),  # sealed; sent along with each delivery
    Column("max_connections", Integer, nullable=False, default=40),
    Column("allowed_updates", String, nullable=False, default="[]"),  # JSON list; empty = all
    Column("last_error_at", BigInteger),
    Column("last_error", String, nullable=False, default=""),
    Column("capabilities", String, nullable=False, server_default=""),  # JSON list; '' = all
    Column("interaction_url", String, nullable=False, server_default=""),  # for callback queries; '' = the same
    Column("webhook_certificate", String, nullable=False, server_default=""),  # PEM, the only one trusted; '' = usual
    Column("commands", String, nullable=False, server_default=""),  # JSON list, as setMyCommands told
)

bot_chats = Table(
    "bot_chats",
    metadata,
    # A conversation's number for a bot: small enough for clients that know no integers beyond 2^53.
    Column("id", Integer, primary_key=True),
    Column("connection", String, nullable=False),
    Column("session", String, nullable=False),
    Column("first_name", String, nullable=False),
    Column("last_message_id", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("connection", "session", name="ux_bot_chats_session"),
    sqlite_autoincrement=True,
)

bot_messages = Table(
    "bot_messages",
    metadata,
    # What bots said: found again when a visitor chooses one of its buttons, or the bot edits it.
    Column("chat_id", Integer, primary_key=True),
    Column("message_id", Integer, primary_key=True),
    Column("observation_id", BigInteger, nullable=False),  # of the callback that it was journalled as
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # Message as JSON
    Column("edited_by", BigInteger, nullable=False, server_default="0"),  # callback of its last edit; 0 = none
)

bot_updates = Table(
    "bot_updates",
    metadata,
    # The queue. Numbers of a bot have no gaps; what was confirmed stays for a day, so that a repeated turn is known.
    Column("connection", String, primary_key=True),
    Column("update_id", BigInteger, primary_key=True),
    Column("chat_id", Integer, nullable=False),
    Column("dedupe", String, nullable=False),  # delivery id of the turn
    Column("state", Integer, nullable=False, default=0),  # 0 waits, 1 taken, 2 given up
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # Update as JSON
    UniqueConstraint("connection", "dedupe", name="ux_bot_updates_dedupe"),
)
Index(
    "ix_bot_updates_waiting",
    bot_updates.c.connection,
    bot_updates.c.update_id,
    sqlite_where=text("state = 0"),
    postgresql_where=text("state = 0"),
)
Index("ix_bot_updates_created", bot_updates.c.created_at)
