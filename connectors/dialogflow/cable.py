"""The wire in front of the simulated service: it can be unplugged, cut, and left dead with the line open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Cable:
    """Listens on a port of its own and passes bytes to another one. port: stays the same over `unplug` and `plug`.

    far_end: tells that other port, when the first connection is there.
    """

    def __init__(self, far_end: Callable[[], Awaitable[int]]) -> None:
        self._far_end = far_end
        self.port = 0
        self.is_dead = False
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def plug(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Connections are refused from now on, and those that stand are gone."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for each in list(self._ends):
            each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", await self._far_end())
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, outer}
        self._ends |= ends
        try:
            await asyncio.gather(self._pump(reader, outer), self._pump(inner, writer))
        finally:
            self._ends -= ends
            for each in ends:
                each.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                if not self.is_dead:
                    sink.write(data)
                    await sink.drain()
        sink.transport.abort()
