"""One connection out: a request's bytes go, an answer's bytes come, llhttp reads them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

import httptools
import httpx2

HEAD_BYTES = 65_536
"""Longest head of an answer; also most that may come without a byte of the body: trailers, or what chunks say of
themselves, would grow without end, whatever was agreed about the body."""


_GONE = (ConnectionError, ssl.SSLEOFError)
"""Reset, or hung up without TLS's good-bye: an end like any other, unless something was to follow."""


class AnswerTooLarge(httpx2.ReadError):
    """The answer is longer than this client takes, or compressed: then its length cannot be known."""


class Headers(Mapping[str, str]):
    """Of an answer, decoded when somebody looks. Names in any case find their first value."""

    __slots__ = ("raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1")
        for each, value in self.raw:
            if each.lower() == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1").lower() for name, _ in self.raw))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.raw})


class Answer(NamedTuple):
    """headers: names in any case find their value."""

    status: int
    headers: Headers
    body: bytes


class Connection(asyncio.Protocol):
    """One connection, one call at a time."""

    def __init__(self, max_answer_bytes: int) -> None:
        self._limit = max_answer_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._bare = 0
        self._is_open = self._is_framed = self._has_head = False
        self.has_answered_part = False
        self.idle_since = 0.0

    @property
    def may_be_kept(self) -> bool:
        """Nothing is under way, and the other side wants to go on."""
        return self._is_open and self._waiting is None and not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Who stops waiting must close the connection. Raises httpx2.ConnectError: it is closed, nothing was sent."""
        if not self.may_be_kept:
            raise httpx2.ConnectError("the other side closed the connection before anything was sent")
        self._waiting = waiting = asyncio.get_running_loop().create_future()
        self.has_answered_part, self._size, self._bare = False, 0, 0
        self._transport.write(request)
        return waiting

    def close(self) -> None:
        """An idle one in good order; but who did not even read our request would keep us waiting with that."""
        self._is_open = False
        if self._waiting is None and not self._is_sending():
            self._transport.close()
        else:
            self._transport.abort()

    def _is_sending(self) -> bool:
        return not self._transport.is_closing() and self._transport.get_write_buffer_size() > 0

    # -- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._is_open = cast(asyncio.Transport, transport), True  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:  # nobody asked: it must never become the answer of the next call
            self.close()
            return
        self.has_answered_part = True
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._fail(httpx2.ReadError(f"not an answer in HTTP/1.1 ({type(exc).__name__})"), exc)
        if self._bare > HEAD_BYTES and self._waiting is not None:
            self._fail(AnswerTooLarge("the head of the answer, or what follows its body, does not end"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        if self._waiting is None:
            return
        if exc is None and self._has_head and not self._is_framed:
            self._complete()  # an old server's way to say that the body is over
        elif self.has_answered_part or not (exc is None or isinstance(exc, _GONE)):
            self._fail(httpx2.ReadError("the connection broke before the answer was complete"), exc)
        else:
            self._fail(httpx2.RemoteProtocolError("the other side closed the connection without an answer"), exc)

    # -- httptools --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._waiting is None:  # more than was asked for, in the same read
            self._is_open = False
        self._headers, self._body = [], []
        self._is_framed = self._has_head = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:  # a trailer: it must not say how to read what was read
            return
        self._headers.append((name, value))
        if len(name) in (14, 17) and name.lower() in (b"content-length", b"transfer-encoding"):
            self._is_framed = True
        elif self._limit and name.lower() == b"content-encoding" and value.strip().lower() != b"identity":
            self._fail(AnswerTooLarge("the answer is compressed"))

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._bare = 0
        if self._limit:
            self._size += len(body)
            if self._size > self._limit:
                self._fail(AnswerTooLarge(f"the answer is longer than {self._limit} bytes"))

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # "continue", or what may be used early: the answer follows
            self._has_head = False
            return
        # Answered before the request was read: what follows it would wait behind the rest of it, maybe for ever.
        self._is_open = self._is_open and self._parser.should_keep_alive() and not self._is_sending()
        self._complete()

    # -- the end of a call ------------------------------------------------------------------------------

    def _complete(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            waiting.set_result(Answer(self._parser.get_status_code(), Headers(self._headers), body))
        self._has_head = False

    def _fail(self, error: httpx2.TransportError, cause: Exception | None = None) -> None:
        waiting, self._waiting = self._waiting, None
        error.__cause__ = cause
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
        self._is_open = False
        self._transport.abort()
