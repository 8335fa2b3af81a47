"""The port through which a connector keeps something of a session over restarts."""

from __future__ import annotations

import asyncio

import structlog

from omnibridge.clock import Clock
from omnibridge.connector.context import LONGEST_NOTE
from omnibridge.storage import notes
from omnibridge.storage.database import Database

_log = structlog.get_logger("omnibridge.notes")


class DurableNotes:
    """Of one connection. A note rides on the next commit: that of the answer to the turn in which it was put, so that
    both are there after a crash, or none."""

    def __init__(self, database: Database, clock: Clock, connection: str) -> None:
        self._database, self._clock, self._connection = database, clock, connection
        self._written: dict[str, tuple[asyncio.Future[None], bytes]] = {}
        """Not durable yet, so not to be read from the database."""

    def get(self, session_id: str) -> bytes | None:
        if session_id in self._written:
            return self._written[session_id][1] or None
        return notes.get(self._database.reader, self._connection, session_id)

    def put(self, session_id: str, note: bytes) -> None:
        if len(note) > LONGEST_NOTE:
            raise ValueError(f"a note has at most {LONGEST_NOTE} bytes, not {len(note)}")
        connection, now_ms = self._connection, self._clock.now_ms()
        future = self._database.writer.submit_lazily(
            lambda cursor: (
                notes.put(cursor, connection, session_id, now_ms, note)
                if note
                else notes.remove(cursor, connection, session_id)
            )
        )
        self._written[session_id] = (future, note)
        future.add_done_callback(lambda done: self._done(session_id, done))

    def newest(self, most: int) -> list[tuple[str, bytes]]:
        return notes.newest(self._database.reader, self._connection, most)

    def _done(self, session_id: str, done: asyncio.Future[None]) -> None:
        if session_id in self._written and self._written[session_id][0] is done:
            del self._written[session_id]
        if not done.cancelled() and (failed := done.exception()):
            _log.error("note_not_kept", connection=self._connection, reason=str(failed))
