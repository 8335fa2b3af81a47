"""The database as an operator's command sees it: read only, beside a running server."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite

from omnibridge.errors import ConfigError

FIELD = re.compile(r"(room|visitor)\.([0-9A-Za-z_-]{1,64})=(.+)", re.DOTALL)
"""A conversation by a custom field: what an external system knows it by, as room.order=4711."""


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
    """(id, workspace, room) by room, by the number of a conversation, or by a custom field.

    Raises ConfigError when there is none, naming similar ones, or when several workspaces have such a room.
    """
    if field := FIELD.fullmatch(wanted):
        return _by_field(reader, workspace, *field.groups())
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


def _by_field(reader: Any, workspace: str, scope: str, name: str, value: str) -> tuple[int, str, str]:
    """By a field that the conversation began with, or that one of our bots wrote into the room.

    For people only: the visitor can write these fields, so no external system may name a conversation by one.
    Reads every conversation: about a second for 100,000.
    """
    sql = (
        "SELECT id, workspace, room FROM conversations WHERE (:workspace = '' OR workspace = :workspace) AND ("
        "CAST(CAST(state AS TEXT) ->> :fact AS TEXT) = :value OR (:scope = 'room' AND id IN ("
        "SELECT conversation_id FROM deliveries WHERE command = 'SetRoomFields' AND state = 1 "
        "AND CAST(body AS TEXT) ->> :field = :value))) ORDER BY id DESC"
    )
    values = {"workspace": workspace, "scope": scope, "value": value}
    paths = {"fact": f'$.facts."{scope}.{name}"', "field": f'$.fields."{name}"'}
    found = reader.execute(sql, {**values, **paths}).fetchall()
    if len(found) == 1:
        return (found[0][0], found[0][1], found[0][2])
    if found:
        rooms = ", ".join(each[2] for each in found[:5])
        raise ConfigError(
            f"{len(found)} conversations have {scope}.{name}={value}, the newest first: {rooms}: name one"
        )
    raise ConfigError(f"no conversation began with {scope}.{name}={value}, and no bot of ours wrote it")
