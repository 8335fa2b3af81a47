"""The socket at `/websocket`, its faults, and what it tells of itself. Source: rocketchat-api 8."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from omnibridge.sandbox.http import Api, reply
from omnibridge.sandbox.realtime.faults import Faults
from omnibridge.sandbox.realtime.methods import Methods
from omnibridge.sandbox.realtime.session import Session, Subscription
from omnibridge.sandbox.realtime.streams import Streams
from omnibridge.sandbox.state import HubError


class Realtime:
    """All connections of one hub. connects: how many were accepted; refused: how many were not."""

    def __init__(self, api: Api) -> None:
        self.faults = Faults()
        self._streams = Streams(api.hub)
        self._methods = Methods(api, self._streams)
        self._sessions: set[Session] = set()
        self.connects = self.refused = 0
        api.hub.listeners.append(self._streams)
        api.hub.accounts.listeners.append(self._streams.account_noted)
        api.switches["realtime"] = self._control

    def routes(self) -> list[BaseRoute]:
        return [WebSocketRoute("/websocket", self._serve), Route("/_sandbox/realtime", self._tell)]

    def subscribe(self, sub: Subscription) -> None:
        self._streams.add(sub)

    def unsubscribe(self, sub: Subscription) -> None:
        self._streams.remove(sub)

    async def call(self, session: Session, method: str, params: list[Any]) -> Any:
        return await self._methods.call(session, method, params)

    def drop_all(self) -> int:
        """Hang up on everybody; how many that were."""
        for each in self._sessions:
            each.hang_up()
        return len(self._sessions)

    async def aclose(self) -> None:
        self.faults.refuse = True
        self.drop_all()
        await asyncio.gather(*(each.ended.wait() for each in self._sessions))

    async def _serve(self, websocket: WebSocket) -> None:
        if self.faults.refuse:
            self.refused += 1
            await websocket.send_denial_response(Response("Service Unavailable", 503))
            return
        self.connects += 1
        session = Session(websocket, self)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    def _control(self, wish: Any) -> None:
        """Faults by name; `{"drop": true}` hangs up on everybody, after all else is set."""
        if not isinstance(wish, dict):
            raise HubError("invalid-params", "realtime must be an object")
        is_drop = wish.pop("drop", False)
        self.faults.set(wish)
        if is_drop:
            self.drop_all()

    async def _tell(self, _: Request) -> Response:
        """Who is connected and listens to what; how many there were; what the faults did."""
        sessions = [
            {
                "id": each.id,
                "user": each.user.username if each.user else "",
                "subs": sorted(f"{sub.name} {sub.event}" for sub in each.subs.values()),
            }
            for each in self._sessions
        ]
        counts = {name: getattr(self.faults, name) for name in ("dropped", "duplicated", "swapped")}
        told = {"connects": self.connects, "refused": self.refused, "said": self._streams.said, **counts}
        return reply({"sessions": sessions, **told})
