"""One realtime connection: connect, log in, subscribe, be pinged, end. Source: rocketchat-api 8.1, 8.4.

Whoever reads from it hands each frame of livechat on; everything else of the protocol stays in here.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

from omnibridge.errors import OmnibridgeError
from omnibridge.rocketchat.realtime.frames import Change, Control, Dropped, read_frame

LARGEST = 16 * 1024 * 1024
"""As for a webhook's body."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Timing:
    """Seconds. connect: for the socket, and for each answer to what we ask. silence: after that much we ping.
    pong: then anything must come within this, or the connection is dead. first_pause, longest_pause: of the back-off.
    refused_pause: after the hub refused the log-in. stable: after that long the back-off begins anew."""

    connect: float = 10.0
    silence: float = 25.0
    pong: float = 10.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    refused_pause: float = 60.0
    stable: float = 30.0


class ConnectionLost(OmnibridgeError):
    """The connection is over, or never came about. Acts: the listener, which makes another."""


class LoginRefused(OmnibridgeError):
    """The hub does not know the token. Acts: operator."""


class NotSubscribed(OmnibridgeError):
    """The hub refused a stream. code: its error code."""

    def __init__(self, stream: str, code: str) -> None:
        super().__init__(f"{stream}: {code}")
        self.code = code


def realtime_url(url: str) -> str:
    """Address of the hub -> address of its socket, http as ws and https as wss."""
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/websocket", "", ""))


async def open_socket(url: str, timing: Timing) -> ClientConnection:
    """A socket to the hub. Raises ConnectionLost."""
    try:
        # The protocol has pings of its own; compression would cost more than loopback and TLS save here.
        return await connect(
            realtime_url(url),
            open_timeout=timing.connect,
            close_timeout=1.0,
            ping_interval=None,
            max_size=LARGEST,
            compression=None,
            proxy=None,
            user_agent_header="omnibridge",
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, WebSocketException) as exc:
        raise ConnectionLost(f"no connection: {type(exc).__name__}: {exc}") from exc


class Connection:
    """on_change: gets each frame of livechat, in order; while it waits, nothing more is read. count: outcome of each
    frame that is not of the protocol: `taken`, or why it was dropped."""

    def __init__(
        self,
        socket: ClientConnection,
        timing: Timing,
        on_change: Callable[[Change], Awaitable[None]],
        count: Callable[[str], None],
    ) -> None:
        self._socket, self._timing, self._on_change, self._count = socket, timing, on_change, count
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Control]] = {}
        self._seen_at = 0.0
        self._busy = False
        self.user_id = ""

    async def run(self) -> None:
        """Read until the connection ends. Raises ConnectionLost, always."""
        reading = asyncio.create_task(self._read())
        watching = asyncio.create_task(self._keep_alive())
        try:
            await asyncio.wait((reading, watching), return_when=asyncio.FIRST_COMPLETED)
            for each in (reading, watching):
                if each.done():
                    each.result()
            raise ConnectionLost("the connection ended")
        finally:
            reading.cancel()
            watching.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionLost("the connection ended"))

    async def log_in(self, token: str) -> None:
        """`connect`, then `login` by token. Raises LoginRefused, ConnectionLost."""
        hello = {"msg": "connect", "version": "1", "support": ["1", "pre2", "pre1"]}
        answer = await self._ask("connect", hello)
        if answer.msg != "connected":
            raise ConnectionLost("the hub speaks another version of the protocol")
        answer = await self.call("login", {"resume": token})
        if answer.error:
            raise LoginRefused(f"log-in refused ({answer.error})")

    async def call(self, method: str, *params: object) -> Control:
        """A method's result; its `error` is the caller's to judge. Raises ConnectionLost."""
        call_id = str(next(self._ids))
        return await self._ask(call_id, {"msg": "method", "method": method, "params": params, "id": call_id})

    async def subscribe(self, stream: str, event: str) -> str:
        """Listen to an event of a stream; returns the subscription's id. Raises NotSubscribed, ConnectionLost."""
        sub_id = f"s{next(self._ids)}"
        answer = await self._ask(sub_id, {"msg": "sub", "id": sub_id, "name": stream, "params": [event, False]})
        if answer.msg == "nosub":
            raise NotSubscribed(stream, answer.error or "nosub")
        return sub_id

    async def unsubscribe(self, sub_id: str) -> None:
        """Listen no more. The hub's confirmation is not waited for. Raises ConnectionLost."""
        await self._send({"msg": "unsub", "id": sub_id})

    async def aclose(self) -> None:
        """Close the socket. Raises nothing."""
        await self._socket.close()

    async def end(self, *tasks: asyncio.Task[None]) -> None:
        """For who used it: his tasks are cancelled; the socket is closed also when he is, while he waits for them."""
        for each in tasks:
            each.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self.aclose()

    async def _ask(self, key: str, frame: Mapping[str, object]) -> Control:
        future: asyncio.Future[Control] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        try:
            await self._send(frame)
            async with asyncio.timeout(self._timing.connect):
                return await future
        except TimeoutError:
            raise ConnectionLost(f"no answer to {frame['msg']}") from None
        finally:
            self._waiting.pop(key, None)

    async def _send(self, frame: Mapping[str, object]) -> None:
        try:
            await self._socket.send(_encode(frame).decode())
        except WebSocketException as exc:
            raise ConnectionLost(f"cut off: {exc}") from exc

    async def _read(self) -> None:
        now = asyncio.get_running_loop().time
        self._seen_at = now()
        while True:
            try:
                raw = await self._socket.recv(decode=False)
            except WebSocketException as exc:
                raise ConnectionLost(f"cut off: {exc}") from exc
            self._seen_at = now()
            frame = read_frame(raw)
            if isinstance(frame, Change):
                self._count("taken")
                self._busy = True
                await self._on_change(frame)
                self._busy = False
                self._seen_at = now()
            elif isinstance(frame, Dropped):
                self._count(frame.why)
            else:
                await self._control(frame)

    async def _control(self, frame: Control) -> None:
        if frame.msg == "ping":
            await self._send({"msg": "pong", "id": frame.id} if frame.id else {"msg": "pong"})
        elif frame.msg in ("connected", "failed"):
            self._answer("connect", frame)
        elif frame.msg in ("result", "nosub"):
            self._answer(frame.id, frame)
        elif frame.msg == "ready":
            for each in frame.subs:
                self._answer(each, frame)

    def _answer(self, key: str, frame: Control) -> None:
        future = self._waiting.get(key)
        if future is not None and not future.done():
            future.set_result(frame)

    async def _keep_alive(self) -> None:
        now = asyncio.get_running_loop().time
        self._seen_at = now()
        while True:
            silent = now() - self._seen_at
            if silent < self._timing.silence or self._busy:
                await asyncio.sleep(max(self._timing.silence - silent, self._timing.silence / 10))
                continue
            asked_at = now()
            await self._send({"msg": "ping", "id": f"p{next(self._ids)}"})
            await asyncio.sleep(self._timing.pong)
            if self._seen_at < asked_at and not self._busy:
                raise ConnectionLost("a ping was not answered")
