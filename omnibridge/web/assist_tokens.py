"""`POST /api/v1/assist-tokens`: a system that knows its agents lets one of them look at one conversation for a while.

    {"room": "...", "agent": "alice"}  with `Authorization: Bearer TOKEN`, of the scope `assist`
 -> {"token", "expires_at", "path"}

The token is signed, so nothing is kept of it; it opens the stream of this one room, and it is sent in a header only.
"""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope, Send

from omnibridge.clock import Clock
from omnibridge.engine.counters import Counters
from omnibridge.errors import IntakeError
from omnibridge.sealed import Seal
from omnibridge.storage import conversations
from omnibridge.storage.api_tokens import ApiToken
from omnibridge.storage.database import Database
from omnibridge.web.callers import Callers
from omnibridge.web.webhooks import Once, read_body, send_json

LASTS_MS = 600_000


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """What a token says. until: ms."""

    workspace: str
    room: str
    agent: str
    until: int


class _Wish(msgspec.Struct):
    room: str
    agent: str


tickets = Seal("assist", Ticket, 1_000)
_wish = msgspec.json.Decoder(_Wish)


class AssistTokenEndpoint:
    """Each request with a token leaves an audit row, also one that is refused."""

    def __init__(self, database: Database, callers: Callers, clock: Clock, counters: Counters) -> None:
        self._database, self._callers, self._clock, self._counters = database, callers, clock, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Once(send, self._counters)
        caller: ApiToken | None = None
        room = ""
        try:
            if scope["method"] != "POST":
                raise IntakeError(405, "Method not allowed", "Ask for a token with POST.")
            caller = self._callers.authenticate(scope)
            self._callers.needs(caller, "assist")
            try:
                wish = _wish.decode(await read_body(scope, receive))
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise IntakeError(422, "Not a wish", 'Send {"room": ID, "agent": NAME}.') from None
            room = wish.room
            if not 0 < len(wish.agent) <= 200 or not wish.agent.isprintable():
                raise IntakeError(422, "Not an agent", "agent: 1 to 200 printable characters.")
            if conversations.load(self._database.reader, caller.workspace, room) is None:
                raise IntakeError(404, "Unknown conversation", "This service has not heard of that room yet.")
            until = self._clock.now_ms() + LASTS_MS
            token = tickets.seal(self._database.secret, Ticket(caller.workspace, room, wish.agent, until))
            await self._callers.audit(caller, "assist POST", room, 200, wish.agent[:200])
        except IntakeError as exc:
            if caller is not None:
                await self._callers.audit(caller, "assist POST", room, exc.status, exc.title)
            await answer.refuse(exc)
            return
        found = {"token": token, "expires_at": until, "path": f"/assist/{caller.workspace}/{room}"}
        await send_json(send, found, (b"cache-control", b"no-store"))
