"""A look into the journal beside a running server: read-only, creates nothing, holds no lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite

from omnibridge.rocketchat.webhook import TEST, read_webhook
from omnibridge.storage import directory


class Journal:
    """path: of the database, which may not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self) -> int:
        """Id of the newest observation; 0 when there is none, or the journal cannot be read."""
        rows = self._rows("SELECT max(id) FROM observations")
        return int(rows[0][0] or 0) if rows else 0

    def has_sample(self, workspace: str, after: int) -> bool | None:
        """Whether Rocket.Chat's sample came in after an id; None when the journal cannot be read."""
        rows = self._rows(
            "SELECT body FROM observations WHERE id > ? AND workspace = ? AND source = 'webhook' "
            "AND kind = 'LivechatSession'",
            after,
            workspace,
        )
        return None if rows is None else any(read_webhook(bytes(body)).kind == TEST for (body,) in rows)

    def synced_at(self, workspace: str) -> int:
        """When its users were last read for the agent directory, ms; 0 = never, or the journal cannot be read."""
        try:
            with self._open() as connection:
                return directory.synced_at(connection, workspace)
        except sqlite.Error:
            return 0

    def _rows(self, sql: str, *values: object) -> list[Any] | None:
        try:
            with self._open() as connection:
                return list(connection.execute(sql, values).fetchall())
        except sqlite.Error:
            return None

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        connection = sqlite.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)
        try:
            yield connection
        finally:
            connection.close()
