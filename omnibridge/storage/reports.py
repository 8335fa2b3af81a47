"""Deliveries for people: by filter, and those that ended alike by cause. Never writes.

There is no index for these questions, because it would be paid for with every message: a search is bounded by ids,
which grow with time (ms << 20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A row of the outbox as people need it; `room` and `workspace` are empty when the conversation is missing."""

    id: int
    conversation_id: int
    event_id: int
    stream: str
    command: str
    connection: str
    epoch: int | None
    body: bytes
    state: int
    attempts: int
    uncertain: int
    code: str
    next_attempt_at: int
    deadline_at: int
    created_at: int
    settled_at: int | None
    workspace: str
    room: str


_delivery = (
    "SELECT d.id, d.conversation_id, d.event_id, d.stream, d.command, d.connection, d.epoch, d.body, d.state, "
    "d.attempts, d.uncertain, d.code, d.next_attempt_at, d.deadline_at, d.created_at, d.settled_at, "
    "coalesce(c.workspace, ''), coalesce(c.room, '') "
    "FROM deliveries d LEFT JOIN conversations c ON c.id = d.conversation_id"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries. state: as stored, None = every. Empty and 0 = whatever. What was sent again, under an id of
    its own, is wanted only by id."""

    ids: tuple[int, ...] = ()
    state: int | None = None
    conversation_id: int = 0
    connection: str = ""
    command: str = ""
    code: str = ""
    since_ms: int = 0

    def where(self) -> tuple[str, list[Any]]:
        """SQL condition over `d`, with its values."""
        if self.ids:
            return f"d.id IN ({', '.join('?' * len(self.ids))})", list(self.ids)
        parts: list[tuple[str, list[Any]]] = [("d.code <> 'resent'", [])]
        if self.state is not None:
            parts.append(("d.state = ?", [self.state]))
        if self.conversation_id:
            parts.append(("d.conversation_id = ? AND d.id > ?", [self.conversation_id, self.conversation_id]))
        for name in ("connection", "command", "code"):
            if getattr(self, name):
                parts.append((f"d.{name} = ?", [getattr(self, name)]))
        if self.since_ms:  # ids grow with time: only what is recent is looked at
            parts.append(("d.id >= ? AND d.created_at >= ?", [self.since_ms << 20, self.since_ms]))
        return " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]


@dataclass(frozen=True, slots=True)
class Cause:
    """Deliveries that ended alike. example: the newest id."""

    code: str
    connection: str
    command: str
    count: int
    first: int
    last: int
    example: int


def deliveries(reader: Any, wanted: Wanted, limit: int) -> list[DeliveryRow]:
    """The newest `limit`, oldest of them first."""
    where, values = wanted.where()
    sql = f"SELECT * FROM ({_delivery} WHERE {where} ORDER BY d.id DESC LIMIT ?) ORDER BY 1"  # noqa: S608 - fixed names
    return [DeliveryRow(*row) for row in reader.execute(sql, (*values, limit))]


def ids_of(reader: Any, wanted: Wanted) -> list[int]:
    """All of them, in order."""
    where, values = wanted.where()
    sql = f"SELECT d.id FROM deliveries d WHERE {where} ORDER BY d.id"  # noqa: S608 - fixed names
    return [row[0] for row in reader.execute(sql, values)]


def causes(reader: Any, wanted: Wanted) -> list[Cause]:
    """Grouped by code, connection and command, the most frequent first; times are those of their making."""
    where, values = wanted.where()
    sql = (
        "SELECT d.code, d.connection, d.command, count(*), min(d.created_at), max(d.created_at), max(d.id) "  # noqa: S608
        f"FROM deliveries d WHERE {where} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
    )
    return [Cause(*row) for row in reader.execute(sql, values)]
