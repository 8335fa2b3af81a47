"""GET from Rocket.Chat's routing method `External`: who takes the next conversation of a department.

It asks ten times at once, with only a department, and again every few seconds for what waits; it names no
conversation, so nothing can be decided here. The answer is always the department's holding bot, from the
configuration, without any state; the decision is made from the conversation's own events, with full facts.
Source: rocketchat-api 7.3. It reads `username` of the JSON and no status; so a refusal must have none.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from omnibridge.engine.counters import Counters
from omnibridge.web.errors import problem

TOKEN_HEADER = "x-rocketchat-secret-token"  # noqa: S105 - a header's name


@dataclass(frozen=True)
class ExternalRouting:
    """Of one workspace. token: what the hub sends. holders: department's id or name -> user name; "" = any other.
    name: of a department's id; empty when it is not known."""

    token: str
    holders: Mapping[str, str]
    name: Callable[[str], str]

    def holder(self, department: str) -> str:
        """User name; empty = none. An id goes before a name."""
        if username := self.holders.get(department):
            return username
        name = self.name(department).casefold() if department else ""
        named = (username for key, username in self.holders.items() if name and key.strip().casefold() == name)
        return next(named, self.holders.get("", ""))


class ExternalEndpoint:
    """workspaces: those that answer the routing method."""

    def __init__(self, workspaces: Mapping[str, ExternalRouting], counters: Counters) -> None:
        self._workspaces, self._counters = workspaces, counters

    async def answer(self, request: Request) -> Response:
        """departmentId may be missing. ignoreAgentId changes nothing: the holding bot serves nobody."""
        routing = self._workspaces.get(request.path_params["workspace"])
        if routing is None:
            return self._refuse(404, "Unknown workspace", "Set external_token and holding_bot of the [[workspace]].")
        given = request.headers.get(TOKEN_HEADER, "").encode()
        if not hmac.compare_digest(given, routing.token.encode()):
            return self._refuse(401, "Wrong token", "Livechat_External_Queue_Token must be the external_token.")
        username = routing.holder(request.query_params.get("departmentId", ""))
        if not username:
            return self._refuse(404, "No holding bot", "Set holding_bot, or this department in holding_bots.")
        self._counters.add("external_routing", 1, "answered")
        return Response(msgspec.json.encode({"username": username}), media_type="application/json")

    def _refuse(self, status: int, title: str, detail: str) -> Response:
        self._counters.add("external_routing", 1, str(status))
        return Response(problem(status, title, detail), status, media_type="application/problem+json")
