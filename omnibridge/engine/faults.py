"""Named points at which the crash test kills the process. Off unless asked for; costs one comparison then.

Points, in the order a message passes them: see POINTS. The kill is SIGKILL: no handler, no flush.
"""

from __future__ import annotations

import os
import signal

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


class Faults:
    """`spec` is `point:n`: die when the point is reached for the n-th time. Empty = never."""

    def __init__(self, spec: str = "") -> None:
        self._point, _, count = spec.partition(":")
        if self._point and self._point not in POINTS:
            raise ValueError(f"unknown fault point {self._point!r}; known: {', '.join(POINTS)}")
        self._left = int(count or 1)

    def wants(self, point: str) -> bool:
        """Whether reaching this point now would be the end; counts the visit."""
        if point != self._point:
            return False
        self._left -= 1
        return self._left == 0

    def reach(self, point: str) -> None:
        """Pass a point, or die at it."""
        if self.wants(point):
            die()


def die() -> None:
    """As `kill -9` from outside."""
    os.kill(os.getpid(), signal.SIGKILL)
