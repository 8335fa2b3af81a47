"""One client's connection: handshake, pings, subscriptions and calls. Source: rocketchat-api 8.1, 8.4."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from omnibridge.sandbox.realtime.faults import Faults
from omnibridge.sandbox.realtime.frames import decode, encode, error_of
from omnibridge.sandbox.state import HubError, User, new_id

VERSIONS = ("1", "pre2", "pre1")
MAX_WAITING = 20_000
"""Frames for a client that does not read; then the hub hangs up."""

Call = Callable[["Session", list[Any]], Awaitable[Any]]


class Service(Protocol):
    """What a connection needs of the hub's realtime side."""

    faults: Faults

    def subscribe(self, sub: Subscription) -> None: ...

    def unsubscribe(self, sub: Subscription) -> None: ...

    async def call(self, session: Session, method: str, params: list[Any]) -> Any: ...


@dataclass(eq=False)
class Subscription:
    """visitor_token: what a visitor proves itself with; empty for users. is_collection: `added` comes first."""

    session: Session
    id: str
    name: str
    event: str
    visitor_token: str = ""
    is_collection: bool = False


class Nothing:
    """Result of a call that answers without the key `result`."""


class Session:
    """user: who has logged in. visitor_token: who has set up a livechat connection."""

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket, self._service = websocket, service
        self.id = new_id()
        self.user: User | None = None
        self.token = ""
        self.visitor_token = ""
        self.subs: dict[str, Subscription] = {}
        self.heard = time.monotonic()
        self._is_connected = False
        self._out: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._held: list[str] = []
        self._hung_up = asyncio.Event()
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Until either side hangs up."""
        await self._websocket.accept()
        self.send({"server_id": "0"})
        tasks = [asyncio.create_task(each()) for each in (self._read, self._work, self._write, self._watch)]
        tasks.append(asyncio.create_task(self._end()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for sub in list(self.subs.values()):
                self._service.unsubscribe(sub)
            self.subs.clear()
            self.ended.set()
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it may be gone already
                await self._websocket.close()
        for each in results:
            if isinstance(each, Exception) and not isinstance(each, WebSocketDisconnect):
                raise each

    def send(self, frame: dict[str, Any]) -> None:
        self._put(encode(frame))

    def send_event(self, text: str) -> None:
        """An encoded stream event, with the faults that may befall one."""
        held, self._held = self._held, []
        fate = self._service.faults.fate()
        if fate == "swap":
            self._held = [text]
            asyncio.get_running_loop().call_later(self._service.faults.swap_hold_ms / 1000, self._release, self._held)
        elif fate != "drop":
            for _ in range(2 if fate == "duplicate" else 1):
                self._put(text)
        for each in held:
            self._put(each)

    def hang_up(self) -> None:
        """At once: what waits to be sent is lost."""
        self._hung_up.set()

    async def _end(self) -> None:
        await self._hung_up.wait()

    def _release(self, held: list[str]) -> None:
        """What nothing has overtaken goes out late."""
        if held is self._held:
            self._held = []
            for each in held:
                self._put(each)

    def _put(self, text: str) -> None:
        if self._out.qsize() >= MAX_WAITING:
            self.hang_up()
        else:
            self._out.put_nowait((time.monotonic() + self._service.faults.delay_ms / 1000, text))

    async def _write(self) -> None:
        while (found := await self._out.get()) is not None:
            due, text = found
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            await self._websocket.send_text(text)

    async def _read(self) -> None:
        """Pings are answered at once, also while a call is worked on."""
        while True:
            frame = decode(await self._websocket.receive_text())
            self.heard = time.monotonic()
            kind = frame.get("msg") if frame else None
            if frame is None or not isinstance(kind, str):
                self.send({"msg": "error", "reason": "Bad request"})
            elif kind == "connect":
                self._connect(frame)
            elif not self._is_connected:
                self.send({"msg": "error", "reason": "Must connect first", "offendingMessage": frame})
            elif kind == "ping":
                if not self._service.faults.mute:
                    self.send({"msg": "pong", **({"id": frame["id"]} if "id" in frame else {})})
            elif kind != "pong":
                self._in.put_nowait(frame)

    def _connect(self, frame: dict[str, Any]) -> None:
        """Of a version that it does not know the hub tells its own, and hangs up."""
        if frame.get("version") in VERSIONS:
            self._is_connected = True
            self.send({"msg": "connected", "session": self.id})
        else:
            self.send({"msg": "failed", "version": VERSIONS[0]})
            self._out.put_nowait(None)

    async def _work(self) -> None:
        """One frame after another, as the real hub does for one connection."""
        while True:
            frame = await self._in.get()
            match frame["msg"]:
                case "method":
                    await self._method(frame)
                case "sub":
                    self._sub(frame)
                case "unsub":
                    self._unsub(str(frame.get("id")))
                case _:
                    self.send({"msg": "error", "reason": "Bad request", "offendingMessage": frame})

    async def _method(self, frame: dict[str, Any]) -> None:
        """`result`, then `updated`."""
        call_id, params = frame.get("id"), frame.get("params") or []
        answer: dict[str, Any] = {"msg": "result", "id": call_id}
        try:
            if not isinstance(params, list):
                raise HubError("400", "Match failed")
            result = await self._service.call(self, str(frame.get("method")), params)
            if not isinstance(result, Nothing):
                answer["result"] = result
        except HubError as exc:
            answer["error"] = error_of(exc)
        self.send(answer)
        self.send({"msg": "updated", "methods": [call_id]})

    def _sub(self, frame: dict[str, Any]) -> None:
        sub_id, name, params = str(frame.get("id")), str(frame.get("name")), frame.get("params") or []
        if sub_id in self.subs:
            return
        sub = Subscription(self, sub_id, name, str(params[0]) if params else "")
        options = params[1] if len(params) > 1 else False
        if isinstance(options, dict):
            sub.is_collection = options.get("useCollection") is True
            given = options.get("args")
            extra = given[0] if isinstance(given, list) and given else None
            if isinstance(extra, dict):
                sub.visitor_token = str(extra.get("visitorToken") or extra.get("token") or "")
        else:
            sub.is_collection = options is True
        try:
            self._service.subscribe(sub)
        except HubError as exc:
            self.send({"msg": "nosub", "id": sub_id, "error": error_of(exc)})
            return
        self.subs[sub_id] = sub
        if sub.is_collection:
            fields = {"eventName": sub.event}
            self.send({"msg": "added", "collection": name, "id": "id", "fields": fields})
        self.send({"msg": "ready", "subs": [sub_id]})

    def _unsub(self, sub_id: str) -> None:
        if sub := self.subs.pop(sub_id, None):
            self._service.unsubscribe(sub)
        self.send({"msg": "nosub", "id": sub_id})

    async def _watch(self) -> None:
        """After silence a ping; after as much again the end. Looks often, for the time can be changed meanwhile."""
        pinged = 0.0
        while True:
            faults, quiet = self._service.faults, time.monotonic() - self.heard
            if quiet >= 2 * faults.silence_ms / 1000 and pinged > self.heard:
                return
            if quiet >= faults.silence_ms / 1000 and pinged < self.heard and not faults.mute:
                pinged = time.monotonic()
                self.send({"msg": "ping"})
            await asyncio.sleep(min(0.25, faults.silence_ms / 4000))
