"""Callers of /api/v1: their tokens, what these may do, and the audit of what was asked."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from omnibridge.clock import Clock
from omnibridge.engine.ids import IdSequence
from omnibridge.errors import IntakeError
from omnibridge.storage import api_tokens
from omnibridge.storage.api_tokens import ApiToken
from omnibridge.storage.api_tokens import Scope as TokenScope
from omnibridge.storage.database import Database


class Callers:
    """Each request with a token leaves an audit row, also one that is refused."""

    def __init__(self, database: Database, ids: IdSequence, clock: Clock) -> None:
        self._database, self._ids, self._clock = database, ids, clock

    def authenticate(self, scope: Scope) -> ApiToken:
        """Raises IntakeError 401."""
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        token = api_tokens.find(self._database.reader, given.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise IntakeError(
                401, "Wrong token", "Send `Authorization: Bearer TOKEN`; `omnibridge tokens create` makes one."
            )
        return token

    def needs(self, token: ApiToken, scope: TokenScope) -> None:
        """Raises IntakeError 403."""
        if not token.may(scope):
            raise IntakeError(403, "Not allowed", f"This token has not the scope {scope!r}; it has: {token.scopes}.")

    async def audit(self, token: ApiToken, action: str, room: str, status: int, detail: str) -> None:
        """Raises IntakeError 503."""
        values = (self._ids.next(), self._clock.now_ms(), token.id, action, token.workspace)
        write = partial(_write_audit, values=(*values, room[:128], status, detail))
        try:
            await self._database.writer.submit(write)
        except Exception as exc:
            raise IntakeError(503, "Not stored", "The audit could not be written; send it again.") from exc


def _write_audit(cursor: Any, *, values: tuple[Any, ...]) -> None:
    api_tokens.audit(cursor, *values)
