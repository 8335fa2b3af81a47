"""The journal: observations as they came, the events derived from them, the decisions made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import PENDING, QUARANTINED, decisions, events, observations, snapshots


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing a source told us. body: raw bytes. received_at: ms. dedupe: journalled at most once if set."""

    id: int
    workspace: str
    room: str
    source: str
    kind: str
    received_at: int
    body: bytes
    dedupe: str | None = None


_insert_observation = Insert(
    observations,
    "id", "workspace", "room", "source", "kind", "dedupe", "received_at", "body", "state", "note",
    ignore=True,
)  # fmt: skip
_insert_event = Insert(events, "id", "conversation_id", "observation_id", "key", "kind", "data", "at", ignore=True)
_insert_decision = Insert(
    decisions,
    "id", "conversation_id", "event_id", "at", "rules_hash", "directory_hash", "reason", "body",
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


def append_event(
    cursor: Any,
    event_id: int,
    conversation_id: int,
    observation_id: int,
    key: str,
    kind: str,
    data: bytes,
    at: int,
) -> bool:
    """Write an event. False when its key is there already."""
    return _insert_event(cursor, event_id, conversation_id, observation_id, key or None, kind, data, at)


def append_decision(
    cursor: Any,
    decision_id: int,
    conversation_id: int,
    event_id: int,
    at: int,
    rules_hash: str,
    directory_hash: str,
    reason: str,
    body: bytes,
) -> None:
    """Write a decision with everything that it was made from."""
    _insert_decision(cursor, decision_id, conversation_id, event_id, at, rules_hash, directory_hash, reason, body)


def keep_snapshot(cursor: Any, digest: str, kind: str, body: bytes, at: int) -> None:
    """Store a rule set or directory once; decisions refer to it by hash."""
    _insert_snapshot(cursor, digest, kind, body, at)


def pending(reader: Any, workspace: str, room: str, limit: int = 64) -> list[Observation]:
    """Observations of one room that wait to be handled, oldest first."""
    return [Observation(*row) for row in reader.execute(_pending, (workspace, room, limit))]


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


def event_of(reader: Any, decision_id: int) -> bytes | None:
    """The event that a decision was made for, as JSON."""
    row = reader.execute(
        "SELECT events.data FROM decisions JOIN events ON events.id = event_id WHERE decisions.id = ?", (decision_id,)
    ).fetchone()
    return None if row is None else bytes(row[0])


def has_observation(reader: Any, dedupe: str) -> bool:
    """Whether an observation of this dedupe key was journalled before."""
    return reader.execute("SELECT 1 FROM observations WHERE dedupe = ?", (dedupe,)).fetchone() is not None


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
    tables = ("observations", "conversations", "events", "decisions", "deliveries")
    union = " UNION ALL ".join(f"SELECT max(id) AS id FROM {name}" for name in tables)  # noqa: S608 - fixed names
    row = reader.execute(f"SELECT max(id) FROM ({union})").fetchone()  # noqa: S608 - fixed names
    return int(row[0] or 0)
