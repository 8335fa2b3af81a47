"""The directory: external agents, what they look like, and which user of the hub each one is.

Unique by the database: one row for each (workspace, system, external id), and one external id of a system for each
user. Times in ms. Whole files are written by one statement for each chunk, so that the writer is free in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

READY, CONFLICT = "ready", "conflict"
"""agents.step besides those of a creation: a user that can be used; one that must not."""

_encode = msgspec.json.Encoder().encode
_names = msgspec.json.Decoder(tuple[str, ...])


class AgentRow(msgspec.Struct, frozen=True):
    """One external agent with its persona. user_id: '' = no user of its own. departments: ids or names."""

    workspace: str
    system: str
    external_id: str
    user_id: str = ""
    username: str = ""
    mode: str = ""
    step: str = ""
    departments: tuple[str, ...] = ()
    capacity: int = 0
    presence: str = ""
    name: str = ""
    avatar_url: str = ""
    language: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.workspace, self.system, self.external_id)


_columns = (
    "a.workspace, a.system, a.external_id, a.user_id, a.username, a.mode, a.step, a.departments, a.capacity, "
    "a.presence, p.name, p.avatar_url, p.language"
)
_from = (
    "FROM agents a LEFT JOIN personas p "
    "ON p.workspace = a.workspace AND p.system = a.system AND p.external_id = a.external_id"
)
_select = f"SELECT {_columns} {_from}"
_find = f"{_select} WHERE a.workspace = ? AND a.system = ? AND a.external_id = ?"
_of_user = f"{_select} WHERE a.workspace = ? AND a.user_id = ?"

# Of each row that the JSON list holds; an empty user leaves the one that is known.
_put_agents = """
INSERT INTO agents (workspace, system, external_id, user_id, username, mode, step, departments, capacity, presence,
                    created_at, updated_at)
SELECT r.value ->> 0, r.value ->> 1, r.value ->> 2, nullif(r.value ->> 3, ''), r.value ->> 4, r.value ->> 5,
       r.value ->> 6, r.value ->> 7, r.value ->> 8, '', ?2, ?2
FROM json_each(?1) r WHERE true
ON CONFLICT (workspace, system, external_id) DO UPDATE SET
  user_id = coalesce(excluded.user_id, user_id),
  username = CASE WHEN excluded.user_id IS NULL THEN username ELSE excluded.username END,
  mode = CASE WHEN excluded.mode = '' THEN mode ELSE excluded.mode END,
  step = CASE WHEN excluded.step = '' THEN step ELSE excluded.step END,
  departments = excluded.departments,
  capacity = excluded.capacity,
  updated_at = excluded.updated_at
"""
_put_personas = """
INSERT INTO personas (workspace, system, external_id, name, avatar_url, language, updated_at)
SELECT r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 9, r.value ->> 10, r.value ->> 11, ?2
FROM json_each(?1) r WHERE true
ON CONFLICT (workspace, system, external_id) DO UPDATE SET
  name = excluded.name, avatar_url = excluded.avatar_url, language = excluded.language, updated_at = excluded.updated_at
"""


def put(cursor: Any, rows: Sequence[AgentRow], at: int) -> None:
    """Write rows with their personas. Raises IntegrityError when a user has another id of that system already."""
    data = _encode([_flat(each) for each in rows]).decode()
    cursor.execute(_put_agents, (data, at))
    cursor.execute(_put_personas, (data, at))


def _flat(row: AgentRow) -> tuple[object, ...]:
    return (
        row.workspace, row.system, row.external_id, row.user_id, row.username, row.mode, row.step,
        _encode(row.departments).decode(), row.capacity, row.name, row.avatar_url, row.language,
    )  # fmt: skip


def find(reader: Any, workspace: str, system: str, external_id: str) -> AgentRow | None:
    """By external id."""
    row = reader.execute(_find, (workspace, system, external_id)).fetchone()
    return None if row is None else _read(row)


def of_user(reader: Any, workspace: str, user_id: str) -> list[AgentRow]:
    """Who a user is, one row for each system."""
    return [_read(row) for row in reader.execute(_of_user, (workspace, user_id))]


def rows(
    reader: Any, workspace: str = "", system: str = "", *, mode: str = "", step: str = "", limit: int = -1
) -> Iterator[AgentRow]:
    """All, in the order of their ids; filters that are empty do not count. limit: -1 = no limit."""
    sql = (
        f"{_select} WHERE (?1 = '' OR a.workspace = ?1) AND (?2 = '' OR a.system = ?2) AND (?3 = '' OR a.mode = ?3) "
        "AND (?4 = '' OR a.step = ?4) ORDER BY a.workspace, a.system, a.external_id LIMIT ?5"
    )
    for row in reader.execute(sql, (workspace, system, mode, step, limit)):
        yield _read(row)


def _read(row: Sequence[Any]) -> AgentRow:
    user_id, departments, persona = row[3] or "", _names.decode(row[7]), [each or "" for each in row[10:]]
    return AgentRow(row[0], row[1], row[2], user_id, row[4], row[5], row[6], departments, row[8], row[9], *persona[:3])


def set_user(
    cursor: Any, key: tuple[str, str, str], user_id: str, username: str, mode: str, step: str, at: int
) -> None:
    """Which user an external id is. user_id: '' = none. Raises IntegrityError when the user is another one already."""
    cursor.execute(
        "UPDATE agents SET user_id = nullif(?, ''), username = ?, mode = ?, step = ?, updated_at = ? "
        "WHERE workspace = ? AND system = ? AND external_id = ?",
        (user_id, username, mode, step, at, *key),
    )


def set_step(cursor: Any, key: tuple[str, str, str], step: str, at: int) -> None:
    """How far the making of a user got."""
    cursor.execute(
        "UPDATE agents SET step = ?, updated_at = ? WHERE workspace = ? AND system = ? AND external_id = ?",
        (step, at, *key),
    )


def set_presence(cursor: Any, key: tuple[str, str, str], presence: str, at: int) -> None:
    """As the external system said last."""
    cursor.execute(
        "UPDATE agents SET presence = ?, updated_at = ? WHERE workspace = ? AND system = ? AND external_id = ?",
        (presence, at, *key),
    )


# -- users of the hub, and who they say they are ---------------------------------------------------------------


class HubUser(msgspec.Struct, frozen=True):
    """As the last full sync saw it."""

    user_id: str
    username: str
    roles: tuple[str, ...]
    active: bool


class Claim(msgspec.Struct, frozen=True):
    """A user who says that he is an external agent. claim: what is written in his fields."""

    workspace: str
    claim: str
    user_id: str
    username: str
    confirmed: bool


def put_users(cursor: Any, workspace: str, users: Iterable[HubUser], at: int) -> None:
    data = [(each.user_id, each.username, _encode(each.roles).decode(), each.active) for each in users]
    cursor.execute(
        "INSERT OR REPLACE INTO hub_users (workspace, user_id, username, roles, active, seen_at) "
        "SELECT ?1, r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3, ?3 FROM json_each(?2) r",
        (workspace, _encode(data).decode(), at),
    )


def follow_names(cursor: Any, workspace: str, at: int) -> None:
    """People who exist and were renamed in the hub are known by their new name, as the last sync saw it.

    Not users that we made: their name is an HMAC of the agent, by which they are found again.
    """
    cursor.execute(
        "UPDATE agents SET username = u.username, updated_at = ? FROM hub_users u WHERE agents.workspace = ? "
        "AND agents.mode = 'mapped' AND u.workspace = agents.workspace AND u.user_id = agents.user_id "
        "AND u.username <> agents.username",
        (at, workspace),
    )


def forget_users(cursor: Any, workspace: str, before: int) -> None:
    """Those that a full sync did not see any more, and claims that nobody makes any more."""
    cursor.execute("DELETE FROM hub_users WHERE workspace = ? AND seen_at < ?", (workspace, before))
    cursor.execute("DELETE FROM claims WHERE workspace = ? AND seen_at < ? AND confirmed = 0", (workspace, before))


def users(reader: Any, workspace: str) -> dict[str, HubUser]:
    """By user id."""
    sql = "SELECT user_id, username, roles, active FROM hub_users WHERE workspace = ?"
    return {row[0]: _user(row) for row in reader.execute(sql, (workspace,))}


def user_named(reader: Any, workspace: str, username: str) -> HubUser | None:
    sql = "SELECT user_id, username, roles, active FROM hub_users WHERE workspace = ? AND username = ?"
    row = reader.execute(sql, (workspace, username)).fetchone()
    return None if row is None else _user(row)


def _user(row: Sequence[Any]) -> HubUser:
    return HubUser(row[0], row[1], _names.decode(row[2]), bool(row[3]))


def put_claim(cursor: Any, claim: Claim, at: int) -> None:
    """A confirmation stays; what is only seen does not take it away."""
    cursor.execute(
        "INSERT INTO claims (workspace, claim, user_id, username, confirmed, seen_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (workspace, claim, user_id) DO UPDATE SET username = excluded.username, "
        "confirmed = max(confirmed, excluded.confirmed), seen_at = excluded.seen_at",
        (claim.workspace, claim.claim, claim.user_id, claim.username, int(claim.confirmed), at),
    )


def unconfirm(cursor: Any, workspace: str, claim: str) -> None:
    """An admin takes it back."""
    cursor.execute("UPDATE claims SET confirmed = 0 WHERE workspace = ? AND claim = ?", (workspace, claim))


def claims(reader: Any, workspace: str, values: Sequence[str] = ()) -> list[Claim]:
    """All, or who claims one of these values."""
    sql = "SELECT workspace, claim, user_id, username, confirmed FROM claims WHERE workspace = ?"
    if values:
        sql += f" AND claim IN ({', '.join('?' * len(values))})"
    found = reader.execute(f"{sql} ORDER BY claim, user_id", (workspace, *values))
    return [Claim(row[0], row[1], row[2], row[3], bool(row[4])) for row in found]


def is_confirmed(reader: Any, workspace: str, claim: str, user_id: str) -> bool:
    sql = "SELECT 1 FROM claims WHERE workspace = ? AND claim = ? AND user_id = ? AND confirmed = 1"
    return reader.execute(sql, (workspace, claim, user_id)).fetchone() is not None


# -- audit, and small facts -------------------------------------------------------------------------------------


def note(
    cursor: Any, at: int, key: tuple[str, str, str], action: str, user_id: str = "", cause: str = "", detail: str = ""
) -> None:
    """Append to the audit."""
    cursor.execute(
        "INSERT INTO agent_audit (at, workspace, system, external_id, action, user_id, cause, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (at, *key, action, user_id, cause, detail),
    )


def notes(reader: Any, workspace: str, action: str = "", limit: int = 100) -> list[dict[str, Any]]:
    """The newest first."""
    names = ("at", "workspace", "system", "external_id", "action", "user_id", "cause", "detail")
    sql = (
        f"SELECT {', '.join(names)} FROM agent_audit WHERE (?1 = '' OR workspace = ?1) "  # noqa: S608 - fixed names
        "AND (?2 = '' OR action = ?2) ORDER BY id DESC LIMIT ?3"
    )
    return [dict(zip(names, row, strict=True)) for row in reader.execute(sql, (workspace, action, limit))]


def synced_at(reader: Any, workspace: str) -> int:
    """When the last full sync of a workspace ended, 0 = never."""
    row = reader.execute("SELECT value FROM instance WHERE name = ?", (f"agents-synced:{workspace}",)).fetchone()
    return int(row[0]) if row else 0


def set_synced(cursor: Any, workspace: str, at: int) -> None:
    cursor.execute(
        "INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)", (f"agents-synced:{workspace}", str(at))
    )


def is_declared(reader: Any, workspace: str) -> bool | None:
    """Whether the hub has the custom field, as of the last full sync; None = it could not be asked."""
    row = reader.execute("SELECT value FROM instance WHERE name = ?", (f"agents-declared:{workspace}",)).fetchone()
    return row[0] == "yes" if row and row[0] else None


def set_declared(cursor: Any, workspace: str, declared: bool | None) -> None:
    value = "" if declared is None else "yes" if declared else "no"
    cursor.execute(
        "INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)", (f"agents-declared:{workspace}", value)
    )
