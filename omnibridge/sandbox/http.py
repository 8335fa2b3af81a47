"""What all REST routes of the simulated hub share: envelopes, log-in, injected failures. Source: rocketchat-api 1."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.state import HubError, User

Handler = Callable[[Request], Awaitable[dict[str, Any]]]
"""Returns what is merged into `{"success": true}`; raises HubError."""


class Api:
    """Builds routes. fail_next: [{path, status, count, after_effect, code}], status "hang" never answers."""

    def __init__(self, hub: SimulatedHub) -> None:
        self.hub = hub
        self.fail_next: list[dict[str, Any]] = []
        self.delay_ms = 0

    def route(self, method: str, path: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            self.hub.rest_calls[path] += 1
            failure = self._failure(path)
            if failure and not failure.get("after_effect"):
                return await self._fail(failure)
            try:
                body = await handler(request)
            except HubError as exc:
                return JSONResponse(_error(exc), exc.status)
            except (KeyError, TypeError, ValueError) as exc:
                return JSONResponse({"success": False, "errorType": "invalid-params", "error": str(exc)}, 400)
            if self.delay_ms:
                await asyncio.sleep(self.delay_ms / 1000)
            if failure:
                return await self._fail(failure)
            return JSONResponse({**body, "success": True})

        return Route(f"/api/v1/{path}", endpoint, methods=[method])

    def user(self, request: Request) -> User:
        """The caller. Raises 401."""
        user = self.hub.by_token.get(request.headers.get("x-auth-token", ""))
        if user is None or user.id != request.headers.get("x-user-id"):
            raise HubError("You must be logged in to do this.", status=401, coded=False)
        return user

    def manager(self, request: Request) -> User:
        """A caller who may forward, close and take for others. Raises 403."""
        user = self.user(request)
        if not user.sees_all_rooms:
            raise HubError("unauthorized", status=403, coded=False)
        return user

    def _failure(self, path: str) -> dict[str, Any] | None:
        for each in self.fail_next:
            if each.get("path") in (path, "*") and each.get("count", 1) > 0:
                each["count"] = each.get("count", 1) - 1
                return each
        return None

    async def _fail(self, failure: dict[str, Any]) -> Response:
        status = failure.get("status", 500)
        if status == "hang":
            await asyncio.sleep(float(failure.get("seconds", 3600)))
            status = 500
        if status == 429:
            text = "Error, too many requests. You must wait 1 seconds before trying again. [error-too-many-requests]"
            return JSONResponse({"success": False, "error": text}, 429)
        if failure.get("code"):
            return JSONResponse(_error(HubError(failure["code"])), int(status))
        return JSONResponse({"success": False, "error": "Internal server error"}, int(status))


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object sent. Raises HubError 400."""
    try:
        body = await request.json()
    except ValueError as exc:
        raise HubError("Invalid JSON", coded=False) from exc
    if not isinstance(body, dict):
        raise HubError("invalid-params")
    return body


def _error(exc: HubError) -> dict[str, Any]:
    if exc.status == 401:
        return {"success": False, "status": "error", "message": exc.code, "error": exc.code}
    if not exc.coded:
        return {"success": False, "error": exc.code}
    return {"success": False, "error": f"{exc.reason} [{exc.code}]", "errorType": exc.code}
