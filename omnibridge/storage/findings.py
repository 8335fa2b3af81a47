"""What analysers found: kept by message, analyser and its version, until it expires.

A text is known by the id of the event that brought it. An edit or a deletion is written down as the event after
which nothing of older texts may be kept; so a finding that is late cannot come back.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from omnibridge.storage.tables import metadata

WAITING, READY = 0, 1
"""findings.state: the analyser's system posts it later; there."""

findings = Table(
    "findings",
    metadata,
    Column("workspace", String, primary_key=True),
    Column("room", String, primary_key=True),
    Column("message_id", String, primary_key=True),
    Column("analyser", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("event_id", BigInteger, nullable=False),  # of the text that was looked at
    Column("state", Integer, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("items", LargeBinary, nullable=False),  # list of Finding as JSON
)
Index("ix_findings_expires", findings.c.expires_at)

message_changes = Table(
    "message_changes",
    metadata,
    # The last edit or deletion of messages in conversations that are analysed.
    Column("workspace", String, primary_key=True),
    Column("room", String, primary_key=True),
    Column("message_id", String, primary_key=True),
    Column("event_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("ix_message_changes_at", message_changes.c.at)

transcripts = Table(
    "transcripts",
    metadata,
    # Which were handed over.
    Column("workspace", String, primary_key=True),
    Column("room", String, primary_key=True),
    Column("analyser", String, primary_key=True),
    Column("at", BigInteger, nullable=False),
)


class Found(msgspec.Struct, frozen=True):
    """A row. items: JSON."""

    message_id: str
    analyser: str
    version: str
    event_id: int
    made_at: int
    items: bytes


_IS_CHANGED = (
    "SELECT 1 FROM message_changes WHERE workspace = ? AND room = ? AND message_id = ? AND event_id > ? LIMIT 1"
)
# A row that is there for the same text stays, but for one that waits: what comes twice is kept once.
_KEEP = (
    "INSERT INTO findings "
    "(workspace, room, message_id, analyser, version, event_id, state, made_at, expires_at, items) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (workspace, room, message_id, analyser, version) DO UPDATE SET "
    "event_id = excluded.event_id, state = excluded.state, made_at = excluded.made_at, "
    "expires_at = excluded.expires_at, items = excluded.items "
    "WHERE excluded.event_id > findings.event_id "
    "OR (excluded.event_id = findings.event_id AND findings.state = 0 AND excluded.state = 1)"
)


def keep(
    cursor: Any,
    place: tuple[str, str, str],
    analyser: str,
    version: str,
    event_id: int,
    state: int,
    made_at: int,
    expires_at: int,
    items: bytes,
) -> bool:
    """place: workspace, room, message. False when nothing was written: the text has changed since, or it is there."""
    if is_changed(cursor, place, event_id):
        return False
    cursor.execute(_KEEP, (*place, analyser, version, event_id, state, made_at, expires_at, items))
    return bool(cursor.rowcount)


def change(cursor: Any, place: tuple[str, str, str], event_id: int, at: int) -> None:
    """A message was edited or deleted: what was found of its older texts goes, also what has yet to come."""
    cursor.execute(
        "INSERT INTO message_changes (workspace, room, message_id, event_id, at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (workspace, room, message_id) DO UPDATE SET event_id = excluded.event_id, at = excluded.at",
        (*place, event_id, at),
    )
    cursor.execute(
        "DELETE FROM findings WHERE workspace = ? AND room = ? AND message_id = ? AND event_id < ?", (*place, event_id)
    )


def is_changed(reader: Any, place: tuple[str, str, str], event_id: int) -> bool:
    """Whether there is a newer text than that of the event, or none any more."""
    return reader.execute(_IS_CHANGED, (*place, event_id)).fetchone() is not None


def is_ready(reader: Any, place: tuple[str, str, str], analyser: str, event_id: int) -> bool:
    """Whether findings of exactly this text are there."""
    sql = (
        "SELECT 1 FROM findings WHERE workspace = ? AND room = ? AND message_id = ? AND analyser = ? "
        "AND event_id = ? AND state = 1 LIMIT 1"
    )
    return reader.execute(sql, (*place, analyser, event_id)).fetchone() is not None


def of_room(reader: Any, workspace: str, room: str, now_ms: int, most: int = 1_000) -> list[Found]:
    """The last so many, in the order in which the messages were said."""
    sql = (
        "SELECT message_id, analyser, version, event_id, made_at, items FROM findings WHERE workspace = ? "
        "AND room = ? AND state = 1 AND expires_at > ? ORDER BY event_id DESC, analyser DESC LIMIT ?"
    )
    rows = reader.execute(sql, (workspace, room, now_ms, most)).fetchall()
    return [Found(row[0], row[1], row[2], row[3], row[4], bytes(row[5])) for row in reversed(rows)]


def hand_over(cursor: Any, workspace: str, room: str, analyser: str, at: int) -> None:
    """The transcript is with the analyser."""
    cursor.execute(
        "INSERT OR IGNORE INTO transcripts (workspace, room, analyser, at) VALUES (?, ?, ?, ?)",
        (workspace, room, analyser, at),
    )


def is_handed_over(reader: Any, workspace: str, room: str, analyser: str) -> bool:
    """Whether it is."""
    sql = "SELECT 1 FROM transcripts WHERE workspace = ? AND room = ? AND analyser = ?"
    return reader.execute(sql, (workspace, room, analyser)).fetchone() is not None


def purge(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete what has expired before."""
    cursor.execute(
        "DELETE FROM findings WHERE rowid IN (SELECT rowid FROM findings WHERE expires_at < ? LIMIT ?)",
        (before_ms, limit),
    )
    return int(cursor.rowcount)


def purge_changes(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete the notes of changes: what would be late by so much is not accepted any more."""
    cursor.execute(
        "DELETE FROM message_changes WHERE rowid IN (SELECT rowid FROM message_changes WHERE at < ? LIMIT ?)",
        (before_ms, limit),
    )
    return int(cursor.rowcount)


def purge_transcripts(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete the notes of transcripts. The oldest rows are looked at, not all."""
    cursor.execute(
        "DELETE FROM transcripts WHERE rowid IN (SELECT rowid FROM transcripts ORDER BY rowid LIMIT ?) AND at < ?",
        (limit, before_ms),
    )
    return int(cursor.rowcount)


def deleted_in(reader: Any, conversation_id: int) -> set[str]:
    """Ids of messages of a conversation that were deleted."""
    sql = "SELECT substr(key, 5) FROM events WHERE conversation_id = ? AND key LIKE 'del:%'"
    return {row[0] for row in reader.execute(sql, (conversation_id,))}
