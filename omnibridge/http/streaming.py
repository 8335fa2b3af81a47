"""Bodies that are too large for memory: one call on a connection of its own, piece by piece both ways.

A file is copied as slowly as its slower side: nothing is read ahead but one piece. No redirects, no compression, no
connection that is kept. Failures are those of `Wire`: only what certainly was not sent is a ConnectError,
ConnectTimeout or UnsupportedProtocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import httptools
import httpx2

from omnibridge.http.connection import HEAD_BYTES, AnswerTooLarge, Headers
from omnibridge.http.request import Origin, request_bytes
from omnibridge.http.tls import Sessions
from omnibridge.http.wire import CONNECT_S, FAILURES, Judge, connect, trusted

PIECE = 64 * 1024
SILENT_S = 30.0
"""Longest pause between two pieces, either way; and from the last that was sent to the answer."""


class _Ends(asyncio.StreamReaderProtocol):
    """Remembers how the connection ended. A reader that is told an error forgets what it has not given out yet."""

    error: Exception | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        super().connection_lost(None)


class Streamed:
    """An answer whose body is still to be read. size: as it says, None = not told."""

    def __init__(self, reader: asyncio.StreamReader, ends: _Ends, silent_s: float) -> None:
        self._reader, self._ends, self._silent_s = reader, ends, silent_s
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._has_head = self._is_over = False
        self._bare = 0
        self.status = 0

    @property
    def headers(self) -> Headers:
        return Headers(self._headers)

    @property
    def size(self) -> int | None:
        told = self.headers.get("content-length", "")
        return int(told) if told.isascii() and told.isdigit() and len(told) < 16 else None

    async def head(self) -> None:
        """Until status and headers are known, however long that takes. Raises httpx2.TransportError."""
        while not self._has_head:
            await self._feed()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. Raises httpx2.TransportError when it breaks off."""
        while True:
            for each in self._taken():
                yield each
            if self._is_over:
                return
            try:
                async with asyncio.timeout(self._silent_s):
                    await self._feed()
            except TimeoutError as exc:
                raise httpx2.ReadTimeout("the other side fell silent") from exc

    async def whole(self, most: int) -> bytes:
        """A small body. Raises AnswerTooLarge, httpx2.TransportError."""
        found = bytearray()
        async for each in self.pieces():
            found += each
            if len(found) > most:
                raise AnswerTooLarge(f"the answer is longer than {most} bytes")
        return bytes(found)

    def _taken(self) -> list[bytes]:
        taken, self._pieces = self._pieces, []
        return taken

    async def _feed(self) -> None:
        data = await self._reader.read(PIECE)
        if not data:
            self._ended()
            return
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            raise httpx2.ReadError(f"not an answer in HTTP/1.1 ({type(exc).__name__})") from exc
        if self._bare > HEAD_BYTES + PIECE and not self._is_over:
            raise AnswerTooLarge("the head of the answer, or what follows its body, does not end")

    def _ended(self) -> None:
        names = {name.lower() for name, _ in self._headers}
        is_framed = bool(names & {b"content-length", b"transfer-encoding"})
        if self._has_head and not is_framed and self._ends.error is None:
            self._is_over = True  # an old server's way to say that the body is over
        elif not self._is_over:
            raise httpx2.ReadError("the connection broke before the answer was complete") from self._ends.error

    # -- httptools --------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # else a trailer, or another answer, that nobody asked for
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._has_head:
            return
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._has_head = True
        else:  # "continue": the answer follows
            self._headers = []

    def on_body(self, body: bytes) -> None:
        if not self._is_over:
            self._pieces.append(body)
            self._bare = 0

    def on_message_complete(self) -> None:
        self._is_over = self.status >= 200


@asynccontextmanager
async def stream(
    origin: Origin,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    body: AsyncIterable[bytes] | None = None,
    length: int = 0,
    judge: Judge | None = None,
    connect_s: float = CONNECT_S,
    silent_s: float = SILENT_S,
) -> AsyncIterator[Streamed]:
    """One call; the connection is closed at the end, whatever was read. target: percent-encoded already.

    body: exactly `length` bytes. judge: as `Wire` has it. An answer that comes before the body was sent ends the
    sending: a side that refuses a file need not read it.
    """
    head = request_bytes(origin, method, target, headers, None if body is None else b"")
    if body is not None:
        head = head.replace(b"\r\nContent-Length: 0\r\n", b"\r\nContent-Length: %d\r\n" % length, 1)
    head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(2 * PIECE, loop)
    ends = _Ends(reader, loop=loop)
    try:
        async with asyncio.timeout(connect_s):
            found = await connect(origin, ends, judge, trusted, Sessions())
    except TimeoutError as exc:
        raise httpx2.ConnectTimeout("no connection in time") from exc
    except FAILURES as exc:
        raise httpx2.ConnectError(str(exc)) from exc
    transport = cast(asyncio.Transport, found)  # TLS is no subclass of it
    transport.set_write_buffer_limits(high=4 * PIECE)
    writer = asyncio.StreamWriter(transport, ends, reader, loop)
    answer = Streamed(reader, ends, silent_s)
    reading = asyncio.create_task(answer.head())
    try:
        await _send(writer, head, body, reading, silent_s)
        if not (await asyncio.wait([reading], timeout=silent_s))[0]:
            raise httpx2.ReadTimeout("the other side fell silent")
        reading.result()
        yield answer
    finally:
        transport.abort()  # before anything that may be cancelled
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _send(
    writer: asyncio.StreamWriter,
    head: bytes,
    body: AsyncIterable[bytes] | None,
    reading: asyncio.Task[None],
    silent_s: float,
) -> None:
    """Until all is sent, or the answer is there. A broken connection is told by the answer that does not come."""
    try:
        writer.write(head)
        if body is not None:
            async for piece in body:
                writer.write(piece)
                async with asyncio.timeout(silent_s):
                    await writer.drain()
                if reading.done():
                    return
        async with asyncio.timeout(silent_s):
            await writer.drain()
    except TimeoutError as exc:
        raise httpx2.WriteTimeout("the other side does not read") from exc
    except OSError as exc:
        if not reading.done():  # it may have answered why before it hung up
            await asyncio.wait([reading], timeout=1.0)
        if not reading.done() or reading.exception() is not None:
            raise httpx2.WriteError("the connection broke while something was sent") from exc
