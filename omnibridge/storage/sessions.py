"""Sessions that connectors hold with desks: what is kept of each, and who may follow it. Times in ms.

Until when its owner holds a session says one row for all of them (`instance`, HELD): it is renewed every few seconds,
and thousands of rows with their states would be written each time.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, String, Table

from omnibridge.storage import instance
from omnibridge.storage.tables import metadata

HELD = "desk_sessions_held"
"""Name in `instance`: `OWNER UNTIL`."""

desk_sessions = Table(
    "desk_sessions",
    metadata,
    Column("conversation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("connection", String, primary_key=True),
    Column("state", String, nullable=False),  # the connector's own, encrypted: it holds keys of the desk
    Column("owner", String, nullable=False),  # the process that follows it
    Column("held_until", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
)


class SessionRow(msgspec.Struct, frozen=True):
    """state: sealed. owner: who follows it, at least until `held_until`, see HELD. opened_at: tells it from
    an earlier one of the same conversation and connection."""

    conversation_id: int
    connection: str
    state: str
    owner: str
    held_until: int
    opened_at: int


def load(reader: Any, conversation_id: int, connection: str) -> SessionRow | None:
    row = reader.execute(
        "SELECT conversation_id, connection, state, owner, held_until, opened_at FROM desk_sessions "
        "WHERE conversation_id = ? AND connection = ?",
        (conversation_id, connection),
    ).fetchone()
    return SessionRow(*row) if row else None


def all_open(reader: Any) -> list[SessionRow]:
    """Those for which something waits first, then the oldest first."""
    sql = (
        "SELECT conversation_id, connection, state, owner, held_until, opened_at FROM desk_sessions "
        "ORDER BY conversation_id"
    )
    waits = "SELECT DISTINCT conversation_id, stream FROM deliveries WHERE state = 0 AND stream LIKE 'connection:%'"
    due = {(row[0], row[1].partition(":")[2]) for row in reader.execute(waits)}
    found = [SessionRow(*row) for row in reader.execute(sql)]
    return sorted(found, key=lambda each: (each.conversation_id, each.connection) not in due)


def has_conversation(reader: Any, conversation_id: int, connection: str) -> bool:
    """Whether the desk has it, offered or accepted, so that what it tells matters."""
    sql = "SELECT json_extract(state, '$.desk.connection') FROM conversations WHERE id = ? AND closed = 0"
    row = reader.execute(sql, (conversation_id,)).fetchone()
    return row is not None and row[0] == connection


def is_being_closed(reader: Any, conversation_id: int, connection: str) -> bool:
    """Whether the desk is still to be told that it is over."""
    sql = "SELECT 1 FROM deliveries WHERE conversation_id = ? AND stream = ? AND command = 'CloseSession' AND state = 0"
    return reader.execute(sql, (conversation_id, f"connection:{connection}")).fetchone() is not None


def turns_to_come(reader: Any, conversation_id: int, connection: str) -> set[str]:
    """Ids of messages that go to it by themselves: they must not be in what it is told at its opening as well."""
    sql = (
        "SELECT json_extract(body, '$.message_id') FROM deliveries "
        "WHERE conversation_id = ? AND stream = ? AND command = 'SendToParty' AND state = 0"
    )
    return {str(row[0]) for row in reader.execute(sql, (conversation_id, f"connection:{connection}"))}


def put(cursor: Any, row: SessionRow) -> None:
    cursor.execute(
        "INSERT OR REPLACE INTO desk_sessions (conversation_id, connection, state, owner, held_until, opened_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (row.conversation_id, row.connection, row.state, row.owner, row.held_until, row.opened_at),
    )


def save_state(cursor: Any, conversation_id: int, connection: str, opened_at: int, state: str) -> None:
    """Of a session that is over, nothing is kept, also if the conversation has another one with this desk by now."""
    cursor.execute(
        "UPDATE desk_sessions SET state = ? WHERE conversation_id = ? AND connection = ? AND opened_at = ?",
        (state, conversation_id, connection, opened_at),
    )


def take(cursor: Any, owner: str, until: int) -> None:
    """All of them: only for a process that holds the database alone, so that no other can be following one."""
    cursor.execute("UPDATE desk_sessions SET owner = ?, held_until = ?", (owner, until))
    renew(cursor, owner, until)


def renew(cursor: Any, owner: str, until: int) -> None:
    """Those that are this process's, in one row."""
    instance.write(cursor, HELD, f"{owner} {until}")


def end(cursor: Any, conversation_id: int, connection: str) -> None:
    """It is over: its keys are not kept."""
    cursor.execute(
        "DELETE FROM desk_sessions WHERE conversation_id = ? AND connection = ?", (conversation_id, connection)
    )
