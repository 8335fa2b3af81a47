"""The database as an operator's command sees it: read only, beside a running server."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite

from omnibridge.errors import ConfigError


def open_reader(path: Path) -> Any:
    """Raises ConfigError when there is no database, or none of this version."""
    if not path.exists():
        raise ConfigError(f"{path}: there is no database; has `omnibridge serve` run with this configuration?")
    reader = sqlite.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
    try:
        reader.execute("SELECT decision FROM events LIMIT 0")
    except sqlite.Error as exc:
        reader.close()
        raise ConfigError(f"{path}: not a database of this version of omnibridge ({exc})") from exc
    return reader


def find_conversation(reader: Any, wanted: str, workspace: str = "") -> tuple[int, str, str]:
    """(id, workspace, room) by room or by the number of a conversation.

    Raises ConfigError when there is none, naming similar ones, or when several workspaces have such a room.
    """
    sql = "SELECT id, workspace, room FROM conversations WHERE (room = ? OR id = ?) AND (? = '' OR workspace = ?)"
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 19 else -1
    found = reader.execute(sql, (wanted, number, workspace, workspace)).fetchall()
    if len(found) == 1:
        return (found[0][0], found[0][1], found[0][2])
    if found:
        names = ", ".join(sorted(each[1] for each in found))
        raise ConfigError(f"room {wanted} is in several workspaces ({names}): add --workspace NAME")
    rooms = [row[0] for row in reader.execute("SELECT room FROM conversations ORDER BY id DESC LIMIT 5000")]
    near = difflib.get_close_matches(wanted, rooms, 3, 0.5)
    hint = f"; similar: {', '.join(near)}" if near else f"; {len(rooms)} rooms are known" if rooms else ""
    raise ConfigError(f"no conversation in room {wanted!r}{hint}")
