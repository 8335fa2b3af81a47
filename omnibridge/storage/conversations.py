"""Conversations: load by room or id, save with a version check."""

from __future__ import annotations

from typing import Any

from omnibridge.errors import ConcurrentUpdate
from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import conversations

_insert = Insert(conversations, "id", "workspace", "room", "version", "closed", "state", "updated_at", ignore=True)
_update = "UPDATE conversations SET version = ?, closed = ?, state = ?, updated_at = ? WHERE id = ? AND version = ?"


def load(reader: Any, workspace: str, room: str) -> tuple[int, int, bytes] | None:
    """(id, version, state as JSON) of a room, or None."""
    row = reader.execute(
        "SELECT id, version, state FROM conversations WHERE workspace = ? AND room = ?", (workspace, room)
    ).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def room_of(reader: Any, conversation_id: int) -> tuple[str, str] | None:
    """(workspace, room) of a conversation."""
    row = reader.execute("SELECT workspace, room FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    return None if row is None else (row[0], row[1])


def save(
    cursor: Any,
    conversation_id: int,
    workspace: str,
    room: str,
    version: int,
    *,
    closed: bool,
    state: bytes,
    at: int,
) -> None:
    """Write version + 1 over `version`; version 0 = a new row. Raises ConcurrentUpdate when it has moved on."""
    if version == 0:
        written = _insert(cursor, conversation_id, workspace, room, 1, int(closed), state, at)
    else:
        cursor.execute(_update, (version + 1, int(closed), state, at, conversation_id, version))
        written = bool(cursor.rowcount)
    if not written:
        raise ConcurrentUpdate


def n_open(reader: Any) -> int:
    """Open conversations."""
    return int(reader.execute("SELECT count(*) FROM conversations WHERE closed = 0").fetchone()[0])
