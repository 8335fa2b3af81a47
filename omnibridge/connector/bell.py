"""What a connector rings that hears of changes in the other system: looks go by it, and by the clock as a sweep.

A ring says that there may be something to look at, never what: whoever looks reads the truth. So rings may be lost or
come twice; the sweep and the look's own guards are there for that.
"""

from __future__ import annotations

import asyncio

GAP_S = 1.0
"""Between two looks by a bell, however much rings: each costs calls that the other system counts."""


class Ringing:
    """One sort of look. rung: there is something to look at. Belongs to one event loop."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        self._next_at, self._is_late = 0.0, False

    def ring(self) -> None:
        """The first at once; those within the gap are one, at its end."""
        loop = asyncio.get_running_loop()
        if self._is_late:
            return
        if loop.time() >= self._next_at:
            self._next_at = loop.time() + GAP_S
            self.rung.set()
        else:
            self._is_late = True
            loop.call_at(self._next_at, self._ring_late)

    def _ring_late(self) -> None:
        self._is_late = False
        self._next_at = asyncio.get_running_loop().time() + GAP_S
        self.rung.set()


class Bell:
    """Of one router. answers: somebody may have answered. work: something may wait for us.

    is_live: whether all that changes is heard of; while it is not, looks go by the clock at their usual pace.
    """

    def __init__(self) -> None:
        self.answers, self.work = Ringing(), Ringing()
        self.is_live = False

    def ring(self, *, answers: bool = True, work: bool = True) -> None:
        """Returns at once, raises nothing."""
        if answers:
            self.answers.ring()
        if work:
            self.work.ring()

    def set_live(self, is_live: bool) -> None:
        """A change of it is a ring: of what came before it, something may not have been heard."""
        if is_live is not self.is_live:
            self.is_live = is_live
            self.ring()
