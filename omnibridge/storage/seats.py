"""Users that we make: seats and their budget, approvals, the proxies themselves, encrypted log-ins. Times in ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
Key = tuple[str, str, str]
"""(workspace, system, external id)"""


class Budget(msgspec.Struct, frozen=True):
    """How many users we may make. 0 = none."""

    total: int
    per_hour: int
    per_day: int


class Creation(msgspec.Struct, frozen=True):
    """attempts: 0 = the hub was not asked yet. user_id: '' = not known to be made."""

    workspace: str
    username: str
    user_id: str
    system: str
    external_id: str
    cause: str
    attempts: int


class Proxy(msgspec.Struct, frozen=True):
    """A user that we made. system, external_id: of the persona that it carries. shown_*: as the hub has it."""

    workspace: str
    user_id: str
    username: str
    pooled: bool
    system: str = ""
    external_id: str = ""
    shown_name: str = ""
    shown_avatar: str = ""
    active: bool = True
    serving: bool = False
    hold_until: int = 0
    used_at: int = 0


class Token(msgspec.Struct, frozen=True):
    """password, token: encrypted; token '' = not logged in yet."""

    user_id: str
    password: str
    token: str
    issued_at: int


_creation = "SELECT workspace, username, coalesce(user_id, ''), system, external_id, cause, attempts FROM creations"
_proxy_names = tuple(each.name for each in msgspec.structs.fields(Proxy))
_proxy = f"SELECT {', '.join(_proxy_names)} FROM proxies"  # noqa: S608 - fixed names

# -- seats ------------------------------------------------------------------------------------------------------


def over(reader: Any, workspace: str, budget: Budget, at: int, planned: Sequence[int] = ()) -> str:
    """Which limit does not allow another user, in words; '' = there is a seat. planned: when users were not made, but
    count as if."""
    used = n_seats(reader, workspace) + len(planned)
    if used >= budget.total:
        return f"{used} of {budget.total} seats are used"
    for span, limit, name in ((HOUR_MS, budget.per_hour, "hour"), (DAY_MS, budget.per_day, "day")):
        row = reader.execute(
            "SELECT count(*) FROM creations WHERE workspace = ? AND reserved_at > ?", (workspace, at - span)
        ).fetchone()
        made = row[0] + sum(each > at - span for each in planned)
        if made >= limit:
            return f"{made} of {limit} users per {name} were made"
    return ""


def n_seats(reader: Any, workspace: str) -> int:
    """Seats that are taken."""
    row = reader.execute(
        "SELECT count(*) FROM creations WHERE workspace = ? AND released_at IS NULL", (workspace,)
    ).fetchone()
    return int(row[0])


def reserve(cursor: Any, budget: Budget, key: Key, username: str, cause: str, at: int) -> str:
    """Take a seat, or say which limit does not allow it. In the one writer, so no two take the last."""
    full = over(cursor, key[0], budget, at)
    if not full:
        cursor.execute(
            "INSERT INTO creations (workspace, username, system, external_id, cause, attempts, reserved_at) "
            "VALUES (?, ?, ?, ?, ?, 0, ?)",
            (key[0], username, key[1], key[2], cause, at),
        )
        cursor.execute("DELETE FROM instance WHERE name = ?", (_plan_name(key),))
    return full


def creation_of(reader: Any, key: Key) -> Creation | None:
    """The seat that is taken for an external id."""
    sql = f"{_creation} WHERE workspace = ? AND system = ? AND external_id = ? AND released_at IS NULL ORDER BY id DESC"
    row = reader.execute(sql, key).fetchone()
    return None if row is None else Creation(*row)


def made_by_us(reader: Any, workspace: str, user_id: str) -> Creation | None:
    """Whether a user is in the audit of those that we made."""
    row = reader.execute(f"{_creation} WHERE workspace = ? AND user_id = ?", (workspace, user_id)).fetchone()
    return None if row is None else Creation(*row)


def creations(reader: Any, workspace: str) -> list[Creation]:
    sql = f"{_creation} WHERE workspace = ? AND released_at IS NULL ORDER BY id"
    return [Creation(*row) for row in reader.execute(sql, (workspace,))]


def attempt(cursor: Any, workspace: str, username: str) -> None:
    """The hub is asked to make this user: from now on, one of this name is ours."""
    cursor.execute(
        "UPDATE creations SET attempts = attempts + 1 WHERE workspace = ? AND username = ?", (workspace, username)
    )


def rename(cursor: Any, workspace: str, username: str, to: str) -> None:
    """The name was taken before we asked."""
    cursor.execute("UPDATE creations SET username = ? WHERE workspace = ? AND username = ?", (to, workspace, username))


def made(cursor: Any, workspace: str, username: str, user_id: str, at: int) -> None:
    cursor.execute(
        "UPDATE creations SET user_id = ?, created_at = coalesce(created_at, ?) WHERE workspace = ? AND username = ?",
        (user_id, at, workspace, username),
    )


def release(cursor: Any, workspace: str, username: str, at: int) -> None:
    """The seat is free: the user was never made, or is gone."""
    cursor.execute(
        "UPDATE creations SET released_at = ? WHERE workspace = ? AND username = ?", (at, workspace, username)
    )


# -- dry runs ---------------------------------------------------------------------------------------------------


class Planned(msgspec.Struct, frozen=True):
    """at: 0 = there was no seat. detail: what was reported."""

    at: int = 0
    detail: str = ""


def _plan_name(key: Key) -> str:
    return "\x1f".join(("agent-planned", *key))  # ids hold no control characters


def plan(cursor: Any, key: Key, planned: Planned) -> None:
    """What a dry run reported of somebody; gone as soon as a seat is taken for him."""
    cursor.execute(
        "INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)",
        (_plan_name(key), msgspec.json.encode(planned).decode()),
    )


def planned(reader: Any, key: Key) -> Planned:
    row = reader.execute("SELECT value FROM instance WHERE name = ?", (_plan_name(key),)).fetchone()
    return msgspec.json.decode(row[0], type=Planned) if row else Planned()


def all_planned(reader: Any, workspace: str) -> list[int]:
    """When each of those was planned who had a seat; at most as many as the budget has."""
    first = f"agent-planned\x1f{workspace}\x1f"
    sql = "SELECT value ->> 'at' FROM instance WHERE name >= ? AND name < ? AND value ->> 'at' > 0"
    return [int(row[0]) for row in reader.execute(sql, (first, first[:-1] + "\x20"))]


# -- approvals --------------------------------------------------------------------------------------------------


def ask_approval(cursor: Any, key: Key, cause: str, at: int) -> None:
    cursor.execute(
        "INSERT INTO approvals (workspace, system, external_id, state, cause, asked_at, decided_by) "
        "VALUES (?, ?, ?, 'waiting', ?, ?, '') ON CONFLICT DO NOTHING",
        (*key, cause, at),
    )


def decide(cursor: Any, key: Key, state: str, by: str, at: int) -> None:
    """approved or refused; also before anybody asked."""
    cursor.execute(
        "INSERT INTO approvals (workspace, system, external_id, state, cause, asked_at, decided_by, decided_at) "
        "VALUES (?, ?, ?, ?, '', ?, ?, ?) ON CONFLICT (workspace, system, external_id) "
        "DO UPDATE SET state = excluded.state, decided_by = excluded.decided_by, decided_at = excluded.decided_at",
        (*key, state, at, by, at),
    )


def approval(reader: Any, key: Key) -> str:
    """waiting, approved, refused, or '' when nobody asked."""
    row = reader.execute(
        "SELECT state FROM approvals WHERE workspace = ? AND system = ? AND external_id = ?", key
    ).fetchone()
    return str(row[0]) if row else ""


def waiting(reader: Any, workspace: str) -> list[tuple[str, str, str, str, int]]:
    """(workspace, system, external id, cause, asked at), oldest first."""
    sql = (
        "SELECT workspace, system, external_id, cause, asked_at FROM approvals "
        "WHERE state = 'waiting' AND (?1 = '' OR workspace = ?1) ORDER BY asked_at"
    )
    return [tuple(row) for row in reader.execute(sql, (workspace,))]


# -- the users themselves ---------------------------------------------------------------------------------------


def put_proxy(cursor: Any, proxy: Proxy) -> None:
    marks = ", ".join("?" * len(_proxy_names))
    sql = f"INSERT OR REPLACE INTO proxies ({', '.join(_proxy_names)}) VALUES ({marks})"  # noqa: S608 - fixed names
    cursor.execute(sql, msgspec.structs.astuple(proxy))


def change_proxy(cursor: Any, workspace: str, user_id: str, **values: object) -> None:
    """Set single columns."""
    if not values.keys() <= set(_proxy_names):
        raise ValueError(f"no such column: {values.keys() - set(_proxy_names)}")
    assignments = ", ".join(f"{name} = ?" for name in values)
    cursor.execute(
        f"UPDATE proxies SET {assignments} WHERE workspace = ? AND user_id = ?",  # noqa: S608 - names checked above
        (*values.values(), workspace, user_id),
    )


def proxy(reader: Any, workspace: str, user_id: str) -> Proxy | None:
    row = reader.execute(f"{_proxy} WHERE workspace = ? AND user_id = ?", (workspace, user_id)).fetchone()
    return None if row is None else _read(row)


def proxies(reader: Any, workspace: str) -> list[Proxy]:
    """The longest unused first."""
    return [_read(row) for row in reader.execute(f"{_proxy} WHERE workspace = ? ORDER BY used_at", (workspace,))]


def _read(row: Any) -> Proxy:
    return Proxy(
        row[0], row[1], row[2], bool(row[3]), row[4], row[5], row[6], row[7], bool(row[8]), bool(row[9]), *row[10:12]
    )


def forget_proxy(cursor: Any, workspace: str, user_id: str) -> None:
    cursor.execute("DELETE FROM proxies WHERE workspace = ? AND user_id = ?", (workspace, user_id))


# -- log-ins ----------------------------------------------------------------------------------------------------


def put_token(cursor: Any, workspace: str, username: str, token: Token) -> None:
    cursor.execute(
        "INSERT OR REPLACE INTO tokens (workspace, username, user_id, password, token, issued_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (workspace, username, token.user_id, token.password, token.token, token.issued_at),
    )


def drop_login(cursor: Any, workspace: str, username: str) -> None:
    """The hub has forgotten it; the password stays."""
    cursor.execute("UPDATE tokens SET token = '' WHERE workspace = ? AND username = ?", (workspace, username))


def token(reader: Any, workspace: str, username: str) -> Token | None:
    row = reader.execute(
        "SELECT user_id, password, token, issued_at FROM tokens WHERE workspace = ? AND username = ?",
        (workspace, username),
    ).fetchone()
    return None if row is None else Token(*row)


def tokens(reader: Any) -> list[tuple[str, str, Token]]:
    """(workspace, username, log-in) of all."""
    rows = reader.execute("SELECT workspace, username, user_id, password, token, issued_at FROM tokens")
    return [(row[0], row[1], Token(*row[2:])) for row in rows]
