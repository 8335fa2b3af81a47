"""A requests session as simple-salesforce gets it: with time-outs, without redirects and what the environment says.

The library gives no time-out, forces https on every address, and passes no further arguments on (reference 3.2). So an
adapter fills in the time-outs, and takes addresses of this machine back to http: the simulator's.

Those time-outs are between two bytes: an answer that comes a byte at a time would hold its thread for ever. So each
call has an end too, and whoever waits for the thread cuts its sockets then (`Adapter.cut_if_overdue`).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

READS = 3
"""Times the read time-out: so long one call may take in all,"""
BYTES_PER_S = 50_000
"""and as much longer as an upload takes at this pace."""


class Adapter(HTTPAdapter):
    """timeout: (connect, read) in seconds. plain: https addresses are answered by http."""

    def __init__(self, timeout: tuple[float, float], *, plain: bool) -> None:
        self._timeout, self._plain = timeout, plain
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._until: float | None = None
        super().__init__(pool_connections=2, pool_maxsize=2, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._sockets)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _pools(self._sockets)
        return manager

    def cut_if_overdue(self) -> None:
        """From any thread."""
        if self._until is None or time.monotonic() < self._until:
            return
        for each in list(self._sockets):
            with contextlib.suppress(OSError):  # it is closed
                each.shutdown(socket.SHUT_RDWR)

    def ended(self) -> None:
        """The answer has been read, or the call has failed."""
        self._until = None

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        options["timeout"] = self._timeout
        size = len(request.body) if isinstance(request.body, str | bytes) else 0
        self._until = time.monotonic() + self._timeout[0] + READS * self._timeout[1] + size / BYTES_PER_S
        if self._plain and request.url:
            request.url = "http://" + request.url.removeprefix("https://").removeprefix("http://")
        return super().send(request, *args, **options)


def _pools(sockets: WeakSet[socket.socket]) -> dict[str, Any]:
    """Pools of connections whose sockets are among these."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def make_session(
    timeout: tuple[float, float], *, plain: bool, proxy: str, answered: Callable[[Response], None]
) -> tuple[Session, Adapter]:
    """And the adapter that its calls go by. answered: sees each answer, in the thread that asked."""
    for name in ("urllib3", "simple_salesforce"):
        logging.getLogger(name).setLevel(logging.WARNING)  # at DEBUG it logs addresses, and SOQL is part of them
    session = Session()
    session.trust_env = False  # else .netrc could replace our token
    session.max_redirects = 0
    session.proxies = {"https": proxy} if proxy else {}
    adapter = Adapter(timeout, plain=plain)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)

    def look(response: Response, *_: Any, **__: Any) -> Response:
        answered(response)
        return response

    session.hooks["response"].append(look)
    return session, adapter
