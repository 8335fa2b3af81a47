"""Tokens of callers of the API, as hashes, and the audit of what they asked for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import metadata

Scope = Literal["assign", "read", "presence", "interact", "assist"]
"""assign: push decisions about who serves. read: see where such a decision stands. presence: say who is available.
interact: tell bots what was pressed. assist: let agents see what analysers find."""

SCOPES: tuple[str, ...] = get_args(Scope)
PREFIX = "obt"

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


class ApiToken(msgspec.Struct, frozen=True):
    """A row without the hash. revoked_at: ms, None = in force."""

    id: str
    name: str
    scopes: str
    workspace: str
    system: str
    created_at: int
    created_by: str
    revoked_at: int | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes.split()


_COLUMNS = ApiToken.__struct_fields__
_insert = Insert(api_tokens, *_COLUMNS, "hash")
_insert_audit = Insert(api_audit, "id", "at", "token", "action", "workspace", "room", "status", "detail")
_select = f"SELECT {', '.join(_COLUMNS)}, hash FROM api_tokens"  # noqa: S608 - fixed names


def new_token() -> tuple[str, str, bytes]:
    """(id, token, hash): the token is shown once and kept nowhere. 256 random bits need no slow hash."""
    identity = secrets.token_hex(6)
    token = f"{PREFIX}_{identity}_{secrets.token_urlsafe(32)}"
    return identity, token, _hash(token)


def add(cursor: Any, token: ApiToken, digest: bytes) -> None:
    """Write a new one."""
    _insert(cursor, *msgspec.structs.astuple(token), digest)


def revoke(cursor: Any, identity: str, at: int) -> bool:
    """From now on it is refused. False when there is none in force of this id."""
    cursor.execute("UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (at, identity))
    return bool(cursor.rowcount)


def listed(reader: Any) -> list[ApiToken]:
    """All of them, the oldest first."""
    return [ApiToken(*row[:-1]) for row in reader.execute(f"{_select} ORDER BY created_at, id")]


def find(reader: Any, given: str) -> ApiToken | None:
    """The token in force that a caller sent; None when there is none. Compared in constant time."""
    parts = given.split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX or not given.isascii():
        return None
    row = reader.execute(f"{_select} WHERE id = ? AND revoked_at IS NULL", (parts[1],)).fetchone()
    stored = bytes(row[-1]) if row else bytes(32)
    if not hmac.compare_digest(stored, _hash(given)) or row is None:
        return None
    return ApiToken(*row[:-1])


def audit(
    cursor: Any, row_id: int, at: int, token: str, action: str, workspace: str, room: str, status: int, detail: str
) -> None:
    """Write down what was asked for, and how it was answered."""
    _insert_audit(cursor, row_id, at, token, action, workspace, room, status, detail)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
