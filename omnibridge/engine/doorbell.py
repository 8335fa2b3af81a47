"""The engine's port: somebody rings for a key, and its drain runs; never twice at a time for one key.

The doorbell carries no data: journal and outbox are the only truth. After every ring `drain(key)` runs at
least once. Embedded: a dict of asyncio tasks. A cluster implements the same port with a message server; lost
rings are healed by the query that a node runs at start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar

import structlog

K = TypeVar("K", bound=Hashable)
_log = structlog.get_logger("omnibridge.doorbell")


class Doorbell(Protocol[K]):
    """What lanes and streams need of an engine."""

    def ring(self, key: K) -> None:
        """Have the key drained soon. Cheap, never blocks, may be called at any time."""

    def ring_at(self, key: K, delay_s: float) -> None:
        """Ring after a while; lost when the process ends, like every ring."""

    def serve(self, drain: Callable[[K], Awaitable[None]]) -> None:
        """Say what a ring runs."""


class EmbeddedDoorbell(Generic[K]):
    """One process: a dict of tasks. `retry_s`: pause before a drain that failed runs again."""

    def __init__(self, retry_s: float = 1.0) -> None:
        self._drain: Callable[[K], Awaitable[None]] | None = None
        self._again: dict[K, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._retry_s = retry_s
        self._open = True

    def serve(self, drain: Callable[[K], Awaitable[None]]) -> None:
        self._drain = drain

    def ring(self, key: K) -> None:
        if not self._open:
            return
        if key in self._again:
            self._again[key] = True
            return
        self._again[key] = False
        self._start(key)

    def ring_at(self, key: K, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known and known.when() <= loop.time() + delay_s:
            return
        if known:
            known.cancel()
        self._timers[key] = loop.call_later(delay_s, self._timed, key)

    def enter(self, key: K) -> bool:
        """Take an idle key for a moment, instead of ringing. False when its drain is running."""
        if key in self._again or not self._open:
            return False
        self._again[key] = False
        return True

    def leave(self, key: K) -> None:
        """Give back what `enter` took; rings that came meanwhile are served."""
        if self._again.pop(key, False):
            self.ring(key)

    async def aclose(self) -> None:
        """Stop: running drains are cancelled, later rings are ignored. Nothing is lost: rows stay."""
        self._open = False
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _timed(self, key: K) -> None:
        self._timers.pop(key, None)
        self.ring(key)

    def _start(self, key: K) -> None:
        task = asyncio.get_running_loop().create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: K) -> None:
        assert self._drain is not None, "serve() comes before ring()"
        try:
            while True:
                self._again[key] = False
                await self._drain(key)
                if not self._again[key]:
                    return
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("drain_failed", key=str(key))
            self.ring_at(key, self._retry_s)
        finally:
            self._again.pop(key, None)
