"""An answer that is read line by line while it comes, for as long as it lasts: events of a server."""

from __future__ import annotations

import asyncio
from typing import cast

import httptools
import httpx2

from omnibridge.http.connection import HEAD_BYTES, AnswerTooLarge, Headers

HIGH, LOW = 65_536, 16_384
"""Bytes that nobody has read yet: from HIGH on the other side has to wait, until there are fewer than LOW."""


class Lines:
    """Bytes in, whole lines out, in whatever pieces they come. Lines end with LF, CR or CRLF, and are told without it.

    max_bytes: of one line; a longer one raises AnswerTooLarge.
    """

    __slots__ = ("_max", "_part", "_skips_lf")

    def __init__(self, max_bytes: int) -> None:
        self._max, self._part, self._skips_lf = max_bytes, bytearray(), False

    def feed(self, data: bytes) -> list[bytes]:
        if self._skips_lf and data.startswith(b"\n"):
            data = data[1:]
        self._skips_lf = data.endswith(b"\r") if data else False
        found = data.splitlines(keepends=True)
        lines: list[bytes] = []
        for each in found:
            self._part += each
            if len(self._part) > self._max:
                raise AnswerTooLarge(f"a line is longer than {self._max} bytes")
            if each.endswith((b"\n", b"\r")):
                lines.append(bytes(self._part.rstrip(b"\r\n")))
                self._part.clear()
        return lines

    def rest(self) -> bytes:
        """What came after the last line's end."""
        found = bytes(self._part)
        self._part.clear()
        return found


class LineStream:
    """One answer. Iterate it once; an answer that ends in good order ends the iteration, anything else raises.

    idle_s: longest time from line to line, or until the head; then httpx2.ReadTimeout. Bytes that make no line do not
    count: who drips them for ever is not alive. A broken connection is httpx2.ReadError. May be closed at any time,
    also while somebody waits for a line: he gets a ReadError.

    Thousands of these wait for hours: slots, lists and one timer instead of attributes, deques and time-outs. How the
    bytes come is of the classes below this one.
    """

    __slots__ = (
        "_chunks",
        "_error",
        "_has_head",
        "_idle_s",
        "_is_over",
        "_lines",
        "_raw",
        "_ready",
        "_size",
        "_waiter",
        "headers",
        "status",
    )

    def __init__(self, idle_s: float, max_line_bytes: int) -> None:
        self._idle_s, self._lines = idle_s, Lines(max_line_bytes)
        self._chunks: list[bytes] = []
        self._ready: list[bytes] = []
        """Newest first."""
        self._size = 0
        """Of the chunks."""
        self._raw: list[tuple[bytes, bytes]] = []
        self._has_head = self._is_over = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self.headers = Headers(self._raw)

    @property
    def is_shared(self) -> bool:
        """Other streams have the same connection."""
        return False

    async def head(self) -> None:
        """Wait for the head of the answer."""
        try:
            async with asyncio.timeout(self._idle_s):
                while not self._has_head:
                    self._check()
                    await self._more()
        except TimeoutError as exc:
            raise httpx2.ReadTimeout("no answer in time") from exc

    def __aiter__(self) -> LineStream:
        return self

    async def __anext__(self) -> bytes:
        if not self._ready:
            silent = asyncio.get_running_loop().call_later(self._idle_s, self._is_silent)
            try:
                while not self._ready:
                    await self._read()
            finally:
                silent.cancel()
        return self._ready.pop()

    def _is_silent(self) -> None:
        self._fail(httpx2.ReadTimeout(f"silent for {self._idle_s:g} s"))

    async def _read(self) -> None:
        """Some more bytes into lines. What came before an error is told before it."""
        if self._chunks:
            chunk = self._chunks.pop(0)
            self._size -= len(chunk)
            self._ready = self._lines.feed(chunk)[::-1]
            self._taken(len(chunk))
            return
        self._check()
        if not self._is_over:
            await self._more()
            return
        rest = self._lines.rest()
        if not rest:
            raise StopAsyncIteration
        self._ready.append(rest)

    async def rest(self, max_bytes: int = 4096) -> bytes:
        """The beginning of the body, for an answer that is no stream but an error."""
        found = bytearray()
        while len(found) < max_bytes:
            try:
                found += await self.__anext__() + b"\n"
            except (StopAsyncIteration, httpx2.TransportError):
                break
        return bytes(found[:max_bytes])

    def close(self) -> None:
        if not self._is_over:
            self._fail(httpx2.ReadError("the stream was closed"))
        else:
            self._abort()

    def _taken(self, size: int) -> None:
        """So many bytes of the body were read: more may come."""
        raise NotImplementedError

    def _abort(self) -> None:
        """Nothing more is wanted."""
        raise NotImplementedError

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    async def _more(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("somebody reads this stream already")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception, cause: BaseException | None = None) -> None:
        if self._error is None:
            error.__cause__ = cause
            self._error = error
        self._abort()
        self._wake()


class OwnStream(LineStream, asyncio.Protocol):
    """In HTTP/1.1, on a connection of its own."""

    __slots__ = ("_bare", "_is_framed", "_is_paused", "_parser", "_transport")

    def __init__(self, idle_s: float, max_line_bytes: int) -> None:
        super().__init__(idle_s, max_line_bytes)
        self._parser = httptools.HttpResponseParser(self)
        self._bare = 0
        self._is_framed = self._is_paused = False
        self._transport: asyncio.Transport | None = None

    async def open(self, request: bytes) -> None:
        """Send, and wait for the head of the answer."""
        assert self._transport is not None
        self._transport.write(request)
        await self.head()

    def _taken(self, size: int) -> None:
        if self._is_paused and self._size < LOW and self._transport:
            self._is_paused = False
            self._transport.resume_reading()

    def _abort(self) -> None:
        if self._transport:
            self._transport.abort()

    # -- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        if self._error is not None or self._is_over:
            return
        n_before = len(self._chunks)
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._fail(httpx2.ReadError(f"not an answer in HTTP/1.1 ({type(exc).__name__})"), exc)
        if self._bare > HEAD_BYTES and not self._is_over:
            self._fail(AnswerTooLarge("the head of the answer, or what follows its body, does not end"))
        if len(self._chunks) - n_before > 1:  # chunks of a byte each would take sixty times their size, and long
            self._chunks[n_before:] = [b"".join(self._chunks[n_before:])]
        if self._size > HIGH and not self._is_paused and self._transport and self._error is None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._has_head and not self._is_framed and exc is None:
            self._is_over = True
        elif not self._is_over:
            self._fail(httpx2.ReadError("the connection broke before the answer was complete"), exc)
        self._wake()

    # -- httptools --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_over:  # more than was asked for, in the same read: it must never become lines
            return
        self._raw.clear()
        self._is_framed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:  # a trailer, or another answer
            return
        self._raw.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._is_framed = True
        elif name.lower() == b"content-encoding" and value.strip().lower() != b"identity":
            self._fail(AnswerTooLarge("the answer is compressed"))

    def on_headers_complete(self) -> None:
        if not self._is_over:
            self.status = self._parser.get_status_code()
            self._has_head = self.status >= 200

    def on_body(self, body: bytes) -> None:
        if self._is_over:
            return
        self._chunks.append(body)
        self._bare = 0
        self._size += len(body)

    def on_message_complete(self) -> None:
        if self._has_head:  # else "continue": the answer follows
            self._is_over = True
            if self._transport:
                self._transport.close()
