"""What simulators of vendors share: faults by endpoint, connections that are cut, limits, a clock that can be moved."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]

CUT = "omnibridge.cut"
"""Key of the ASGI scope: a function that resets the connection."""


class MovedClock:
    """The real time and some more, so that hours pass in a test. ahead_s: how much more."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_s(self) -> float:
        return time.time() + self.ahead_s

    def now_ms(self) -> int:
        return int(self.now_s() * 1000)


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """What happens to the next requests. on: name of an endpoint, empty = any. skip: so many of them go well first.

    after_effect: the request is carried out before. cut: the connection is reset instead of an answer. hang: there is
    no answer until the caller goes. status 0 with neither: the real answer, after delay_ms.
    """

    on: str = ""
    status: int = 0
    count: int = 1
    skip: int = 0
    after_effect: bool = False
    cut: bool = False
    hang: bool = False
    delay_ms: int = 0
    body: str = ""
    headers: dict[str, str] = {}


class Faults:
    """down: every guarded endpoint answers 503, nothing is carried out. passed: calls without a fault, by name."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []
        self.passed: Counter[str] = Counter()
        self.down = False

    def add(self, wishes: list[dict[str, Any]]) -> None:
        """Raises msgspec.ValidationError for a wish that is none."""
        self.waiting += msgspec.convert(wishes, list[Fault])

    def clear(self) -> None:
        self.waiting.clear()
        self.down = False

    def next(self, name: str) -> Fault | None:
        for each in self.waiting:
            if each.on not in ("", name):
                continue
            if each.skip > 0:
                each.skip -= 1
                return None
            each.count -= 1
            if each.count <= 0:
                self.waiting.remove(each)
            return each
        self.passed[name] += 1
        return None

    def guard(self, name: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint, with what was wished for it."""

        async def guarded(request: Request) -> Response:
            if self.down:
                return Response("down", 503)
            fault = self.next(name)
            if fault is None:
                return await endpoint(request)
            plain = not (fault.status or fault.cut or fault.hang)
            if fault.delay_ms:
                await asyncio.sleep(fault.delay_ms / 1000)
            answer = await endpoint(request) if fault.after_effect or plain else None
            if plain and answer is not None:
                return answer
            if fault.cut:
                await cut(request.scope, request.receive)
            if fault.hang:
                await gone(request.receive)
            return Response(fault.body, fault.status or 500, fault.headers)

        return guarded


def next_failure(wishes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of bots, which have one endpoint: what was wished for the next call, if anything. Takes it from the wishes.

    after: so many calls go well first. count: so many calls fail, 1 without. The rest is the simulator's own."""
    while wishes:
        first = wishes[0]
        if first.get("after", 0) > 0:
            first["after"] -= 1
            return None
        if first.get("count", 1) > 0:
            first["count"] = first.get("count", 1) - 1
            return first
        wishes.pop(0)
    return None


def now_ms() -> int:
    """Milliseconds since the epoch, for ledgers."""
    return time.time_ns() // 1_000_000


class Windows:
    """Limits of so many in so many seconds, by key."""

    def __init__(self, clock: MovedClock) -> None:
        self._clock = clock
        self._times: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def take(self, kind: str, key: str, most: int, seconds: float) -> float:
        """0 = taken. Else seconds until there is room; nothing is taken then. most 0 = no limit."""
        if not most:
            return 0.0
        now, times = self._clock.now_s(), self._times[kind, key]
        while times and times[0] <= now - seconds:
            times.popleft()
        if len(times) >= most:
            return times[0] + seconds - now
        times.append(now)
        return 0.0

    def clear(self) -> None:
        self._times.clear()


class Cuttable:
    """An ASGI app whose handlers can reset their connection, see `cut`. For uvicorn."""

    def __init__(self, app: Any) -> None:
        self.app, self.state = app, app.state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            transport = getattr(getattr(send, "__self__", None), "transport", None)
            if transport is not None:
                scope[CUT] = transport.abort
        await self.app(scope, receive, send)


def files_of(files: Mapping[str, tuple[str, str, bytes]]) -> list[dict[str, Any]]:
    """For a ledger. files: by id, (name, media type, content)."""
    return [
        {"name": name, "type": kind, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, kind, content in files.values()
    ]


async def cut(scope: Scope, receive: Receive) -> None:
    """Reset the connection; what is sent after this reaches nobody."""
    scope[CUT]()
    await gone(receive)


async def gone(receive: Receive) -> None:
    """Until the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
