"""Who asks for news of which chat, looked at again and again: how long chats are alone after a kill."""

from __future__ import annotations

import asyncio
import time

from tests.soak.desk_side import DeskSide

EVERY_S = 0.05


class Watch:
    """resumed_s: for each start of the process after which all chats that were open before were followed again, how
    long that took from the start of the process; there is none where it was killed before. longest_alone_s: that any
    chat was not followed, until it was over for one of its sides; alone: which one that was.

    ended: rooms of which it is over.
    """

    def __init__(self, side: DeskSide, ended: set[str]) -> None:
        self._side, self._ended = side, ended
        self._since: float | None = None
        self._waiting: set[str] = set()
        self._alone: dict[str, float] = {}
        self.resumed_s: list[float] = []
        self.longest_alone_s, self.alone = 0.0, ""

    def started(self) -> None:
        """The process is about to be started; the one before is dead."""
        self._side.prune()
        self._since, self._waiting = time.monotonic(), set(self._side.live)

    async def run(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(EVERY_S)

    def _look(self) -> None:
        side, now = self._side, time.monotonic()
        side.prune()
        for each in side.live:
            if side.is_followed(each):
                self._waiting.discard(each)
                self._alone.pop(each, None)
            elif side.rooms[each] not in self._ended:
                alone_s = now - self._alone.setdefault(each, now)
                if alone_s > self.longest_alone_s:
                    self.longest_alone_s, self.alone = alone_s, side.rooms[each]
        if self._since is not None:
            self._waiting &= side.live.keys()
            if not self._waiting:
                self.resumed_s.append(now - self._since)
                self._since = None


def p99(times: list[float]) -> float:
    return round(sorted(times or [0.0])[int(len(times) * 0.99) if times else 0], 3)
