"""Single values of this installation, by name."""

from __future__ import annotations

from typing import Any


def read(reader: Any, name: str) -> str | None:
    """The value, None when it was never written."""
    row = reader.execute("SELECT value FROM instance WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def write(cursor: Any, name: str, value: str) -> None:
    """Set the value."""
    cursor.execute("INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)", (name, value))
