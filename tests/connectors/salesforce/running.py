"""A simulator on a socket that may go away and come back at the same address, with all that it knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from connectors.salesforce.simulator import ChatSimulator
from omnibridge.sandbox.server import Socket


class Running(ChatSimulator):
    url = ""
    _socket: Socket | None = None

    async def listen(self) -> None:
        self._socket = Socket(self.app(), "127.0.0.1", urlsplit(self.url).port or 0)
        await self._socket.start()
        self.url = self._socket.url

    async def hang_up(self) -> None:
        """From now on connections are refused."""
        socket, self._socket = self._socket, None
        if socket:
            await socket.stop()


Found = TypeVar("Found", bound=Running)


@asynccontextmanager
async def running(found: Found) -> AsyncIterator[Found]:
    await found.listen()
    try:
        yield found
    finally:
        found.release()
        await found.hang_up()
