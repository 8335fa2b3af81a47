"""Making and revoking tokens of the API: by the running server, or without one under the database's lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from omnibridge.storage import api_tokens, database
from omnibridge.storage.api_tokens import ApiToken


class TokenOrder(msgspec.Struct, frozen=True):
    """add: with the hash; the token itself never leaves the command that made it. revoke: only the id counts."""

    kind: Literal["add", "revoke"]
    token: ApiToken
    digest: bytes = b""


def write_order(cursor: Any, order: TokenOrder, at: int) -> bool:
    """Whether anything was changed."""
    if order.kind == "revoke":
        return api_tokens.revoke(cursor, order.token.id, at)
    api_tokens.add(cursor, order.token, order.digest)
    return True


def without_server(path: Path, order: TokenOrder, at: int) -> bool:
    """Raises ConfigError when another process has the database."""
    return database.without_server(path, lambda cursor: write_order(cursor, order, at))
