"""Bots of the bot API: tokens as hashes, their chats, what they said, and the queue of updates.

Functions that take a cursor are units of the writer; the others only read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Literal, get_args

import msgspec

from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import bot_chats, bot_messages, bot_updates, bots

Capability = Literal["messages", "commands", "interactions", "edits", "files"]
"""What a bot may have: visitors' words, words that are commands (/start too), what they press; it may change what it
said; send files."""

CAPABILITIES: tuple[str, ...] = get_args(Capability)
WAITING, TAKEN, GIVEN_UP = 0, 1, 2
"""bot_updates.state."""


class Bot(msgspec.Struct, frozen=True):
    """A row without the hash. revoked_at, last_error_at: ms, None = never. webhook_url: '' = it polls.

    webhook_secret: sealed. allowed_updates, capabilities, commands: JSON lists. interaction_url: '' = webhook_url.
    webhook_certificate: PEM, '' = the usual authorities.
    """

    connection: str
    bot_id: int
    created_at: int
    created_by: str
    revoked_at: int | None = None
    paused: int = 0
    last_update_id: int = 0
    webhook_url: str = ""
    webhook_secret: str = ""
    max_connections: int = 40
    allowed_updates: str = "[]"
    last_error_at: int | None = None
    last_error: str = ""
    capabilities: str = ""
    interaction_url: str = ""
    webhook_certificate: str = ""
    commands: str = ""

    def wants(self, kind: str) -> bool:
        """Whether it asked for updates of this kind."""
        allowed = msgspec.json.decode(self.allowed_updates)
        return not allowed or kind in allowed

    def may(self, capability: Capability) -> bool:
        """Whether the operator lets it have this."""
        return not self.capabilities or capability in msgspec.json.decode(self.capabilities)


class Chat(msgspec.Struct, frozen=True):
    """A conversation as a bot knows it."""

    id: int
    connection: str
    session: str
    first_name: str
    last_message_id: int
    created_at: int


class Queued(msgspec.Struct, frozen=True):
    """An update that waits."""

    update_id: int
    chat_id: int
    attempts: int
    created_at: int
    body: bytes


_BOT = ", ".join(Bot.__struct_fields__)
_CHAT = ", ".join(Chat.__struct_fields__)
_QUEUED = ", ".join(Queued.__struct_fields__)
_insert_bot = Insert(bots, *Bot.__struct_fields__, "hash", ignore=True)
_insert_chat = Insert(bot_chats, *Chat.__struct_fields__[1:])
_insert_message = Insert(bot_messages, "chat_id", "message_id", "observation_id", "at", "body")
_insert_update = Insert(
    bot_updates, "connection", "update_id", "chat_id", "dedupe", "state", "attempts", "created_at", "body"
)


def new_token(bot_id: int = 0) -> tuple[int, str, bytes]:
    """(bot id, token, hash). In the form that clients of Telegram check: digits, a colon, letters."""
    number = bot_id or secrets.randbelow(9 * 10**9) + 10**9
    token = f"{number}:{secrets.token_urlsafe(32)}"
    return number, token, _hash(token)


def add(cursor: Any, bot: Bot, digest: bytes) -> bool:
    """Register. One that was revoked is registered anew and keeps its queue; False when there is one in force."""
    if _insert_bot(cursor, *msgspec.structs.astuple(bot), digest):
        return True
    cursor.execute(
        "UPDATE bots SET bot_id = ?, hash = ?, created_at = ?, created_by = ?, capabilities = ?, revoked_at = NULL, "
        "paused = 0 WHERE connection = ? AND revoked_at IS NOT NULL",
        (bot.bot_id, digest, bot.created_at, bot.created_by, bot.capabilities, bot.connection),
    )
    return bool(cursor.rowcount)


def rotate(cursor: Any, connection: str, digest: bytes) -> bool:
    """Another token from now on; the old one is refused. False when none is in force."""
    cursor.execute("UPDATE bots SET hash = ? WHERE connection = ? AND revoked_at IS NULL", (digest, connection))
    return bool(cursor.rowcount)


def revoke(cursor: Any, connection: str, at: int) -> bool:
    """Refuse its token, call its webhook no more. False when none is in force."""
    cursor.execute(
        "UPDATE bots SET revoked_at = ?, webhook_url = '', webhook_secret = '', interaction_url = '', "
        "webhook_certificate = '' "
        "WHERE connection = ? AND revoked_at IS NULL",
        (at, connection),
    )
    return bool(cursor.rowcount)


def pause(cursor: Any, connection: str, *, paused: bool) -> bool:
    """Keep its updates back, or let them go. False when that is so already."""
    cursor.execute(
        "UPDATE bots SET paused = ? WHERE connection = ? AND paused <> ?", (int(paused), connection, int(paused))
    )
    return bool(cursor.rowcount)


def listed(reader: Any) -> list[Bot]:
    """All, by connection."""
    return [Bot(*row) for row in reader.execute(f"SELECT {_BOT} FROM bots ORDER BY connection")]  # noqa: S608


def load(reader: Any, connection: str) -> Bot | None:
    """In force or not."""
    row = reader.execute(f"SELECT {_BOT} FROM bots WHERE connection = ?", (connection,)).fetchone()  # noqa: S608
    return Bot(*row) if row else None


def find(reader: Any, given: str) -> Bot | None:
    """Whose token it is, in force; compared in constant time."""
    number, colon, _ = given.partition(":")
    if not colon or not number.isascii() or not number.isdigit() or len(number) > 12 or not given.isascii():
        return None
    row = reader.execute(
        f"SELECT {_BOT}, hash FROM bots WHERE bot_id = ? AND revoked_at IS NULL",  # noqa: S608 - fixed names
        (int(number),),
    ).fetchone()
    stored = bytes(row[-1]) if row else bytes(32)
    if not hmac.compare_digest(stored, _hash(given)) or row is None:
        return None
    return Bot(*row[:-1])


def set_webhook(
    cursor: Any,
    connection: str,
    url: str,
    secret: str,
    max_connections: int,
    interaction_url: str = "",
    certificate: str = "",
) -> bool:
    """'' = the bot polls again. secret: sealed. False when no bot is in force."""
    cursor.execute(
        "UPDATE bots SET webhook_url = ?, webhook_secret = ?, max_connections = ?, interaction_url = ?, "
        "webhook_certificate = ?, last_error_at = NULL, last_error = '' WHERE connection = ? AND revoked_at IS NULL",
        (url, secret, max_connections, interaction_url, certificate, connection),
    )
    return bool(cursor.rowcount)


def reseal(cursor: Any, connection: str, before: str, after: str) -> None:
    """The same secret under another key, unless it was changed meanwhile."""
    cursor.execute(
        "UPDATE bots SET webhook_secret = ? WHERE connection = ? AND webhook_secret = ?", (after, connection, before)
    )


def set_capabilities(cursor: Any, connection: str, capabilities: str) -> bool:
    """JSON list, '' = all. False when no bot is in force."""
    cursor.execute(
        "UPDATE bots SET capabilities = ? WHERE connection = ? AND revoked_at IS NULL", (capabilities, connection)
    )
    return bool(cursor.rowcount)


def set_commands(cursor: Any, connection: str, commands: str) -> None:
    """JSON list of what the bot says it understands."""
    cursor.execute("UPDATE bots SET commands = ? WHERE connection = ?", (commands, connection))


def allow(cursor: Any, connection: str, kinds: str) -> None:
    """JSON list of the kinds of updates that it wants from now on."""
    cursor.execute("UPDATE bots SET allowed_updates = ? WHERE connection = ?", (kinds, connection))


def failed(cursor: Any, connection: str, update_id: int, at: int, why: str) -> None:
    """An attempt to deliver."""
    cursor.execute("UPDATE bots SET last_error_at = ?, last_error = ? WHERE connection = ?", (at, why, connection))
    cursor.execute(
        "UPDATE bot_updates SET attempts = attempts + 1 WHERE connection = ? AND update_id = ?", (connection, update_id)
    )


# -- chats and what was said in them ------------------------------------------------------------------------


def chat_for(cursor: Any, connection: str, session: str, first_name: str, at: int) -> Chat:
    """The chat of a session, made when there is none."""
    found = chat_of(cursor, connection, session)
    if found is None:
        _insert_chat(cursor, connection, session, first_name, 0, at)
        found = chat_of(cursor, connection, session)
        assert found is not None
    elif found.first_name != first_name:
        cursor.execute("UPDATE bot_chats SET first_name = ? WHERE id = ?", (first_name, found.id))
    return found


def chat_of(reader: Any, connection: str, session: str) -> Chat | None:
    row = reader.execute(
        f"SELECT {_CHAT} FROM bot_chats WHERE connection = ? AND session = ?",  # noqa: S608 - fixed names
        (connection, session),
    ).fetchone()
    return Chat(*row) if row else None


def chat(reader: Any, connection: str, chat_id: int) -> Chat | None:
    """None when it is not this bot's."""
    row = reader.execute(
        f"SELECT {_CHAT} FROM bot_chats WHERE id = ? AND connection = ?",  # noqa: S608 - fixed names
        (chat_id, connection),
    ).fetchone()
    return Chat(*row) if row else None


def next_message_id(cursor: Any, chat_id: int) -> int:
    """Of a message that is written in the same unit."""
    cursor.execute("UPDATE bot_chats SET last_message_id = last_message_id + 1 WHERE id = ?", (chat_id,))
    return int(cursor.execute("SELECT last_message_id FROM bot_chats WHERE id = ?", (chat_id,)).fetchone()[0])


def keep_message(cursor: Any, chat_id: int, message_id: int, observation_id: int, at: int, body: bytes) -> None:
    _insert_message(cursor, chat_id, message_id, observation_id, at, body)


def change_message(cursor: Any, chat_id: int, message_id: int, body: bytes) -> None:
    cursor.execute("UPDATE bot_messages SET body = ? WHERE chat_id = ? AND message_id = ?", (body, chat_id, message_id))


def message(reader: Any, chat_id: int, message_id: int) -> bytes | None:
    """What a bot said; None when it is not known (any more)."""
    row = reader.execute(
        "SELECT body FROM bot_messages WHERE chat_id = ? AND message_id = ?", (chat_id, message_id)
    ).fetchone()
    return bytes(row[0]) if row else None


def latest_messages(reader: Any, chat_id: int, most: int) -> list[bytes]:
    """What the bot said last, newest first."""
    rows = reader.execute(
        "SELECT body FROM bot_messages WHERE chat_id = ? ORDER BY message_id DESC LIMIT ?", (chat_id, most)
    )
    return [bytes(each[0]) for each in rows]


# -- the queue ----------------------------------------------------------------------------------------------


def is_queued(reader: Any, connection: str, dedupe: str) -> bool:
    """Whether this turn has its update, taken or not."""
    found = reader.execute("SELECT 1 FROM bot_updates WHERE connection = ? AND dedupe = ?", (connection, dedupe))
    return found.fetchone() is not None


def next_update_id(cursor: Any, connection: str) -> int:
    """Of an update that is written in the same unit: so there are no gaps."""
    cursor.execute("UPDATE bots SET last_update_id = last_update_id + 1 WHERE connection = ?", (connection,))
    row = cursor.execute("SELECT last_update_id FROM bots WHERE connection = ?", (connection,)).fetchone()
    return int(row[0])


def put(cursor: Any, connection: str, update_id: int, chat_id: int, dedupe: str, at: int, body: bytes) -> None:
    _insert_update(cursor, connection, update_id, chat_id, dedupe, WAITING, 0, at, body)


def waiting(reader: Any, connection: str, limit: int) -> list[Queued]:
    """The oldest that were not confirmed."""
    rows = reader.execute(
        f"SELECT {_QUEUED} FROM bot_updates WHERE connection = ? AND state = 0 "  # noqa: S608 - fixed names
        "ORDER BY update_id LIMIT ?",
        (connection, limit),
    )
    return [Queued(*row) for row in rows]


def first_of_chats(reader: Any, connection: str) -> list[tuple[int, int]]:
    """(chat, its lowest update that waits), in the order of the updates."""
    rows = reader.execute(
        "SELECT chat_id, min(update_id) AS first FROM bot_updates WHERE connection = ? AND state = 0 "
        "GROUP BY chat_id ORDER BY first",
        (connection,),
    )
    return [(row[0], row[1]) for row in rows]


def update(reader: Any, connection: str, update_id: int) -> Queued | None:
    """None when it does not wait any more."""
    row = reader.execute(
        f"SELECT {_QUEUED} FROM bot_updates WHERE connection = ? AND update_id = ? AND state = 0",  # noqa: S608
        (connection, update_id),
    ).fetchone()
    return Queued(*row) if row else None


def n_waiting(reader: Any, connection: str) -> int:
    row = reader.execute("SELECT count(*) FROM bot_updates WHERE connection = ? AND state = 0", (connection,))
    return int(row.fetchone()[0])


def n_given_up(reader: Any, connection: str) -> int:
    row = reader.execute("SELECT count(*) FROM bot_updates WHERE connection = ? AND state = 2", (connection,))
    return int(row.fetchone()[0])


def try_again(cursor: Any, connection: str, at: int) -> bool:
    """What was given up waits again, in its old order. False when there is nothing."""
    cursor.execute(
        "UPDATE bot_updates SET state = 0, attempts = 0, created_at = ? WHERE connection = ? AND state = 2",
        (at, connection),
    )
    return bool(cursor.rowcount)


def confirm_before(cursor: Any, connection: str, update_id: int) -> None:
    """All below are taken."""
    cursor.execute(
        "UPDATE bot_updates SET state = 1 WHERE connection = ? AND state = 0 AND update_id < ?", (connection, update_id)
    )


def keep_last(cursor: Any, connection: str, count: int) -> None:
    """All but so many of the newest are taken."""
    cursor.execute(
        "UPDATE bot_updates SET state = 1 WHERE connection = ? AND state = 0 AND update_id NOT IN (SELECT update_id "
        "FROM bot_updates WHERE connection = ? AND state = 0 ORDER BY update_id DESC LIMIT ?)",
        (connection, connection, count),
    )


def settle(cursor: Any, connection: str, update_id: int, state: int) -> None:
    cursor.execute(
        "UPDATE bot_updates SET state = ? WHERE connection = ? AND update_id = ? AND state = 0",
        (state, connection, update_id),
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
