"""Named points at which the crash test kills the process. Off unless asked for; costs one comparison then.

Points, in the order a message passes them: see POINTS. The kill is SIGKILL: no handler, no flush.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
InFlight = Callable[[Awaitable[T]], Awaitable[T]]
"""Awaits a call that cannot be repeated; the crash test dies in it."""

SENT_PAUSE_S = 0.003
"""The crash test kills this long after a request left: long enough to arrive, too short for the answer."""

POINTS = (
    "start_up",
    "before_journal_commit",
    "commit_to_200",
    "200_to_route",
    "outbox_to_send",
    "sent_to_response",
    "response_to_settle",
    "bot_answer_to_journal",
)

DECISION_POINTS = (
    "outbox_to_send/AskDecider",
    "response_to_settle/AskDecider",
    "decision_to_answer",
    "outbox_to_send/EnsureAgent",
    "response_to_settle/EnsureAgent",
    "outbox_to_send/AssignAgent",
    "sent_to_response",
    "response_to_settle/AssignAgent",
)
"""Those that a decision of an external system passes. `decision_to_answer`: it is durable, and not answered yet."""

ROUTING_POINTS = (
    "question_to_promise",
    "question_step",
    "asked_to_row",
    "answer_to_journal",
    "journal_to_row",
    "work_to_journal",
    "journal_to_push",
    "push_to_settle",
)
"""Those that a question to a routing system passes, and work that we route for one."""


class Faults:
    """`spec` is `point:n` or `point/Command:n`: die when the point is reached for the n-th time, with such a delivery.
    Empty = never."""

    def __init__(self, spec: str = "") -> None:
        point, _, count = spec.partition(":")
        self._point, _, self._command = point.partition("/")
        if self._point and self._point not in (*POINTS, *DECISION_POINTS, *ROUTING_POINTS):
            known = sorted({*POINTS, *ROUTING_POINTS, *(each.partition("/")[0] for each in DECISION_POINTS)})
            raise ValueError(f"unknown fault point {self._point!r}; known: {', '.join(known)}")
        self._left = int(count or 1)

    def wants(self, point: str, command: str = "") -> bool:
        """Whether reaching this point now would be the end; counts the visit. command: of the delivery, if any."""
        if point != self._point or (self._command and command != self._command):
            return False
        self._left -= 1
        return self._left == 0

    def reach(self, point: str, command: str = "") -> None:
        """Pass a point, or die at it."""
        if self.wants(point, command):
            die()

    async def in_flight(self, call: Awaitable[T]) -> T:
        """Await a call that cannot be taken back, or die while it is under way."""
        self.leaves()
        return await call

    def leaves(self) -> None:
        """A call that cannot be taken back is about to leave."""
        if self.wants("sent_to_response"):
            asyncio.get_running_loop().call_later(SENT_PAUSE_S, die)


def die() -> None:
    """As `kill -9` from outside."""
    os.kill(os.getpid(), signal.SIGKILL)
