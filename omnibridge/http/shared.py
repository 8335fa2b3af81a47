"""Streams of one client that share connections, where the server speaks HTTP/2; where not, each has its own.

What it speaks is agreed in the TLS handshake (ALPN). A connection is filled before the next is opened, and one at a
time is opened to a server: a hundred streams that begin at once find room on the first.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterable

import httpx2
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from omnibridge.http.http2 import Http2
from omnibridge.http.request import Origin
from omnibridge.http.shared_stream import NotProcessed, NotShared, SharedStream

SETTLED_S = 5.0
"""Longest time from the handshake to the server's settings."""
OWN_S = 3600.0
"""A server that spoke HTTP/1.1 is asked again after this."""
TRIES = 3
"""Connections on which the server may say that it did nothing with the request."""
NAMES = {"connection", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
"""Of HTTP/1.1 alone (RFC 9113, 8.2.2)."""

Connect = Callable[[Origin, asyncio.Protocol], Awaitable[object]]
"""Raises httpx2.TransportError. The protocol is told of the connection when it is secure."""


class _Place:
    """One server."""

    def __init__(self) -> None:
        self.connections: list[Http2] = []
        self.opening = asyncio.Lock()
        self.own_until = 0.0
        self.failed: tuple[float, type[httpx2.TransportError], str] | None = None


class Shared:
    """The connections of one client, for one event loop."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._places: dict[Origin, _Place] = {}
        self._leaving: weakref.WeakSet[Http2] = weakref.WeakSet()
        """They live for as long as their streams do."""

    async def open(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        *,
        idle_s: float,
        max_line_bytes: int,
    ) -> SharedStream | None:
        """With the head of its answer. None: this server speaks HTTP/1.1. Raises httpx2.TransportError.

        Headers were checked by who calls.
        """
        place = self._places.setdefault(origin, _Place())
        given = _fields(origin, method, target, headers)
        for left in range(TRIES)[::-1]:
            stream = SharedStream(idle_s, max_line_bytes)
            try:
                if not await self._begin(origin, place, stream, given):
                    return None
                await stream.head()
                return stream
            except NotShared:
                self._own(place)
                return None
            except NotProcessed as exc:
                if not left:
                    raise httpx2.ConnectError(str(exc)) from exc
            except BaseException:
                stream.close()
                raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        for each in [*self._leaving, *(each for place in self._places.values() for each in place.connections)]:
            each.close()

    async def _begin(self, origin: Origin, place: _Place, stream: SharedStream, headers: list[HeaderTuple]) -> bool:
        """False: not in HTTP/2."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        async with place.opening:
            if loop.time() < place.own_until:
                return False
            if place.failed is not None and place.failed[0] >= since:  # while this one waited in line
                raise place.failed[1](place.failed[2])
            fitting = [each for each in place.connections if each.room > 0]
            if fitting:
                found = max(fitting, key=lambda each: each.streams)
            else:
                try:
                    connected = await self._connected(origin, place)
                except httpx2.TransportError as exc:
                    place.failed = loop.time(), type(exc), str(exc)
                    raise
                if connected is None:
                    self._own(place)
                    return False
                found = connected
            found.begin(stream, headers)
        return True

    async def _connected(self, origin: Origin, place: _Place) -> Http2 | None:
        def gone(connection: Http2) -> None:
            if connection in place.connections:
                place.connections.remove(connection)
            self._leaving.add(connection)

        choice = _Choice(gone)
        await self._connect(origin, choice)
        found = choice.http2
        if found is None:
            choice.close()
            return None
        try:
            async with asyncio.timeout(SETTLED_S):
                is_settled = await asyncio.shield(found.settled)
        except BaseException as exc:
            found.close()
            if isinstance(exc, TimeoutError):
                raise httpx2.ConnectTimeout("the server does not say its settings") from exc
            raise
        if not is_settled or found.room < 1:
            found.close()
            raise httpx2.ConnectError("the server takes no streams over HTTP/2")
        place.connections.append(found)
        return found

    def _own(self, place: _Place) -> None:
        place.own_until = asyncio.get_running_loop().time() + OWN_S


class _Choice(asyncio.Protocol):
    """Hears of a secure connection, and leaves it to who speaks what was agreed. http2: None = HTTP/1.1."""

    def __init__(self, gone: Callable[[Http2], None]) -> None:
        self._gone = gone
        self.http2: Http2 | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            self.http2 = Http2(self._gone)
            transport.set_protocol(self.http2)
            self.http2.connection_made(transport)

    def close(self) -> None:
        if self.http2 is not None:
            self.http2.close()
        else:
            self._transport.close()


def _fields(origin: Origin, method: str, target: str, headers: Iterable[tuple[str, str]]) -> list[HeaderTuple]:
    """Those of the caller are never indexed: some are secret, and others of this stream alone."""
    fields = [
        HeaderTuple(b":method", method.encode()),
        HeaderTuple(b":scheme", origin.scheme.encode()),
        HeaderTuple(b":authority", origin.host.encode()),
        HeaderTuple(b":path", (target or "/").encode()),
    ]
    if origin.log_in:
        value = origin.log_in.partition(": ")[2].rstrip()
        fields.append(NeverIndexedHeaderTuple(b"authorization", value.encode()))
    for name, text in headers:
        if name.lower() not in NAMES:
            fields.append(NeverIndexedHeaderTuple(name.lower().encode(), text.strip().encode()))
    return fields
