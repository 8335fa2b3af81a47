"""The journal: observations as they came, the events derived from them, the decisions made."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.errors import EventExists
from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import PENDING, QUARANTINED, events, observations, snapshots


class Observation(msgspec.Struct):
    """One thing a source told us. body: raw bytes. received_at: ms. dedupe: journalled at most once if set.

    read: what the body was read as, kept so that it is read once; not stored.
    """

    id: int
    workspace: str
    room: str
    source: str
    kind: str
    received_at: int
    body: bytes
    dedupe: str | None = None
    read: Any = None


_insert_observation = Insert(
    observations,
    "id", "workspace", "room", "source", "kind", "dedupe", "received_at", "body", "state", "note",
    ignore=True,
)  # fmt: skip
_insert_event = Insert(
    events,
    "id", "conversation_id", "observation_id", "key", "kind", "data", "at", "rules_hash", "directory_hash", "reason",
    "decision",
    ignore=True,
)  # fmt: skip
_insert_snapshot = Insert(snapshots, "hash", "kind", "body", "created_at", ignore=True)
_mark = "UPDATE observations SET state = ?, note = ? WHERE id = ?"
_pending = (
    "SELECT id, workspace, room, source, kind, received_at, body, dedupe FROM observations "
    "WHERE state = 0 AND workspace = ? AND room = ? ORDER BY id LIMIT ?"
)


def append(cursor: Any, row: Observation, state: int = PENDING, note: str = "") -> bool:
    """Write an observation. False when one with its dedupe key is there already: nothing changes then."""
    return _insert_observation(
        cursor,
        row.id, row.workspace, row.room, row.source, row.kind, row.dedupe, row.received_at, row.body, state, note,
    )  # fmt: skip


def mark(cursor: Any, observation_id: int, state: int, note: str = "") -> None:
    """Set what became of an observation."""
    cursor.execute(_mark, (state, note, observation_id))


def rewrite(cursor: Any, observation_id: int, body: bytes) -> None:
    """Keep another body of an observation."""
    cursor.execute("UPDATE observations SET body = ? WHERE id = ?", (body, observation_id))


def append_event(
    cursor: Any,
    event_id: int,
    conversation_id: int,
    observation_id: int,
    key: str,
    kind: str,
    data: bytes,
    at: int,
    rules_hash: str,
    directory_hash: str,
    reason: str,
    decision: bytes,
) -> None:
    """Write an event and the decision on it. Raises EventExists when its key is there already."""
    if not _insert_event(
        cursor, event_id, conversation_id, observation_id, key or f"#{event_id}", kind, data, at, rules_hash,
        directory_hash, reason, decision,
    ):  # fmt: skip
        raise EventExists


def keep_snapshot(cursor: Any, digest: str, kind: str, body: bytes, at: int) -> None:
    """Store a rule set or directory once; decisions refer to it by hash."""
    _insert_snapshot(cursor, digest, kind, body, at)


def pending(reader: Any, workspace: str, room: str, limit: int = 64) -> list[Observation]:
    """Observations of one room that wait to be handled, oldest first."""
    return [Observation(*row) for row in reader.execute(_pending, (workspace, room, limit))]


def by_dedupe(reader: Any, dedupe: str) -> tuple[int, str, bytes] | None:
    """(id, room, body) of the observation that was journalled under a key; None when there is none (any more)."""
    row = reader.execute("SELECT id, room, body FROM observations WHERE dedupe = ?", (dedupe,)).fetchone()
    return None if row is None else (row[0], row[1], bytes(row[2]))


def last_reason(reader: Any, conversation_id: int, kinds: tuple[str, ...]) -> tuple[str, int]:
    """(reason, time in ms) of the last decision on an event of these kinds; ("", 0) when there is none."""
    marks = ", ".join("?" for _ in kinds)
    sql = f"SELECT reason, at FROM events WHERE conversation_id = ? AND kind IN ({marks}) ORDER BY id DESC LIMIT 1"  # noqa: S608 - only marks
    row = reader.execute(sql, (conversation_id, *kinds)).fetchone()
    return (row[0], row[1]) if row else ("", 0)


def rooms_with_pending(reader: Any) -> list[tuple[str, str]]:
    """(workspace, room) of every lane that has work: what to ring at start."""
    return [
        (row[0], row[1]) for row in reader.execute("SELECT DISTINCT workspace, room FROM observations WHERE state = 0")
    ]


def has_event(reader: Any, conversation_id: int, key: str) -> bool:
    """Whether an event of this key was derived before."""
    found = reader.execute(
        "SELECT 1 FROM events WHERE conversation_id = ? AND key = ?", (conversation_id, key)
    ).fetchone()
    return found is not None


def events_before(reader: Any, conversation_id: int, event_id: int, limit: int) -> list[int]:
    """Ids of a conversation's events in front of one, newest first."""
    sql = "SELECT id FROM events WHERE conversation_id = ? AND id < ? ORDER BY id DESC LIMIT ?"
    return [int(row[0]) for row in reader.execute(sql, (conversation_id, event_id, limit))]


def last_of_kind(reader: Any, conversation_id: int, kind: str, limit: int) -> list[bytes]:
    """A conversation's events of one kind as JSON, newest first."""
    sql = "SELECT data FROM events WHERE conversation_id = ? AND kind = ? ORDER BY id DESC LIMIT ?"
    return [bytes(row[0]) for row in reader.execute(sql, (conversation_id, kind, limit))]


def event_by_key(reader: Any, conversation_id: int, key: str) -> bytes | None:
    """The event of this key, as JSON."""
    row = reader.execute(
        "SELECT data FROM events WHERE conversation_id = ? AND key = ?", (conversation_id, key)
    ).fetchone()
    return None if row is None else bytes(row[0])


def event_of(reader: Any, event_id: int) -> bytes | None:
    """An event, as JSON."""
    row = reader.execute("SELECT data FROM events WHERE id = ?", (event_id,)).fetchone()
    return None if row is None else bytes(row[0])


def newest_webhook_at(reader: Any, workspace: str) -> int:
    """When the newest webhook of a workspace was received, ms; 0 = never. Ids grow with time."""
    row = reader.execute(
        "SELECT received_at FROM observations WHERE workspace = ? AND source = 'webhook' ORDER BY id DESC LIMIT 1",
        (workspace,),
    ).fetchone()
    return int(row[0]) if row else 0


def release_quarantine(cursor: Any) -> int:
    """After an upgrade: let everything that could not be read be parsed again. Returns how many."""
    cursor.execute("UPDATE observations SET state = ?, note = '' WHERE state = ?", (PENDING, QUARANTINED))
    return int(cursor.rowcount)


def newest_ids(reader: Any) -> int:
    """The largest id in use, 0 in an empty database: ids of a new process start above it."""
    tables = ("observations", "conversations", "events", "deliveries", "api_audit")
    union = " UNION ALL ".join(f"SELECT max(id) AS id FROM {name}" for name in tables)  # noqa: S608 - fixed names
    row = reader.execute(f"SELECT max(id) FROM ({union})").fetchone()  # noqa: S608 - fixed names
    return int(row[0] or 0)
