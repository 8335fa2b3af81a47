"""Servers that play a part byte by byte, and leave no connection behind when a test ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from socket import socket

from tests.ports import HERE, listen

PATIENCE_S = 30.0
Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StreamServer:
    """`play` is given each connection, which is closed when it returns. A client that leaves ends it.

    asyncio.start_server() forgets a connection that it accepts in the moment in which it is closed, and whoever ends
    a loop ends it before the sockets of the others are closed: some later test fails, when they are collected. Here
    each connection is a task, from the moment in which it is accepted to the one in which its socket is closed.
    """

    def __init__(self, play: Play, tls: ssl.SSLContext | None = None) -> None:
        self._play, self._tls = play, tls
        self._socket = listen(HERE, 0)
        self._socket.setblocking(False)
        self._serving: dict[asyncio.Task[None], socket] = {}
        self.port = int(self._socket.getsockname()[1])
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    async def aclose(self) -> None:
        """Nobody is listened to any more, and who is connected is cut off. Raises what a play has failed with."""
        if self._socket.fileno() == -1:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for _ in range(3):  # asyncio loses a connection of TLS that ends before it has begun
            await asyncio.sleep(0)
        for each in self._serving:
            each.cancel()
        ends = await asyncio.gather(*self._serving, return_exceptions=True)
        async with asyncio.timeout(PATIENCE_S):
            while any(each.fileno() != -1 for each in self._serving.values()):
                await asyncio.sleep(0)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = self._socket.accept()
            self._serving[asyncio.ensure_future(self._serve(connection))] = connection

    async def _serve(self, connection: socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._tls)
        except OSError:
            return  # no TLS, or not ours
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):  # the client left
                await self._play(reader, writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        finally:
            transport.abort()


@asynccontextmanager
async def stream_server(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[StreamServer]:
    server = StreamServer(play, tls)
    try:
        yield server
    finally:
        await server.aclose()
