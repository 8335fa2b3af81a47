"""What all REST routes of the simulated hub share: envelopes, log-in, injected failures. Source: rocketchat-api 1."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.lifecycle import Lifecycle
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.rate_limit import RateLimiter, too_many
from omnibridge.sandbox.state import HubError, User

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[dict[str, Any] | Response]]
"""Returns what is merged into `{"success": true}`, or a whole answer; raises HubError."""

_encode = msgspec.json.Encoder().encode


def reply(body: Any, status: int = 200) -> Response:
    """`Content-Type: application/json` exactly."""
    return Response(_encode(body), status, media_type="application/json")


class Api:
    """Builds routes.

    fail_next: [{path, status, count, after_effect, half, code, body, seconds}]; path as in the route table or "*";
    status "hang" never answers within `seconds`, "cut" breaks the connection off. half: `users.create` dies after
    the user is there, before his custom fields are. create_race_ms: between its look for the name and the insertion.
    create_tokens_secret: of the server's environment (3.2); empty = tokens cannot be made for others.
    """

    def __init__(self, hub: SimulatedHub, life: Lifecycle) -> None:
        self.hub, self.life = hub, life
        self.limiter = RateLimiter(hub.settings)
        self.paths: set[str] = set()
        self.fail_next: list[dict[str, Any]] = []
        self.delay_ms = 0
        self.create_race_ms = 0
        self.create_tokens_secret = ""

    def route(
        self, method: str, path: str, handler: Handler, *, is_public: bool = False, two_factor: bool = False
    ) -> Route:
        """is_public: the caller is not authenticated there before 8.x, so no token lifts the limit (1.6)."""

        async def endpoint(request: Request) -> Response:
            self.hub.rest_calls[path] += 1
            failure = self._failure(path)
            request.state.is_half = bool(failure and failure.get("half"))
            if failure and not failure.get("after_effect") and not failure.get("half"):
                return await self._fail(failure)
            headers, wait_ms = self._limit(path, request, is_public)
            if wait_ms:
                answer = reply({"success": False, "error": too_many(wait_ms)}, 429)
            else:
                answer = await self._answer(handler, request, two_factor)
            if self.delay_ms:
                await asyncio.sleep(self.delay_ms / 1000)
            if failure:
                return await self._fail(failure)
            answer.headers.update(headers)
            return answer

        self.paths.add(path)
        return Route(f"/api/v1/{path}", endpoint, methods=[method])

    def user(self, request: Request) -> User:
        """The caller. Raises 401."""
        user = self._caller(request)
        if user is None:
            raise HubError("You must be logged in to do this.", status=401, coded=False)
        return user

    def permitted(self, request: Request, *permissions: str) -> User:
        """A caller who holds all of them. Raises 401, 403."""
        user = self.user(request)
        if not all(may(user, each) for each in permissions):
            raise forbidden()
        return user

    def permitted_any(self, request: Request, *permissions: str) -> User:
        user = self.user(request)
        if not any(may(user, each) for each in permissions):
            raise forbidden()
        return user

    def only_keys(self, body: Mapping[str, Any], *known: str) -> None:
        """Most endpoints refuse unknown keys from 7.x on (1.2)."""
        if self.hub.version >= (7, 0) and set(body) - set(known):
            raise HubError("invalid-params", "must NOT have additional properties")

    async def _answer(self, handler: Handler, request: Request, two_factor: bool) -> Response:
        try:
            if two_factor:
                self.hub.two_factor.check(request, self.user(request))
            body = await handler(request)
        except HubError as exc:
            return reply(self.error_body(exc), exc.status)
        except Exception:  # the real hub answers 500 as well; the trace is for us
            traceback.print_exc(file=sys.stderr)
            return reply({"success": False, "error": "Internal server error"}, 500)
        return body if isinstance(body, Response) else reply({**body, "success": True})

    def error_body(self, exc: HubError) -> dict[str, Any]:
        if exc.status == 401:
            body = {"status": "error", "message": exc.code, "error": exc.code}
            return body if self.hub.version < (7, 0) else {"success": False, **body}
        if not exc.coded:
            return {"success": False, "error": exc.code}
        text = f"{exc.reason} [{exc.code}]" if exc.bracketed else exc.reason
        return {"success": False, "error": text, "errorType": exc.code, "details": exc.details}

    def _caller(self, request: Request) -> User | None:
        user = self.hub.by_token.get(request.headers.get("x-auth-token", ""))
        return user if user and user.active and user.id == request.headers.get("x-user-id") else None

    def _limit(self, path: str, request: Request, is_public: bool) -> tuple[dict[str, str], int]:
        if not self.limiter.is_on or path.startswith("method.call/"):
            return {}, 0
        user = self._caller(request) if not is_public or self.hub.version >= (8, 0) else None
        if user and may(user, "api-bypass-rate-limit"):
            return {}, 0
        return self.limiter.count(path, request)

    def _failure(self, path: str) -> dict[str, Any] | None:
        for each in self.fail_next:
            if each.get("path") in (path, "*") and each.get("count", 1) > 0:
                each["count"] = each.get("count", 1) - 1
                if not each["count"]:
                    self.fail_next.remove(each)
                return each
        return None

    async def _fail(self, failure: dict[str, Any]) -> Response:
        status = failure.get("status", 500)
        if status == "hang":
            await self.hub.wait("hang", lambda: False, int(float(failure.get("seconds", 3600)) * 1000))
            status = 500
        if status == "cut":
            return _Cut(b"{")
        if "body" in failure:
            return reply(failure["body"], int(status))
        if status == 429:
            return reply({"success": False, "error": too_many(1000)}, 429)
        if failure.get("code"):
            return reply(self.error_body(HubError(failure["code"])), int(status))
        return reply({"success": False, "error": "Internal server error"}, int(status))


class _Cut(Response):
    """An answer that breaks off: what a caller sees of a server that dies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


def forbidden() -> HubError:
    text = "User does not have the permissions required for this action [error-unauthorized]"
    return HubError(text, status=403, coded=False)


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object sent. Raises HubError 400."""
    try:
        body = msgspec.json.decode(await request.body())
    except msgspec.DecodeError as exc:
        raise HubError("Invalid JSON", coded=False) from exc
    if not isinstance(body, dict):
        raise HubError("invalid-params", "must be object")
    return body


def need(body: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A value that must be there, of its JSON type: nothing is coerced (1.2)."""
    value = body.get(name)
    if not isinstance(value, kind):
        raise HubError("invalid-params", f"must have required property '{name}' of type {kind.__name__}")
    return value


def maybe(body: Mapping[str, Any], name: str, default: T) -> T:
    """A value that may be missing, of the default's type when it is there."""
    value = body.get(name)
    if value is None:
        return default
    return need(body, name, type(default))


def text_of(body: Mapping[str, Any], name: str) -> str:
    """A text that may be missing; anything else counts as missing."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def page(query: Mapping[str, str]) -> tuple[int, int | None]:
    """(offset, count) of a list; count 0 means all, 50 without one, 100 at most (1.7)."""
    try:
        offset, count = int(query.get("offset", "0")), int(query.get("count", "50"))
    except ValueError as exc:
        raise HubError("error-invalid-params", "offset and count must be numbers") from exc
    return offset, min(count, 100) if count else None


def paged(name: str, found: list[Any], query: Mapping[str, str], show: Callable[[Any], Any]) -> dict[str, Any]:
    """A page of a list, shown, with `count`, `offset` and `total`."""
    offset, count = page(query)
    shown = [show(each) for each in found[offset : None if count is None else offset + count]]
    return {name: shown, "count": len(shown), "offset": offset, "total": len(found)}
