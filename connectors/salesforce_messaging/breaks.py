"""Why one chat's stream is broken, in the log: each reason of a trouble once, and when it stands again."""

from __future__ import annotations

from collections.abc import Callable

from omnibridge.connector import DeliveryError

QUIET_S = 60.0
"""A stream that stood, and breaks again for the same reason within so long, says nothing new."""


class Breaks:
    """now_s: a clock that does not jump. log: as the context's."""

    __slots__ = ("_is_said", "_log", "_now_s", "_room", "_said", "_since")

    def __init__(self, room: str, now_s: Callable[[], float], log: Callable[..., None]) -> None:
        self._room, self._now_s, self._log = room, now_s, log
        self._said: dict[str, float] = {}
        self._since: float | None = None
        self._is_said = False

    def broke(self, reason: str) -> None:
        now = self._now_s()
        if self._since is None:
            self._since = now
            self._said = {each: at for each, at in self._said.items() if at > now - QUIET_S}
        if reason not in self._said:
            self._said[reason], self._is_said = now, True
            self._log("stream_broken", room=self._room, reason=reason)

    def stands(self) -> None:
        if self._since is not None and self._is_said:
            self._log("stream_back", room=self._room, gone_s=round(self._now_s() - self._since, 1))
        self._since, self._is_said = None, False


def reason_of(error: DeliveryError) -> str:
    """A code, and the kind of what failed: never its text, in which an address or a token may be."""
    cause = type(error.__cause__).__name__ if error.__cause__ is not None else ""
    return f"{error.code} ({cause})" if cause else error.code
