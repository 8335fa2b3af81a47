"""A time limit that many calls share: one timer in all, where `asyncio.timeout()` makes and cancels one each.

Made for the hot calls, of which nearly none reaches its limit; so a limit may be overrun by a twentieth.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class TimeLimit:
    """`async with limit():` raises TimeoutError in its body after `seconds`. For one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._grain = max(0.002, min(0.25, seconds / 20))
        self._open: dict[_Within, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> _Within:
        return _Within(self)

    def _enter(self, entry: _Within) -> None:
        loop = asyncio.get_running_loop()
        entry.due = loop.time() + self.seconds
        self._open[entry] = None
        if self._timer is None:
            self._timer = loop.call_later(self._grain, self._sweep)

    def _leave(self, entry: _Within) -> None:
        self._open.pop(entry, None)

    def _sweep(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for entry in list(self._open):
            if entry.due > now:
                break  # all have the same length: those behind it are due later
            del self._open[entry]
            entry.expire()
        if self._open:
            self._timer = loop.call_later(self._grain, self._sweep)


class _Within:
    """One use of a limit."""

    __slots__ = ("_cancelling", "_expired", "_limit", "_task", "due")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit, self._expired, self.due = limit, False, 0.0

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "only in a task"
        self._task, self._cancelling = task, task.cancelling()
        self._limit._enter(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit._leave(self)
        # As asyncio.timeout: only a cancellation that is ours, and no other one, becomes a TimeoutError.
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from exc

    def expire(self) -> None:
        self._expired = True
        self._task.cancel()
