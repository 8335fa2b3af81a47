"""Turns that take long: the visitor is told once that the bot is slow. One timer looks after all turns under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from omnibridge.clock import Clock
from omnibridge.storage.outbox import Delivery

SWEEP_S = 0.5
"""How often the turns under way are looked at; sooner when visitors are to be told sooner."""


class Notices:
    """notice_after_ms: how long a visitor waits for a bot before a word. is_slow: (row, workspace, room), has him told;
    may be called more than once for a row."""

    def __init__(
        self, clock: Clock, notice_after_ms: int, is_slow: Callable[[Delivery, str, str], Awaitable[None]]
    ) -> None:
        self._clock, self._notice_after_ms, self._is_slow = clock, notice_after_ms, is_slow
        self._turns: dict[int, tuple[Delivery, str, str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_s = min(SWEEP_S, max(0.02, notice_after_ms / 2000))

    def watch(self, row: Delivery, workspace: str, room: str) -> None:
        """A turn begins."""
        self._turns[row.id] = (row, workspace, room)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._sweep_s, self._sweep)

    def ended(self, row: Delivery) -> None:
        """Any delivery, a turn or not."""
        self._turns.pop(row.id, None)

    async def tell(self, row: Delivery, workspace: str, room: str, now: int) -> None:
        """If it is a turn, or a desk that cannot be reached, and it is time."""
        if row.command in ("SendToParty", "OpenSession") and now - row.created_at >= self._notice_after_ms:
            await self._is_slow(row, workspace, room)

    def close(self) -> None:
        """Look at nothing any more."""
        if self._timer:
            self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.now_ms()
        for row_id, (row, workspace, room) in list(self._turns.items()):
            if now - row.created_at >= self._notice_after_ms:
                del self._turns[row_id]
                task = asyncio.ensure_future(self.tell(row, workspace, room, now))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if self._turns:
            self._timer = asyncio.get_running_loop().call_later(self._sweep_s, self._sweep)
