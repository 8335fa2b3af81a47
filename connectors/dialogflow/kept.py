"""What is remembered of sessions: contexts to give back, fields written. In memory, bounded, lost at a restart.

ES forgets contexts 20 minutes after the last query, and everything after 30. A person easily serves longer.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

MOST = 20_000
"""Sessions; the longest unused goes first."""

FORGETFUL_AFTER_MS = 15 * 60_000
"""After this, contexts are given back."""

MOST_AWAY = 1_000
"""Sessions that are kept alive at a time: each costs a request every few minutes."""


@dataclass
class Session:
    """used_at, away_at: ms; away_at 0 = the agent serves. pinged_at: last keep-alive."""

    contexts: tuple[dict[str, Any], ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    used_at: int = 0
    away_at: int = 0
    pinged_at: int = 0
    language: str = ""


class Sessions:
    """keep_ms: how long a session that is not used is remembered."""

    def __init__(self, keep_ms: int) -> None:
        self._keep_ms = keep_ms
        self._known: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def forgotten(self, session: str, now_ms: int) -> tuple[dict[str, Any], ...]:
        """The contexts that the service may not know any more; none while it surely does."""
        known = self._known.get(session)
        if known is None or now_ms - known.used_at > self._keep_ms:
            return ()
        is_due = known.away_at or now_ms - known.used_at > FORGETFUL_AFTER_MS
        return known.contexts if is_due else ()

    def used(self, session: str, now_ms: int, contexts: tuple[dict[str, Any], ...], language: str) -> None:
        """The agent answered in it."""
        known = self._known.setdefault(session, Session())
        known.contexts, known.used_at, known.away_at, known.language = contexts, now_ms, 0, language
        self._trim(session, now_ms)

    def language(self, session: str) -> str:
        """Of its last turn; empty = not known."""
        known = self._known.get(session)
        return known.language if known else ""

    def changed(self, session: str, fields: dict[str, str]) -> dict[str, str]:
        """Those that are new or other than the last time; parameters come with every answer."""
        known = self._known.setdefault(session, Session())
        new = {name: value for name, value in fields.items() if known.fields.get(name) != value}
        known.fields |= new
        return new

    def away(self, session: str, now_ms: int) -> None:
        """Somebody else serves; it may come back."""
        known = self._known.get(session)
        if known is not None:
            known.away_at = known.pinged_at = now_ms

    def over(self, session: str) -> None:
        self._known.pop(session, None)

    def due(self, now_ms: int, every_ms: int) -> list[tuple[str, Session]]:
        """Sessions that are to be kept alive now; not those that have been away for longer than is kept."""
        away = [each for each in self._known.items() if each[1].away_at and now_ms - each[1].away_at <= self._keep_ms]
        return [each for each in away[-MOST_AWAY:] if now_ms - each[1].pinged_at >= every_ms]

    def _trim(self, session: str, now_ms: int) -> None:
        self._known.move_to_end(session)
        while len(self._known) > MOST or now_ms - next(iter(self._known.values())).used_at > self._keep_ms:
            oldest = next(iter(self._known))
            if oldest == session:
                return
            del self._known[oldest]
