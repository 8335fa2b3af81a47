"""A circuit breaker per connection: a backend that keeps failing is left alone for a while.

closed -> (failures in a row) -> open until a time -> half open: one call may try -> closed or open again.
"""

from __future__ import annotations


class Breaker:
    """Times in ms. `failures`: in a row before it opens. `open_ms`: how long it stays open."""

    def __init__(self, failures: int = 5, open_ms: int = 5_000) -> None:
        self._limit, self._open_ms = failures, open_ms
        self._failed = 0
        self._open_until = 0
        self._trying = False

    def wait_until(self, now_ms: int) -> int:
        """0 = call now (and report how it went); else the time before which not to call."""
        if self._failed < self._limit:
            return 0
        if now_ms >= self._open_until and not self._trying:
            self._trying = True
            return 0
        return max(self._open_until, now_ms + 100)

    def succeeded(self) -> None:
        self._failed, self._trying = 0, False

    def failed(self, now_ms: int) -> None:
        self._failed += 1
        self._trying = False
        self._open_until = now_ms + self._open_ms

    @property
    def is_open(self) -> bool:
        return self._failed >= self._limit
