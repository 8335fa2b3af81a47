"""Running one node: service, socket, signals."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys

import structlog
import uvloop
from starlette.types import ASGIApp

from omnibridge import open_files
from omnibridge.bootstrap import Service
from omnibridge.config import Settings
from omnibridge.engine.faults import Faults
from omnibridge.errors import ConfigError
from omnibridge.listening import Serving, listen
from omnibridge.operator import local_socket
from omnibridge.storage.database import database_path

_log = structlog.get_logger("omnibridge.server")

SWITCH_S = 0.0005
"""How long a thread that wants the interpreter waits for a busy one: the writer thread, twice a commit."""


GARBAGE_AFTER = 50_000
"""Objects made before the collector looks for cycles: we make hardly any, and each look costs."""


class Node:
    """A service behind a socket, in the running event loop. url: known after `start`."""

    def __init__(self, settings: Settings, faults: Faults | None = None) -> None:
        self._settings = settings
        self.service = Service(settings, faults)
        self.url = ""
        self._serving: list[Serving] = []
        self._socket = local_socket.socket_path(database_path(settings.database_url))

    async def start(self) -> None:
        """Raises ConfigError when the address is taken, and what `Service.start` raises."""
        host, port = self._settings.server.host, self._settings.server.port
        try:
            await self.service.start()
        except BaseException:
            await self.service.stop()
            raise
        try:
            listening = listen(host, port)
        except OSError as exc:
            await self.service.stop()
            raise ConfigError(f"[server] cannot listen on {host}:{port}: {exc.strerror}") from exc
        try:
            commands = local_socket.listen(self._socket)
        except ConfigError:
            listening.close()
            await self.service.stop()
            raise
        self.url = f"http://{host}:{listening.getsockname()[1]}"
        self.service.listens_at(self.url)
        await self._serve(self.service.app(), listening)
        await self._serve(local_socket.create_app(self.service.operator(), self.service.commands()), commands)
        _log.info("listening", url=self.url)

    async def _serve(self, app: ASGIApp, listening: socket.socket) -> None:
        serving = Serving(
            app,
            listening,
            grace_s=5,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        await serving.start()
        self._serving.append(serving)

    async def stop(self) -> None:
        """Take no more requests, then stop the service. Nothing unfinished is lost."""
        self.service.end_polls()
        await asyncio.gather(*(each.stop() for each in self._serving))
        if self._serving:
            self._socket.unlink(missing_ok=True)
        self._serving.clear()
        await self.service.stop()


def serve(settings: Settings, faults: Faults) -> None:
    """Run until SIGINT or SIGTERM. Raises ConfigError, StorageError before anything is taken."""
    files = open_files.allow_many()
    if files < open_files.FEW:
        _log.warning("few_open_files", limit=files, do=open_files.DO)
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 50, 100)
    uvloop.run(_serve(settings, faults))


async def _serve(settings: Settings, faults: Faults) -> None:
    node = Node(settings, faults)
    await node.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task: asyncio.Task[object] = asyncio.create_task(node.service.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    await stop.wait()
    _log.info("stopping")
    await node.stop()
