"""Virtual time: a heap of things that will happen, and an event loop that jumps from one to the next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

FOREVER = 10**15
BEGINNING = 1_700_000_000_000


class Clockwork:
    """now: ms since the epoch. What is put in by `after` happens whether or not a process lives. Is a Clock."""

    def __init__(self, now: int = BEGINNING) -> None:
        self.now = now
        self._numbers = itertools.count()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []

    def after(self, ms: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + ms, next(self._numbers), what))

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000

    def advance(self, limit: int) -> bool:
        """Let the next thing happen that is due until `limit`, else go there. False when nothing was due."""
        if self._heap and self._heap[0][0] <= limit:
            at, _, what = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            what()
            return True
        if limit < FOREVER:
            self.now = max(self.now, limit)
        return False


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose waiting is the clockwork's advancing. frozen: time stands still."""

    def __init__(self, clockwork: Clockwork) -> None:
        super().__init__()
        self._clockwork = clockwork
        self._selector = self
        self.frozen = False

    def time(self) -> float:
        # From the beginning of the history: as large as a real date, sums of seconds would be rounded.
        return (self._clockwork.now - BEGINNING) / 1000

    def select(self, timeout: float | None) -> list[object]:
        if not self.frozen:
            wait_ms = FOREVER if timeout is None else math.ceil(timeout * 1000 - 1e-6)
            self._clockwork.advance(self._clockwork.now + max(0, wait_ms))
        return []

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """At once: what waits in a thread would let no virtual time pass."""
        future = self.create_future()
        future.set_result(func(*args))
        return future

    def _process_events(self, event_list: object) -> None:
        """There are none: nothing here has a file descriptor."""

    def _write_to_self(self) -> None:
        """There is nobody to wake: only one thread."""

    def kill(self) -> None:
        """End every task without letting time pass; whatever they still try must be ignored by their world."""
        self.frozen = True
        for _ in range(100):
            tasks = asyncio.all_tasks(self)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            self.call_soon(self.stop)
            self.run_forever()
        self.close()
