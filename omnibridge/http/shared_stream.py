"""One of the streams that share a connection, and why it may begin again on another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import httpx2

from omnibridge.http.connection import AnswerTooLarge
from omnibridge.http.lines import LineStream

if TYPE_CHECKING:
    from omnibridge.http.http2 import Http2

SHORT = 4096
"""Shorter pieces are joined: of a byte each they would take sixty times their size."""


class NotProcessed(Exception):
    """The server says that it did nothing with the request: another connection may be tried. Before the head alone."""


class NotShared(NotProcessed):
    """The server wants HTTP/1.1 for this."""


class SharedStream(LineStream):
    """One stream of a connection."""

    __slots__ = ("_connection", "_number")

    def __init__(self, idle_s: float, max_line_bytes: int) -> None:
        super().__init__(idle_s, max_line_bytes)
        self._connection: Http2 | None = None
        self._number = 0

    @property
    def is_shared(self) -> bool:
        return True

    def began(self, connection: Http2, number: int) -> None:
        self._connection, self._number = connection, number

    def _taken(self, size: int) -> None:
        if self._connection is not None:
            self._connection.was_read(self._number, size)

    def _abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.leave(self._number, self._size)

    # -- what the connection tells ------------------------------------------------------------------------

    def answered(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            if name == b":status":
                self.status = int(value)
            else:
                self._raw.append((name, value))
        if self.headers.get("content-encoding", "identity").strip().lower() != "identity":
            self._fail(AnswerTooLarge("the answer is compressed"))
            return
        self._has_head = True
        self._wake()

    def came(self, data: bytes) -> None:
        if self._chunks and len(self._chunks[-1]) + len(data) <= SHORT:
            self._chunks[-1] += data
        elif data:
            self._chunks.append(data)
        self._size += len(data)
        self._wake()

    def ended(self) -> None:
        self._is_over = True
        self._wake()

    def broke(self, error: httpx2.TransportError | NotProcessed, cause: BaseException | None = None) -> None:
        self._fail(error, cause)

    @property
    def is_answered(self) -> bool:
        return self._has_head
