"""What the simulators of both chats share: faults, agents and ledgers under `/_sandbox/`, or from Python."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omnibridge.connector.simulating import Cuttable, Faults, MovedClock

Endpoints = dict[tuple[str, str, str], str]


class Vendor(Protocol):
    """What is known there. url: where it was called last. options: a dataclass. desk: what reached the agents."""

    url: str
    clock: MovedClock
    options: Any
    desk: list[dict[str, Any]]


class ChatSimulator(ABC):
    """ENDPOINTS: (name for faults, path, method) -> handler of `api`. SETTINGS: of a connection to it. desk: its
    agents; each public method is something that they do, and ANSWER the key of what it returned."""

    ENDPOINTS: ClassVar[Endpoints]
    ANSWER: ClassVar[str] = "id"
    SETTINGS: ClassVar[str]
    api: Any
    desk: Any

    def __init__(self) -> None:
        self.faults = Faults()
        self.begin()

    @property
    @abstractmethod
    def vendor(self) -> Vendor: ...

    @abstractmethod
    def begin(self) -> None:
        """Know nothing."""

    @abstractmethod
    def release(self) -> None:
        """Whoever waits for news is let go."""

    @abstractmethod
    def ledger(self) -> dict[str, Any]: ...

    @abstractmethod
    def take(self, rest: dict[str, Any], *, cleared: bool) -> None:
        """Wishes of the protocol: pop what is known. cleared: faults were."""

    @abstractmethod
    def refused(self, exc: HTTPException) -> Response: ...

    def app(self) -> Cuttable:
        routes = [
            Route(path, self.faults.guard(name, self._call(handler)), methods=[method])
            for (name, path, method), handler in self.ENDPOINTS.items()
        ]
        routes += [
            Route("/_sandbox/ledger", self._show_ledger),
            Route("/_sandbox/control", self._control, methods=["POST"]),
            Route("/_sandbox/agent", self._act, methods=["POST"]),
            Route("/_sandbox/reset", self._reset, methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._refused})
        app.state.connection_settings = self.SETTINGS
        return Cuttable(app)

    def _call(self, name: str) -> Callable[[Request], Any]:
        """The handler of what there is now: `reset` makes another."""

        async def call(request: Request) -> Response:
            self.vendor.url = f"{request.url.scheme}://{request.url.netloc}"
            try:
                answer: Response = await getattr(self.api, name)(request)
            except HTTPException as exc:
                return self.refused(exc)
            return answer

        return call

    async def _refused(self, _: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        return self.refused(exc)

    def wish(self, wish: dict[str, Any]) -> None:
        """fail_next [Fault], clear_failures, down, options {of the dataclass}, advance_s, accepts, echoes, and those of
        `take`. Raises ValueError, also for an unknown key, or msgspec.ValidationError."""
        rest = dict(wish)
        if cleared := bool(rest.pop("clear_failures", False)):
            self.faults.clear()
        self.faults.add(rest.pop("fail_next", []))
        self.faults.down = bool(rest.pop("down", self.faults.down))
        set_fields(self.vendor.options, rest.pop("options", {}))
        for key in ("accepts", "echoes"):
            setattr(self.desk, key, rest.pop(key, getattr(self.desk, key)))
        self.vendor.clock.ahead_s += float(rest.pop("advance_s", 0))
        self.take(rest, cleared=cleared)
        if rest:
            raise ValueError(f"unknown: {', '.join(sorted(rest))}")

    async def _control(self, request: Request) -> Response:
        try:
            self.wish(await request.json())
        except (TypeError, ValueError, msgspec.ValidationError) as exc:
            return JSONResponse({"error": str(exc)}, 400)
        return JSONResponse({"ok": True})

    async def _act(self, request: Request) -> Response:
        """{"do": a method of the desk, …its arguments} -> what it returned."""
        wish = await request.json()
        name, calls = wish.pop("do", ""), [each for each in vars(type(self.desk)) if each[0] != "_"]
        if name not in calls:
            return JSONResponse({"error": f"do is one of {', '.join(calls)}"}, 400)
        try:
            return JSONResponse({self.ANSWER: getattr(self.desk, name)(**wish)})
        except (KeyError, TypeError, ValueError) as exc:
            return JSONResponse({"error": str(exc)}, 400)

    async def _show_ledger(self, _: Request) -> Response:
        return JSONResponse(self.ledger())

    async def _reset(self, _: Request) -> Response:
        self.release()
        self.faults.clear()
        self.begin()
        return JSONResponse({"ok": True})


def set_fields(options: Any, wish: dict[str, Any]) -> None:
    """options: a dataclass."""
    if unknown := set(wish) - {each.name for each in fields(options)}:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    for key, value in wish.items():
        setattr(options, key, value)


async def json_body(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """An object. Raises HTTPException 400."""
    try:
        raw = await request.body()
        body = {} if may_be_empty and not raw else msgspec.json.decode(raw)
    except (ValueError, ClientDisconnect) as exc:
        raise HTTPException(400, "the body is no JSON") from exc
    if not isinstance(body, dict):
        raise HTTPException(400, "the body is no object")
    return body
