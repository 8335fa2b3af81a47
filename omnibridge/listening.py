"""Sockets that listen, and the HTTP server behind one: the bridge's, and every simulator's."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

LOOKS_S = 0.005
"""How often a server that ends looks whether its last connection is gone; uvicorn takes 0.1 s even where none is."""

_log = logging.getLogger("uvicorn.error")


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
    """A listening TCP socket. The protocol is named, because asyncio sets TCP_NODELAY only then: without it
    small answers wait 40 ms for the other side's acknowledgement. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    return listening


async def accept_no_more(listening: socket.socket) -> None:
    """Before the server of the socket is closed. asyncio takes some rounds to make a connection of a socket that it
    accepted. A server that is closed in one of them loses the socket, open (`Server._attach` of CPython 3.11)."""
    asyncio.get_running_loop().remove_reader(listening)
    for _ in range(3):
        await asyncio.sleep(0)


class Serving:
    """One app on one listening socket, in the running event loop. options: of uvicorn's Config.

    uvicorn's own loop looks ten times a second whether it shall end, and when it ends it tells only the connections
    that it has when it begins to: one accepted in that moment holds it up for the whole grace, and is open even then.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket, *, grace_s: int, **options: Any) -> None:
        config = uvicorn.Config(app, access_log=False, **options)
        config.load()
        self.config, self._grace_s, self._socket = config, grace_s, listening
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises RuntimeError when the app's lifespan fails; then the socket is closed."""
        try:
            await self._server.startup(sockets=[self._socket])
        except SystemExit:
            self._socket.close()
            raise RuntimeError("the application does not start up") from None
        if self.config.date_header:
            self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Take no more connections, let what is under way end for `grace_s`, and leave none behind."""
        if self._ticking:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if not self._server.started:
            return self._socket.close()
        await self._accept_no_more()
        try:
            async with asyncio.timeout(self._grace_s):
                await self._end_connections()
        except TimeoutError:
            await self._cut_connections()
        await self._server.lifespan.shutdown()

    async def _accept_no_more(self) -> None:
        await accept_no_more(self._socket)
        for each in self._server.servers:
            each.close()
        self._socket.close()

    async def _end_connections(self) -> None:
        state = self._server.server_state
        while state.connections or state.tasks:
            for each in list(state.connections):
                if not each.transport.is_closing():
                    each.shutdown()
            await asyncio.sleep(LOOKS_S)

    async def _cut_connections(self) -> None:
        state = self._server.server_state
        tasks = list(state.tasks)
        _log.error("%s requests did not end within %s s: cut", len(tasks), self._grace_s)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        for each in list(state.connections):
            each.transport.abort()
        await asyncio.sleep(0)

    async def _tick(self) -> None:
        """Renews the Date header."""
        for counter in itertools.count(0, 10):
            await self._server.on_tick(counter)
            await asyncio.sleep(1)
