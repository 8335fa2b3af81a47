"""Messages of one conversation, one after the other and never more than the limit: 22 in a minute (reference 2.11)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

MOST, WINDOW_S = 22, 61.0
"""One second more than the minute: our clock and the other's tick differently."""


class Pacer:
    """now_s: a clock that does not jump. Who waits for a turn gets it in the order of asking.

    A message counts from when it was answered: it arrived before. After a restart what was sent before is not known;
    429 says so, and `pause` is for that.
    """

    def __init__(
        self,
        now_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most: int = MOST,
        window_s: float = WINDOW_S,
    ) -> None:
        self._now_s, self._sleep, self._most, self._window_s = now_s, sleep, most, window_s
        self._sent: dict[str, deque[float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._not_before: dict[str, float] = {}

    def wait_s(self, key: str) -> float:
        """Until one more may be sent; 0 = now."""
        now, sent = self._now_s(), self._sent.get(key, deque())
        while sent and sent[0] <= now - self._window_s:
            sent.popleft()
        until = self._not_before.get(key, now)
        if len(sent) >= self._most:
            until = max(until, sent[0] + self._window_s)
        return max(0.0, until - now)

    def pause(self, key: str, seconds: float) -> None:
        """Salesforce said 429."""
        self._not_before[key] = max(self._not_before.get(key, 0.0), self._now_s() + seconds)

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Send exactly one message inside. It counts however it ends."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            while (wait := self.wait_s(key)) > 0:
                await self._sleep(wait)
            try:
                yield
            finally:
                self._sent.setdefault(key, deque()).append(self._now_s())

    def forget(self, key: str) -> None:
        """The conversation is over. Not while somebody waits for a turn."""
        self._sent.pop(key, None)
        self._locks.pop(key, None)
        self._not_before.pop(key, None)
