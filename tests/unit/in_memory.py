"""A connection to a TLS server that is in memory too."""

from __future__ import annotations

import asyncio
import ssl


class InMemory(asyncio.Transport):
    """server: what it reads."""

    def __init__(self, server: ssl.MemoryBIO) -> None:
        super().__init__()
        self._server, self.is_closed = server, False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._server.write(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True
