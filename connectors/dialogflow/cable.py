"""The wire in front of the simulated service: unplugged, cut, slow to connect, or dead with the line open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

PREFACE = 24
HEADERS, SETTINGS, GOAWAY = 1, 4, 7
"""Of HTTP/2: bytes before the first frame, kinds of frames."""


class Cable:
    """Listens on a port of its own and passes bytes to another one. port: stays the same over `unplug` and `plug`.

    far_end: tells that other port, when the first connection is there.
    """

    def __init__(self, far_end: Callable[[], Awaitable[int]]) -> None:
        self._far_end = far_end
        # Bound, so that nobody else is given the port while the cable is unplugged.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port: int = self._place.getsockname()[1]
        self.is_dead = False
        self.connect_s = 0.0
        self.goaways = 0
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def plug(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._taken, "127.0.0.1", self.port)

    async def unplug(self) -> None:
        """Connections are refused from now on, and those that stand are gone."""
        server, self._server = self._server, None
        if server is not None:
            # A connection that is being accepted is made first: a server that is closed in that moment leaves it open.
            asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
            for _ in range(3):
                await asyncio.sleep(0)
            server.close()
        self.cut()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def aclose(self) -> None:
        await self.unplug()
        self._place.close()

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for each in self._passing:
            each.cancel()

    def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):  # that is what a cut is
            await asyncio.sleep(self.connect_s)
            if self.goaways:
                self.goaways -= 1
                await self._go_away(reader, writer)
                return
            inner, outer = await asyncio.open_connection("127.0.0.1", await self._far_end())
            ends.append(outer)
            await asyncio.gather(self._pump(reader, outer), self._pump(inner, writer))
        for each in ends:
            each.transport.abort()

    async def _go_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As a server that shuts down: it takes the first call and says that it looked at none (RFC 9113, 6.8)."""
        await reader.readexactly(PREFACE)
        writer.write(bytes((0, 0, 0, SETTINGS, 0, 0, 0, 0, 0)))
        while True:
            head = await reader.readexactly(9)
            await reader.readexactly(int.from_bytes(head[:3]))
            if head[3] == SETTINGS and not head[4]:
                writer.write(bytes((0, 0, 0, SETTINGS, 1, 0, 0, 0, 0)))
            if head[3] == HEADERS:
                writer.write(bytes((0, 0, 8, GOAWAY, 0, 0, 0, 0, 0)) + bytes(8))
                await writer.drain()
                writer.close()
                return

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                if not self.is_dead:
                    sink.write(data)
                    await sink.drain()
        sink.transport.abort()
