"""Bots of the bot API: their tokens as hashes, and how each wants to be talked to.

Functions that take a cursor are units of the writer; the others only read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import metadata

Capability = Literal["messages", "commands", "interactions", "edits", "files"]
"""What a bot may have: visitors' words, words that are commands (/start too), what they press; it may change what it
said; send files."""

CAPABILITIES: tuple[str, ...] = get_args(Capability)

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


_BOT = ", ".join(Bot.__struct_fields__)
_insert_bot = Insert(bots, *Bot.__struct_fields__, "hash", ignore=True)


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


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
