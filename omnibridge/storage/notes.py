"""What connectors keep of their sessions, over restarts: small, one row each, written with the group commits.

`put` and `remove` are units of the writer; the others only read. Each write makes a new row at the end, so the order of
rows is that of writing and needs no index.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from omnibridge.storage.tables import metadata

notes = Table(
    "notes",
    metadata,
    Column("connection", String, primary_key=True),
    Column("session", String, primary_key=True),
    Column("updated_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the connector's own
)


def put(cursor: Any, connection: str, session: str, at: int, body: bytes) -> None:
    cursor.execute(
        "INSERT OR REPLACE INTO notes (connection, session, updated_at, body) VALUES (?, ?, ?, ?)",
        (connection, session, at, body),
    )


def remove(cursor: Any, connection: str, session: str) -> None:
    cursor.execute("DELETE FROM notes WHERE connection = ? AND session = ?", (connection, session))


def get(reader: Any, connection: str, session: str) -> bytes | None:
    row = reader.execute(
        "SELECT body FROM notes WHERE connection = ? AND session = ?", (connection, session)
    ).fetchone()
    return bytes(row[0]) if row else None


def newest(reader: Any, connection: str, most: int) -> list[tuple[str, bytes]]:
    """(session, note), the last written first."""
    rows = reader.execute(
        "SELECT session, body FROM notes WHERE connection = ? ORDER BY rowid DESC LIMIT ?", (connection, most)
    )
    return [(row[0], bytes(row[1])) for row in rows]


def purge(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete those that were not written since. The oldest rows are looked at, not all."""
    cursor.execute(
        "DELETE FROM notes WHERE rowid IN (SELECT rowid FROM notes ORDER BY rowid LIMIT ?) AND updated_at < ?",
        (limit, before_ms),
    )
    return int(cursor.rowcount)
