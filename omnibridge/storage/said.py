"""What was said in a conversation, from the journal, in order; without a scan of the outbox.

The rows that a decision makes have the ids that follow its event's: an event and its rows get theirs in one go. So
they are read behind the event by id, up to the first row of another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

TOLD = ("MessagePosted", "MessageEdited", "MessageDeleted", "InteractionReceived", "AgentAssigned")
WORDS = ("SendToVisitor", "SystemText")
ROWS = 128
"""That one decision may make."""


class Told(msgspec.Struct, frozen=True):
    """An event, or a message of ours. state: of its delivery, as in the outbox; 1 for events. code: of the delivery.
    message_id: of ours. settled_at: 0 = not yet. file: name of the file that is in the room in place of the words,
    which are for when it could not be uploaded."""

    id: int
    at: int
    kind: str
    data: bytes
    connection: str = ""
    state: int = 1
    code: str = ""
    message_id: str = ""
    settled_at: int = 0
    file: str = ""


def told(reader: Any, conversation_id: int, from_id: int) -> Iterator[Told]:
    """From this id on, oldest first. from_id: of an event or a delivery, 0 = from the start."""
    first = reader.execute(
        "SELECT coalesce(max(id), 0) FROM events WHERE conversation_id = ? AND id <= ?", (conversation_id, from_id)
    ).fetchone()[0]
    rows = reader.execute(
        "SELECT id, at, kind, data, instr(decision, CAST('SendToVisitor' AS BLOB)) FROM events "
        "WHERE conversation_id = ? AND id >= ? ORDER BY id",
        (conversation_id, first),
    ).fetchall()
    for event_id, at, kind, data, speaks in rows:
        if kind in TOLD and event_id >= from_id:
            yield Told(event_id, at, kind, bytes(data))
        if speaks:
            yield from (each for each in _posts(reader, event_id) if each.id >= from_id)


def last_of(reader: Any, conversation_id: int, kind: str) -> tuple[int, bytes] | None:
    """(time, data) of the newest event of a kind."""
    row = reader.execute(
        "SELECT at, data FROM events WHERE conversation_id = ? AND kind = ? ORDER BY id DESC LIMIT 1",
        (conversation_id, kind),
    ).fetchone()
    return None if row is None else (row[0], bytes(row[1]))


def all_of(reader: Any, conversation_id: int, kind: str) -> list[bytes]:
    """Data of all events of a kind, oldest first."""
    sql = "SELECT data FROM events WHERE conversation_id = ? AND kind = ? ORDER BY id"
    return [bytes(row[0]) for row in reader.execute(sql, (conversation_id, kind))]


def with_choices(reader: Any, conversation_id: int) -> Iterator[bytes]:
    """Decisions that offered the visitor something to choose, or took his choice, oldest first."""
    rows = reader.execute(
        "SELECT decision FROM events WHERE conversation_id = ? AND (instr(decision, CAST('\"options\"' AS BLOB)) "
        "OR instr(decision, CAST('\"choice_value\"' AS BLOB))) ORDER BY id",
        (conversation_id,),
    )
    return (bytes(row[0]) for row in rows)


def waits_behind(reader: Any, conversation_id: int, stream: str, delivery_id: int) -> bool:
    """Whether another row waits in a stream behind this one."""
    return bool(
        reader.execute(
            "SELECT 1 FROM deliveries WHERE state = 0 AND conversation_id = ? AND stream = ? AND id > ? LIMIT 1",
            (conversation_id, stream, delivery_id),
        ).fetchone()
    )


def _posts(reader: Any, event_id: int) -> Iterator[Told]:
    rows = reader.execute(
        "SELECT id, event_id, created_at, command, body, connection, state, code, external_id, settled_at, "
        "(SELECT name FROM uploads WHERE delivery_id = deliveries.id AND message_id <> '') "
        "FROM deliveries WHERE id > ? ORDER BY id LIMIT ?",
        (event_id, ROWS),
    )
    for row_id, of_event, at, command, body, connection, state, code, message_id, settled_at, file in rows:
        if of_event != event_id:
            return
        if command in WORDS:
            message_id, settled_at, file = message_id or "", settled_at or 0, file or ""
            yield Told(row_id, at, command, bytes(body), connection, state, code, message_id, settled_at, file)
