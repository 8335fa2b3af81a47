"""Purging and compacting, in chunks that are short enough to go between webhooks.

Each function is one chunk: a unit for `Writer.submit_bulk` that says how many rows it took. Ids grow with
time, so "older than" is a range of the primary key and needs no index. What is not settled is never purged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from omnibridge.storage import journal
from omnibridge.storage.tables import DUE, HANDLED, SKIPPED

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_messages = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class _MessageId(msgspec.Struct):
    id: str = msgspec.field(name="_id", default="")


_message_id = msgspec.json.Decoder(_MessageId)

LARGE = 512
"""Bodies below this many bytes are not worth rewriting."""


def first_id_at(ms: int) -> int:
    """The smallest id that a row made at this time can have."""
    return ms << 20


def purge_observations(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete raw observations that were handled or only recorded. Quarantined and waiting ones stay."""
    cursor.execute(
        "DELETE FROM observations WHERE id IN "
        "(SELECT id FROM observations WHERE id < ? AND state IN (?, ?) ORDER BY id LIMIT ?)",
        (first_id_at(before_ms), HANDLED, SKIPPED, limit),
    )
    return int(cursor.rowcount)


def purge_deliveries(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete settled deliveries, buried ones too."""
    cursor.execute(
        "DELETE FROM deliveries WHERE id IN "
        "(SELECT id FROM deliveries WHERE id < ? AND state <> ? ORDER BY id LIMIT ?)",
        (first_id_at(before_ms), DUE, limit),
    )
    return int(cursor.rowcount)


def purge_conversations(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete events of closed conversations, and each conversation with its last event. Rows, not conversations.

    Open ones stay whole however old they are: a decision is re-run from those before it.
    """
    found = cursor.execute(
        "SELECT id FROM conversations WHERE id < ? AND closed = 1 AND updated_at < ? ORDER BY id LIMIT 1",
        (first_id_at(before_ms), before_ms),
    ).fetchone()
    if found is None:
        return 0
    cursor.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE conversation_id = ? LIMIT ?)", (found[0], limit)
    )
    purged = int(cursor.rowcount)
    if purged < limit:
        cursor.execute("DELETE FROM conversations WHERE id = ?", (found[0],))
        purged += 1
    return purged


def large_session_bodies(
    reader: Any, after_id: int, before_ms: int, limit: int
) -> list[tuple[int, str, str, bytes | None]]:
    """(id, workspace, room, body) of webhooks in the order of ids; body None where there is nothing to compact.

    Session events carry the whole history of their room, so a conversation is stored again at each of them.
    """
    rows = reader.execute(
        "SELECT id, workspace, room, CASE WHEN source = 'webhook' AND kind <> 'Message' AND state = ? "
        "AND length(body) > ? THEN body END FROM observations WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
        (HANDLED, LARGE, after_id, first_id_at(before_ms), limit),
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def compacted(reader: Any, workspace: str, room: str, body: bytes) -> bytes | None:
    """A session event's body, of each message that is an event of its own only the id; None when nothing goes.

    Unknown messages stay as they are. Marked by `$compacted`, so that nobody takes it for what the hub sent.
    """
    found = reader.execute(
        "SELECT id FROM conversations WHERE workspace = ? AND room = ?", (workspace, room)
    ).fetchone()
    if found is None:
        return None
    try:
        fields = _fields.decode(body)
        messages = _messages.decode(fields.get("messages", msgspec.Raw(b"[]")))
        ids = [_message_id.decode(each).id for each in messages]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    kept: list[Any] = []
    n_known = 0
    for raw, identity in zip(messages, ids, strict=True):
        known = bool(identity) and journal.has_event(reader, found[0], f"msg:{identity}")
        n_known += known
        kept.append({"_id": identity} if known else raw)
    if not n_known:
        return None
    return _encode({**fields, "messages": kept, "$compacted": n_known})


def rewrite(cursor: Any, bodies: Sequence[tuple[int, bytes]]) -> None:
    """Store compacted bodies."""
    cursor.executemany("UPDATE observations SET body = ? WHERE id = ?", [(body, row_id) for row_id, body in bodies])
