"""Which persona each visitor saw a pooled proxy with. Times in ms.

A page of Chromium does not ask again for a picture that it has shown, however old it is: a proxy with another persona
would still have the old face before this visitor.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, String, Table

from omnibridge.storage.tables import metadata

faces = Table(
    "faces",
    metadata,
    # Which persona a visitor saw a pooled proxy with: his browser may show that face for as long as its page lives.
    Column("workspace", String, primary_key=True),
    Column("visitor", String, primary_key=True),  # id of the hub
    Column("user_id", String, primary_key=True),
    Column("system", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)


def seen(reader: Any, workspace: str, visitor: str) -> dict[str, tuple[str, str]]:
    """User id -> (system, external id) of the persona."""
    sql = "SELECT user_id, system, external_id FROM faces WHERE workspace = ? AND visitor = ?"
    return {row[0]: (row[1], row[2]) for row in reader.execute(sql, (workspace, visitor))}


def put(cursor: Any, workspace: str, visitor: str, user_id: str, persona: tuple[str, str], at: int) -> None:
    """He sees it, or saw it again."""
    cursor.execute(
        "INSERT OR REPLACE INTO faces (workspace, visitor, user_id, system, external_id, seen_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (workspace, visitor, user_id, *persona, at),
    )


def purge(cursor: Any, before: int) -> None:
    """Visitors are not remembered for longer than their pages live."""
    cursor.execute("DELETE FROM faces WHERE seen_at < ?", (before,))
