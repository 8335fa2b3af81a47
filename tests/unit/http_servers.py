"""Servers for the HTTP client that play each connection as a test wants it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from omnibridge.http import Answer, Origin, Wire
from tests.stream_server import StreamServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Way: a\r\nx-way: b\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Play = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


class Server:
    """Plays one connection after the other. requests: what came, per connection."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.requests: list[list[bytes]] = []
        self.ended = 0

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = StreamServer(self._serve, tls)
        self.port = self._server.port
        self.origin = Origin("https" if tls else "http", "127.0.0.1", self.port, f"127.0.0.1:{self.port}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.requests)
        self.requests.append([])
        try:
            await self._play(number, reader, writer)
        finally:
            self.ended += 1

    async def read(self, number: int, reader: asyncio.StreamReader) -> bytes:
        """One request, with its body."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
        request = head + await reader.readexactly(length)
        self.requests[number].append(request)
        return request

    async def stop(self) -> None:
        await self._server.aclose()


@asynccontextmanager
async def played(
    play: Play, *, tls: ssl.SSLContext | None = None, **options: int | float
) -> AsyncIterator[tuple[Server, Wire]]:
    server = Server(play)
    await server.start(tls)
    wire = Wire(int(options.pop("max_connections", 8)), **options)  # type: ignore[arg-type]
    try:
        yield server, wire
    finally:
        wire.close()
        await server.stop()


def answering(*parts: bytes, then_close: bool = False) -> tuple[Play, list[Server]]:
    """Each request gets the same answer, in these parts."""
    servers: list[Server] = []

    async def play(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await servers[0].read(number, reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if then_close:
                return

    return play, servers


async def get(wire: Wire, server: Server, target: str = "/") -> Answer:
    async with asyncio.timeout(30):
        return await wire.exchange(server.origin, "GET", target, (), None)


async def post(wire: Wire, server: Server, content: bytes = b"x") -> Answer:
    async with asyncio.timeout(30):
        return await wire.exchange(server.origin, "POST", "/", (), content)


class FakeTransport(asyncio.Transport):
    """Takes everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass
