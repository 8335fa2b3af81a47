"""How many calls may still be made today: the org counts them over the last 24 hours, and others need some too.

Three limits: our own share, the org's usage as each answer tells it (`Sforce-Limit-Info: api-usage=18/5000`), and a
refusal. After one, nothing is asked for a minute, then two, up to a quarter of an hour; the first call is a trial.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable

from connectors.salesforce_crm.trouble import Trouble

DAY_S = 86_400.0
BUCKET_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 900.0
USAGE_PAUSE_S = 300.0
_USAGE = re.compile(r"(?:^|[^-\w])api-usage=(\d+)/(\d+)")


class Budget:
    """own: calls of ours a day, 0 = any. reserve_percent: of the org's. now: seconds, monotonic."""

    def __init__(
        self,
        own: int = 0,
        reserve_percent: int = 20,
        now: Callable[[], float] = time.monotonic,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._own, self._reserve, self._now, self._first = own, reserve_percent, now, first_pause_s
        self._buckets: deque[tuple[float, int]] = deque()
        self._spent = 0
        self._until, self._pause_s = 0.0, 0.0
        self._why = ""
        self._trying = False
        self._lock = threading.Lock()

    def spend(self) -> None:
        """Before each call. Raises Trouble with the pause when there should be none."""
        with self._lock:
            now = self._now()
            if now < self._until:
                raise Trouble("limit", self._why, pause_s=self._until - now)
            if self._pause_s and self._trying:
                raise Trouble("limit", self._why, pause_s=min(self._first, 2.0))
            self._trying = bool(self._pause_s)
            while self._buckets and self._buckets[0][0] < now - DAY_S:
                self._spent -= self._buckets.popleft()[1]
            if self._own and self._spent >= self._own:
                self._trying = False
                raise Trouble("limit", "own-budget-spent", pause_s=self._buckets[0][0] + DAY_S - now)
            start = now - now % BUCKET_S
            if self._buckets and self._buckets[-1][0] == start:
                self._buckets[-1] = (start, self._buckets[-1][1] + 1)
            else:
                self._buckets.append((start, 1))
            self._spent += 1

    def told(self, usage: str) -> None:
        """The header of an answer; '' when there was none."""
        found = _USAGE.search(usage)
        if found is None:
            return
        used, total = int(found.group(1)), int(found.group(2))
        if total and used * 100 > total * (100 - self._reserve):
            with self._lock:
                self._until, self._why = self._now() + USAGE_PAUSE_S, "org-budget-spent"

    def ended(self, kind: str) -> None:
        """How a call went: `limit`, or anything else; '' = well."""
        with self._lock:
            self._trying = False
            if kind == "limit" and self._now() < self._until:
                return  # begun before the pause, beside the call that led to it: no second refusal
            if kind == "limit":
                self._pause_s = min(self._pause_s * 2 or self._first, LONGEST_PAUSE_S)
                self._until, self._why = self._now() + self._pause_s, "REQUEST_LIMIT_EXCEEDED"
            elif kind == "":
                self._pause_s = 0.0

    @property
    def spent(self) -> int:
        """Calls of the last 24 hours."""
        return self._spent
