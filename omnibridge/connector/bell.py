"""What a connector rings that hears of changes in the other system: looks go by it, and by the clock as a sweep.

A ring says that there may be something to look at, never what: whoever looks reads the truth. So rings may be lost or
come twice; the sweep and the look's own guards are there for that.

    sweep finds something new ──▶ `missed` ──no ring within GRACE_S──▶ deaf: by the clock, until something rings

For a stream may stand, and nothing be told on it: because an admin did not select what it shall tell of.
"""

from __future__ import annotations

import asyncio

GAP_S = 1.0
"""Between two looks by a bell, however much rings: each costs calls that the other system counts."""

GRACE_S = 10.0
"""A sweep may come just before the ring."""


class Ringing:
    """One sort of look. rung: there is something to look at. is_deaf: sweeps find what does not ring.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        self.is_deaf = False
        self._next_at, self._is_late, self._n_heard = 0.0, False, 0

    def ring(self, *, is_heard: bool = True) -> None:
        """The first at once; those within the gap are one, at its end. is_heard: it shows that changes are told."""
        if is_heard:
            self._n_heard, self.is_deaf = self._n_heard + 1, False
        loop = asyncio.get_running_loop()
        if self._is_late:
            return
        if loop.time() >= self._next_at:
            self._next_at = loop.time() + GAP_S
            self.rung.set()
        else:
            self._is_late = True
            loop.call_at(self._next_at, self._ring_late)

    def missed(self) -> None:
        """A sweep found something that should have rung."""
        if not self.is_deaf:
            asyncio.get_running_loop().call_later(GRACE_S, self._doubt, self._n_heard)

    def _ring_late(self) -> None:
        self._is_late = False
        self._next_at = asyncio.get_running_loop().time() + GAP_S
        self.rung.set()

    def _doubt(self, n_heard: int) -> None:
        if self._n_heard == n_heard:
            self.is_deaf = True
            self.rung.set()  # who waits for the next sweep takes the usual pace


class Bell:
    """Of one router. answers: somebody may have answered. work: something may wait for us.

    is_live: whether all that changes is heard of; while it is not, looks go by the clock at their usual pace.
    """

    def __init__(self) -> None:
        self.answers, self.work = Ringing(), Ringing()
        self.is_live = False

    def ring(self, *, answers: bool = True, work: bool = True) -> None:
        """Something has changed. Returns at once, raises nothing."""
        if answers:
            self.answers.ring()
        if work:
            self.work.ring()

    def set_live(self, is_live: bool) -> None:
        """A change of it is a look: of what came before it, something may not have been heard."""
        if is_live is not self.is_live:
            self.is_live = is_live
            self.look()

    def look(self) -> None:
        """At both, though nothing was heard."""
        for each in (self.answers, self.work):
            each.ring(is_heard=False)
