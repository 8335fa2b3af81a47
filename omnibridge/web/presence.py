"""`POST /api/v1/agents/presence`: an external system says that one of its agents is there for chats, or not.

    POST {"external_system": "crm", "external_id": "0055", "available": true}
    Authorization: Bearer TOKEN, with the scope `presence`
 -> 200 {"external_system", "external_id", "available", "status"}: set = Rocket.Chat shows it; remembered = he has no
    user there, or one that rests. 404: nobody of this id is known. 503: Rocket.Chat did not take it, send it again.

It is a state: sent twice it is the same, the last one counts, and nothing has to be kept of the order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from omnibridge.engine.counters import Counters
from omnibridge.errors import IntakeError
from omnibridge.storage.api_tokens import ApiToken
from omnibridge.web.callers import Callers
from omnibridge.web.webhooks import Once, check_json, read_body, send_json

Say = Callable[[str, str, str, bool], Awaitable[str]]
"""(workspace, system, external id, available) -> set, remembered, unknown, failed."""


class _Presence(msgspec.Struct, frozen=True):
    external_system: str
    external_id: str
    available: bool


_presence = msgspec.json.Decoder(_Presence)


class PresenceEndpoint:
    """say: to the agent directory, which tells the hub."""

    def __init__(self, callers: Callers, say: Say, counters: Counters) -> None:
        self._callers, self._say, self._counters = callers, say, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        token: ApiToken | None = None
        try:
            token = self._callers.authenticate(scope)
            found = await self._set(token, scope, receive)
        except IntakeError as exc:
            if token is not None:
                await self._callers.audit(token, f"presence {scope['method']}", "", exc.status, exc.title)
            await answer.refuse(exc)
            return
        await send_json(send, found)

    async def _set(self, token: ApiToken, scope: Scope, receive: Receive) -> dict[str, Any]:
        if scope["method"] != "POST":
            raise IntakeError(405, "Method not allowed", "POST says whether an agent is available.")
        self._callers.needs(token, "presence")
        body = await read_body(scope, receive)
        check_json(body)
        try:
            said = _presence.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise IntakeError(422, "Not a presence", f"{exc}.") from None
        if said.external_system != token.system:
            raise IntakeError(403, "Not allowed", f"This token may name agents of {token.system!r} only.")
        status = await self._say(token.workspace, said.external_system, said.external_id, said.available)
        if status == "unknown":
            raise IntakeError(404, "Unknown agent", "Import or link it first; an agent who served once is known too.")
        if status == "failed":
            raise IntakeError(503, "Not set", "Rocket.Chat did not take it; send it again.")
        word = "available" if said.available else "not available"
        await self._callers.audit(token, "presence POST", "", 200, f"{said.external_system}:{said.external_id} {word}")
        return {**msgspec.structs.asdict(said), "status": status}
