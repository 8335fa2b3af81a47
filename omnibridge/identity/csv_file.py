"""The directory as a CSV file: written for a spreadsheet, read back with every problem and its row.

Columns: workspace, system, external_id, name, avatar_url, language, departments (separated by `;`), mode, username,
user_id, capacity. Needed are system and external_id. A row with a username or user_id maps the id to that user.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from omnibridge.identity.names import is_plain, problem_of
from omnibridge.storage import directory
from omnibridge.storage.directory import READY, AgentRow

COLUMNS = (
    "workspace", "system", "external_id", "name", "avatar_url", "language", "departments", "mode", "username",
    "user_id", "capacity",
)  # fmt: skip
MODES = ("", "mapped", "provisioned", "pooled", "shared")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
LONGEST = 1000


class Problem(msgspec.Struct, frozen=True):
    """row: as a spreadsheet counts, the header is row 1."""

    row: int
    text: str


class Plan(msgspec.Struct):
    """What an import would do. rows: to be written. unchanged: are so already."""

    rows: list[AgentRow] = []
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    problems: list[Problem] = []


def write(rows: Iterable[AgentRow]) -> Iterator[str]:
    """Lines. A cell that a spreadsheet would run as a formula gets `'` in front; `read` takes it away."""
    yield _line(COLUMNS)
    for row in rows:
        cells = [str(getattr(row, name)) if name != "departments" else ";".join(row.departments) for name in COLUMNS]
        yield _line([f"'{each}" if each.startswith(_FORMULA) else each for each in cells])


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def plan(reader: Any, text: str, workspaces: tuple[str, ...], default_workspace: str) -> Plan:
    """Compare a file with the directory. Nothing is written.

    workspaces: that are configured. default_workspace: of rows that name none; '' = they must.
    """
    found = Plan()
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        header = [each.strip() for each in next(lines, [])]
        unknown = [each for each in header if each not in COLUMNS]
        if unknown or not {"system", "external_id"} <= set(header) or len(set(header)) < len(header):
            what = f"unknown column {unknown[0]!r}" if unknown else "columns system and external_id are needed, once"
            found.problems.append(Problem(1, f"{what}; known: {', '.join(COLUMNS)}"))
            return found
        _read(reader, lines, header, found, _Known(reader, workspaces, default_workspace))
    except csv.Error as exc:
        found.problems.append(Problem(lines.line_num, f"no CSV: {exc}"))
    return found


class _Known:
    """What is in the directory, and what the file said in the rows before."""

    def __init__(self, reader: Any, workspaces: tuple[str, ...], default_workspace: str) -> None:
        self.reader, self.workspaces, self.default_workspace = reader, workspaces, default_workspace
        self.rows = {each.key: each for each in directory.rows(reader)}
        self.owners = {
            (each.workspace, each.system, each.user_id): each.key for each in self.rows.values() if each.user_id
        }
        self.seen: dict[tuple[str, str, str], int] = {}
        self.taken: dict[tuple[str, str, str], int] = {}
        self.users: dict[str, dict[str, str]] = {}

    def user_id(self, workspace: str, username: str) -> str:
        """As the last `agents sync` saw it, '' = no such user."""
        if workspace not in self.users:
            users = directory.users(self.reader, workspace).values()
            self.users[workspace] = {each.username: each.user_id for each in users}
        return self.users[workspace].get(username, "")


def _read(reader: Any, lines: Iterator[list[str]], header: list[str], found: Plan, known: _Known) -> None:
    for number, cells in enumerate(lines, 2):
        if not any(cells):
            continue
        if len(cells) > len(header):
            found.problems.append(Problem(number, f"{len(cells)} cells, but {len(header)} columns"))
            continue
        values = {name: _cell(cell) for name, cell in zip(header, cells, strict=False)}
        row, problem = _row(values, number, known)
        if problem:
            found.problems.append(Problem(number, problem))
            continue
        before = known.rows.get(row.key)
        if before is None:
            found.added += 1
        elif _same(before, row):
            found.unchanged += 1
            continue
        else:
            found.changed += 1
        found.rows.append(row)


def _cell(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _row(values: dict[str, str], number: int, known: _Known) -> tuple[AgentRow, str]:
    """The row, and why it cannot be taken ('' = it can)."""
    system, external_id = values["system"], values.get("external_id", "")
    workspace = values.get("workspace", "") or known.default_workspace
    username, user_id, mode = values.get("username", ""), values.get("user_id", ""), values.get("mode", "")
    capacity, departments = values.get("capacity", "") or "0", values.get("departments", "").split(";")
    empty = AgentRow(workspace, system, external_id)
    if problem := problem_of(system, external_id) or _problem_of_texts(values):
        return empty, problem
    if workspace not in known.workspaces:
        return empty, f"there is no workspace {workspace!r}" if workspace else "workspace is missing"
    if mode not in MODES:
        return empty, f"mode {mode!r} is none of mapped, provisioned, pooled, shared"
    if not capacity.isdecimal() or len(capacity) > 6:
        return empty, "capacity must be a number from 0"
    if key_row := known.seen.get(empty.key):
        return empty, f"is in row {key_row} already"
    known.seen[empty.key] = number
    if username and not user_id:
        user_id = known.user_id(workspace, username)
        if not user_id:
            return empty, f"there is no user {username!r} as of the last `agents sync`"
    if bool(user_id) and not username:
        return empty, "user_id without username"
    if user_id and mode not in ("", "mapped", "provisioned"):
        return empty, f"mode {mode} has no user of its own: leave username and user_id out"
    if mode == "mapped" and not user_id:
        return empty, "mode mapped needs a username"
    if user_id and (problem := _problem_of_user(empty, user_id, number, known)):
        return empty, problem
    before = known.rows.get(empty.key)
    if before and before.mode == "provisioned" and user_id and user_id != before.user_id:
        return empty, f"has a user that we made ({before.username}): `agents unlink` it first"
    if before and before.mode == "provisioned" and user_id == before.user_id:
        mode = "provisioned"  # a file that was exported comes back as it was
    elif user_id:
        mode = "mapped"
    named = tuple(each.strip() for each in departments if each.strip())
    row = AgentRow(
        workspace, system, external_id, user_id, username, mode, READY if user_id else "", named, int(capacity), "",
        values.get("name", ""), values.get("avatar_url", ""), values.get("language", ""),
    )  # fmt: skip
    return row, ""


def _problem_of_texts(values: dict[str, str]) -> str:
    for name, value in values.items():
        if not is_plain(value) or len(value) > LONGEST:
            return f"{name} holds control characters, or is longer than {LONGEST}"
    if url := values.get("avatar_url", ""):
        try:
            parts = urlsplit(url)
        except ValueError:
            return "avatar_url is not an address"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "avatar_url must begin with http:// or https://"
    return ""


def _problem_of_user(row: AgentRow, user_id: str, number: int, known: _Known) -> str:
    """One user is one external id of a system."""
    owned = (row.workspace, row.system, user_id)
    owner = known.owners.get(owned)
    if owner and owner != row.key:
        return f"this user is {owner[1]}:{owner[2]} already: `agents unlink` that one first"
    if owned in known.taken:
        return f"this user is in row {known.taken[owned]} already"
    known.taken[owned] = number
    return ""


def _same(before: AgentRow, row: AgentRow) -> bool:
    """Whether writing the row would change nothing."""
    kept = before if not row.user_id else row
    after = msgspec.structs.replace(
        row,
        user_id=kept.user_id,
        username=kept.username,
        mode=row.mode or before.mode,
        step=row.step or before.step,
        presence=before.presence,
    )
    return after == before
