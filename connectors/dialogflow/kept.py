"""What is remembered of sessions: contexts to give back, fields written. Bounded; noted, so that a restart forgets
nothing of it.

ES forgets contexts 20 minutes after the last query, and everything after 30. A person easily serves longer.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from omnibridge.connector import MemoryNotes, Notes

MOST = 20_000
"""Sessions in memory; the longest unused goes first."""

FORGETFUL_AFTER_MS = 15 * 60_000
"""After this, contexts are given back."""

MOST_AWAY = 1_000
"""Sessions that are kept alive at a time: each costs a request every few minutes."""


class Session(msgspec.Struct, omit_defaults=True):
    """path: its full name, for the agent may be another one after a change of settings. used_at, away_at: ms;
    away_at 0 = the agent serves. pinged_at: last keep-alive."""

    path: str = ""
    contexts: tuple[dict[str, Any], ...] = ()
    fields: dict[str, str] = {}
    used_at: int = 0
    away_at: int = 0
    pinged_at: int = 0
    language: str = ""


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Session)


class Sessions:
    """By path. keep_ms: how long a session that is not used is remembered. notes: by the last part of the path."""

    def __init__(self, keep_ms: int, notes: Notes | None = None) -> None:
        self._keep_ms, self._notes = keep_ms, notes or MemoryNotes()
        self._known: OrderedDict[str, Session] = OrderedDict()
        self.not_noted = 0

    def __len__(self) -> int:
        return len(self._known)

    def take_up(self, prefix: str, now_ms: int) -> int:
        """After a start: those of this agent that are away, so that they are kept alive. Returns how many."""
        for session, _ in reversed(self._notes.newest(MOST)):
            known = self._noted(f"{prefix}{session}")
            if known is not None and known.away_at and now_ms - known.away_at <= self._keep_ms:
                self._known.setdefault(known.path, known)
        return len(self._known)

    def forgotten(self, session: str, now_ms: int) -> tuple[dict[str, Any], ...]:
        """The contexts that the service may not know any more; none while it surely does."""
        known = self._find(session)
        if known is None or now_ms - known.used_at > self._keep_ms:
            return ()
        is_due = known.away_at or now_ms - known.used_at > FORGETFUL_AFTER_MS
        return known.contexts if is_due else ()

    def used(self, session: str, now_ms: int, contexts: tuple[dict[str, Any], ...], language: str) -> None:
        """The agent answered in it. Noted with `changed`, at the end of the turn."""
        known = self._find_or_make(session)
        known.contexts = contexts if self._keep_ms else ()
        known.used_at, known.away_at, known.language = now_ms, 0, language
        self._trim(session, now_ms)

    def language(self, session: str) -> str:
        """Of its last turn; empty = not known."""
        known = self._find(session)
        return known.language if known else ""

    def changed(self, session: str, fields: dict[str, str]) -> dict[str, str]:
        """Those that are new or other than the last time; parameters come with every answer."""
        known = self._find_or_make(session)
        new = {name: value for name, value in fields.items() if known.fields.get(name) != value}
        known.fields = known.fields | new
        if known.contexts or known.fields or self._notes.get(_key(session)) is not None:
            self._note(known)
        return new

    def away(self, session: str, now_ms: int) -> None:
        """Somebody else serves; it may come back."""
        known = self._find(session)
        if known is not None:
            known.away_at = known.pinged_at = now_ms
            self._note(known)

    def over(self, session: str) -> None:
        self._known.pop(session, None)
        if self._notes.get(_key(session)) is not None:
            self._notes.put(_key(session), b"")

    def due(self, now_ms: int, every_ms: int) -> list[tuple[str, Session]]:
        """Sessions that are to be kept alive now; not those that have been away for longer than is kept."""
        away = [each for each in self._known.items() if each[1].away_at and now_ms - each[1].away_at <= self._keep_ms]
        return [each for each in away[-MOST_AWAY:] if now_ms - each[1].pinged_at >= every_ms]

    def _find(self, session: str) -> Session | None:
        if session not in self._known and (noted := self._noted(session)) is not None:
            self._known[session] = noted
        return self._known.get(session)

    def _find_or_make(self, session: str) -> Session:
        return self._find(session) or self._known.setdefault(session, Session(session))

    def _noted(self, session: str) -> Session | None:
        note = self._notes.get(_key(session))
        if note is None:
            return None
        try:
            found = _decoder.decode(note)
        except msgspec.DecodeError:  # of another version of this; it is written anew with the next turn
            return None
        return found if found.path == session else None

    def _note(self, known: Session) -> None:
        """One that is too large is remembered in memory alone."""
        try:
            self._notes.put(_key(known.path), _encode(known))
        except ValueError:
            self._notes.put(_key(known.path), b"")
            self.not_noted += 1

    def _trim(self, session: str, now_ms: int) -> None:
        self._known.move_to_end(session)
        while len(self._known) > MOST or now_ms - next(iter(self._known.values())).used_at > self._keep_ms:
            oldest = next(iter(self._known))
            if oldest == session:
                return
            del self._known[oldest]


def _key(session: str) -> str:
    return session.rpartition("/")[2]
