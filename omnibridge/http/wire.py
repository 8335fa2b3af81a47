"""HTTP/1.1 out: connections that stay open, on bare asyncio protocols; the bytes are parsed by httptools (llhttp).

A relay makes two calls for each message. On a general client they cost more than journal, routing and outbox together,
so this one knows only what we need: a request whose body is at hand, an answer that is read whole. No redirects,
cookies, proxies, compression or pipelining.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import aiohappyeyeballs
import httpx2

from omnibridge.http.connection import Answer, Connection
from omnibridge.http.lines import LineStream, OwnStream
from omnibridge.http.request import Origin, request_bytes
from omnibridge.http.tls import Secured, Sessions

if TYPE_CHECKING:
    from omnibridge.http.shared import Shared

CONNECT_S = 5.0
IDLE_S = 4.0
"""A connection without a request is closed after this. Node and uvicorn close theirs after five seconds, and a post on
one that is just being closed is uncertain: nobody knows whether it was read."""
NEXT_ADDRESS_S = 0.25
"""A host's next address is tried while the one before is still silent (RFC 8305)."""

FAILURES = (OSError, RuntimeError, ValueError)
"""To connect: refused, no such name, no route, no trust; uvloop's own; a name that cannot be one (`a..b`)."""

Judge = Callable[[str, str], None]
"""Host and address."""
Trust = Callable[[], ssl.SSLContext]


class Wire:
    """The connections of one client, for one event loop.

    max_connections: more calls than these wait in line. max_answer_bytes: 0 = any length. judge: asked about each
    address that a name leads to, right before connecting; what it raises (an OSError) is the ConnectError. trust: whose
    certificates; without, those that the system trusts. shares: the same for streams, which then share connections
    over HTTP/2 where the server speaks it; without, each has its own. Needs the package h2.
    """

    def __init__(
        self,
        max_connections: int,
        max_answer_bytes: int = 0,
        connect_s: float = CONNECT_S,
        judge: Judge | None = None,
        trust: Trust | None = None,
        shares: Trust | None = None,
    ) -> None:
        self._trust, self._sessions = trust or trusted, Sessions()
        self._shared = None if shares is None else self._sharing(shares)
        self._free, self._judge = asyncio.Semaphore(max_connections), judge
        self._max_answer_bytes, self._connect_s = max_answer_bytes, connect_s
        self._idle: dict[Origin, list[Connection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._streams: set[LineStream] = set()
        self._is_closed = False

    async def exchange(
        self, origin: Origin, method: str, target: str, headers: Iterable[tuple[str, str]], content: bytes | None
    ) -> Answer:
        """Send, and read whole, whatever the status. target: path and query, percent-encoded already.

        headers: all that are sent but Host, the length and the log-in of the URL. Raises httpx2.TransportError: only
        what certainly was not sent is a ConnectError, ConnectTimeout or UnsupportedProtocol.
        """
        request = request_bytes(origin, method, target, headers, content)
        async with self._free:
            if self._is_closed:
                raise httpx2.ConnectError("this client is closed")
            connection = self._take(origin)
            if connection is not None:
                try:
                    return await self._ask(connection, origin, request)
                except httpx2.RemoteProtocolError:
                    # Closed by the other side while it lay idle. What only reads may be sent again, on a new one.
                    if method != "GET" or connection.has_answered_part:
                        raise
            connection = Connection(self._max_answer_bytes)
            await self._connect(origin, connection)
            return await self._ask(connection, origin, request)

    @asynccontextmanager
    async def lines(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        content: bytes | None = None,
        *,
        idle_s: float,
        max_line_bytes: int,
    ) -> AsyncIterator[LineStream]:
        """The head is there, whatever the status; its lines are read as they come. See `LineStream`.

        On a connection of its own, or one that streams share: `max_connections` counts neither, it may stay for hours.
        """
        request = request_bytes(origin, method, target, headers, content)
        if self._is_closed:
            raise httpx2.ConnectError("this client is closed")
        stream: LineStream | None = None
        if self._shared is not None and origin.scheme == "https" and content is None:
            stream = await self._shared.open(
                origin, method, target, headers, idle_s=idle_s, max_line_bytes=max_line_bytes
            )
        if stream is None:
            stream = await self._own(origin, request, OwnStream(idle_s, max_line_bytes))
        self._streams.add(stream)
        try:
            del request, headers, content  # it may stay for hours
            yield stream
        finally:
            self._streams.discard(stream)
            stream.close()

    async def _own(self, origin: Origin, request: bytes, stream: OwnStream) -> OwnStream:
        await self._connect(origin, stream)
        self._streams.add(stream)
        try:
            await stream.open(request)
        except BaseException:
            self._streams.discard(stream)
            stream.close()
            raise
        return stream

    def _sharing(self, trust: Trust) -> Shared:
        from omnibridge.http.shared import Shared  # needs an extra

        sessions = Sessions()  # those of another context
        return Shared(lambda origin, protocol: self._connect(origin, protocol, trust, sessions))

    def close(self) -> None:
        """Calls that are under way fail by themselves or end; idle connections and streams are closed now."""
        self._is_closed = True
        for stream in self._streams:
            stream.close()
        if self._shared is not None:
            self._shared.close()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in (each for idle in self._idle.values() for each in idle):
            connection.close()
        self._idle.clear()

    async def _ask(self, connection: Connection, origin: Origin, request: bytes) -> Answer:
        try:
            return await connection.ask(request)
        finally:
            if connection.may_be_kept and not self._is_closed:
                self._keep(connection, origin)
            else:
                connection.close()

    def _take(self, origin: Origin) -> Connection | None:
        """The one that was used last; the others grow old and are closed."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.may_be_kept:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection, origin: Origin) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(origin, []).append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_S / 2, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Half of IDLE_S apart, and what lay idle for as long goes: none lives longer than IDLE_S."""
        self._sweeper = None
        oldest = loop.time() - IDLE_S / 2
        for origin, idle in list(self._idle.items()):
            kept = [each for each in idle if each.idle_since > oldest and each.may_be_kept]
            for each in idle:
                if each not in kept:
                    each.close()
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        if self._idle:
            self._sweeper = loop.call_later(IDLE_S / 2, self._sweep, loop)

    async def _connect(
        self, origin: Origin, protocol: asyncio.Protocol, trust: Trust | None = None, sessions: Sessions | None = None
    ) -> None:
        try:
            async with asyncio.timeout(self._connect_s):
                found = await connect(origin, protocol, self._judge, trust or self._trust, sessions or self._sessions)
        except TimeoutError as exc:
            raise httpx2.ConnectTimeout("no connection in time") from exc
        except FAILURES as exc:
            raise httpx2.ConnectError(str(exc)) from exc
        if self._is_closed:  # meanwhile: nobody would ever close this one
            found.close()
            raise httpx2.ConnectError("this client is closed")


def trusting(certificate: str) -> ssl.SSLContext:
    """Only who shows this certificate (PEM), or one that it signed, under the right name. TLS 1.2 and newer.

    Raises ValueError for what is no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError as exc:
        raise ValueError("not a certificate in PEM") from exc
    context.set_alpn_protocols(["http/1.1"])
    return context


async def connect(
    origin: Origin, protocol: asyncio.Protocol, judge: Judge | None, trust: Trust, sessions: Sessions
) -> asyncio.Transport | Secured:
    """`protocol` hears of the connection when it may be used. Put a time limit around it. Raises FAILURES."""
    plug = await _plug_to(origin, judge)
    loop = asyncio.get_running_loop()
    if origin.scheme != "https":
        return (await loop.create_connection(lambda: protocol, sock=plug))[0]
    with _closed_on_error(plug):
        secured = Secured(protocol, trust(), (origin.name, origin.port), sessions)
    await loop.create_connection(lambda: secured, sock=plug)
    await secured.secure()
    return secured


async def _plug_to(origin: Origin, judge: Judge | None) -> socket.socket:
    """A connected socket."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.name, origin.port, type=socket.SOCK_STREAM)
    if judge:
        for each in found:
            judge(origin.name, str(each[4][0]))
    plug = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1, loop=loop)
    with _closed_on_error(plug):
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plug


@contextmanager
def _closed_on_error(plug: socket.socket) -> Iterator[None]:
    """While it belongs to no transport."""
    try:
        yield
    except BaseException:
        plug.close()
        raise


@functools.cache
def trusted_for_streams() -> ssl.SSLContext:
    """The same, and HTTP/2 where the server speaks it."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@functools.cache
def trusted() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE. HTTP/1.1 only."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
