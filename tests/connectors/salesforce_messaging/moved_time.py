"""A world whose time can be moved: engine, event loop and org, all three by the same seconds.

Timers of the loop are due as soon as the time has passed them, so half an hour is over in seconds, and everything
else (sockets, database, engine) is real. Step by step, so that no step is longer than what waits is patient.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from omnibridge import bootstrap
from tests.connectors.salesforce_messaging.orgs import RunningOrg

STEP_S = 1.0
BREATH_S = 0.006
"""Real time for what a step has begun: sockets, and the database's thread."""
PATIENCE_S = 0.04
"""The same for short steps, which look how long something takes: a slow machine must not look like a slow bridge."""


class MovedTime:
    """Is a Clock. Begin it before the world, in the running loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sf: RunningOrg) -> None:
        self.ahead_s, self._sf = 0.0, sf
        monkeypatch.setattr(asyncio.get_running_loop(), "time", self.monotonic)
        monkeypatch.setattr(bootstrap, "SystemClock", lambda: self)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + int(self.ahead_s * 1000)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    async def pass_by(self, seconds: float, step_s: float = STEP_S) -> None:
        until = self.monotonic() + seconds
        while (left_s := until - self.monotonic()) > 0:
            self.ahead_s += min(step_s, left_s)
            self._sf.org.clock.ahead_s = self.ahead_s
            await asyncio.sleep(BREATH_S if step_s >= STEP_S else PATIENCE_S)

    async def until(self, holds: Callable[[], object], within_s: float, step_s: float = STEP_S) -> float:
        """Seconds that it took. Raises TimeoutError."""
        begin = self.monotonic()
        while not holds():
            if self.monotonic() - begin > within_s:
                raise TimeoutError(f"not within {within_s:g} s")
            await self.pass_by(step_s, step_s)
        return self.monotonic() - begin


def most_in_a_minute(sf: RunningOrg) -> int:
    """Messages that the org took in any 60 s of its clock, of one conversation at a time."""
    most = 0
    for conversation in sf.org.conversations:
        kinds = ("message", "file")
        times = [each["at"] for each in sf.org.desk if each["conversation"] == conversation and each["kind"] in kinds]
        most = max([most, *(sum(begin <= at < begin + 60_000 for at in times) for begin in times)])
    return most
