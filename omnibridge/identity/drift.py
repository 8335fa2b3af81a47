"""What is not as it should be between the directory and the users that the last sync saw. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from omnibridge.identity.names import claim
from omnibridge.storage import directory, seats
from omnibridge.storage.directory import CONFLICT, READY, AgentRow, Claim
from omnibridge.storage.seats import DAY_MS

OUR_ROLES = {"bot", "user", "livechat-agent"}
"""What a user that we made may hold."""


class Drift(msgspec.Struct, frozen=True):
    """kind: orphan, twins, unconfirmed, conflict, wrong-roles, undeclared, half-made, unused, deactivated."""

    kind: str
    who: str
    text: str


def report(reader: Any, workspace: str, now_ms: int, idle_days: float) -> list[Drift]:
    """Everything, by kind. idle_days: 0 = nobody is unused."""
    users = directory.users(reader, workspace)
    rows = list(directory.rows(reader, workspace))
    claims = directory.claims(reader, workspace)
    found = [
        *_of_hub(reader, workspace),
        *_of_rows(rows, users),
        *_of_claims(reader, workspace, rows, claims),
        *_of_ours(reader, workspace, users, claims, now_ms, idle_days),
    ]
    return sorted(found, key=lambda each: (each.kind, each.who))


def _of_hub(reader: Any, workspace: str) -> Iterator[Drift]:
    if directory.is_declared(reader, workspace) is False:
        text = "[agents] custom_field is not in it: users that we make will not say who they are"
        yield Drift("undeclared", "Accounts_CustomFields", text)


def _of_rows(rows: list[AgentRow], users: dict[str, Any]) -> Iterator[Drift]:
    for row in rows:
        who = claim(row.system, row.external_id)
        user = users.get(row.user_id)
        if row.step == CONFLICT:
            yield Drift("conflict", who, "two users claim it, or one whom nobody confirmed: nobody is routed to")
        elif row.step not in ("", READY):
            yield Drift("half-made", who, f"its user was begun ({row.step}); the next use goes on")
        elif row.user_id and users and user is None:
            yield Drift("orphan", who, f"{row.username} is not there any more: unlink it, or link another")
        elif user and not user.active and row.mode == "mapped":
            yield Drift("deactivated", who, f"{row.username} cannot serve: he is deactivated")


def _of_claims(reader: Any, workspace: str, rows: list[AgentRow], claims: list[Claim]) -> Iterator[Drift]:
    """Anybody can write what he likes into his own fields: what matters is who says what he is not."""
    owners: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.user_id:
            owners[claim(row.system, row.external_id)].add(row.user_id)
            owners[row.external_id].add(row.user_id)
    claimants = Counter(each.claim for each in claims)
    for each in claims:
        ours = seats.made_by_us(reader, workspace, each.user_id)
        is_ours = ours is not None and claim(ours.system, ours.external_id) == each.claim
        if claimants[each.claim] > 1:
            yield Drift("twins", each.claim, f"{each.username} is one of {claimants[each.claim]} who say so")
        if not (is_ours or each.confirmed or each.user_id in owners[each.claim]):
            text = f"{each.username} says so himself: it gives him nothing; confirm it, or clear his field"
            yield Drift("unconfirmed", each.claim, text)


def _of_ours(
    reader: Any, workspace: str, users: dict[str, Any], claims: list[Claim], now_ms: int, idle_days: float
) -> Iterator[Drift]:
    proxies = {each.user_id: each for each in seats.proxies(reader, workspace)}
    told = {(each.user_id, each.claim) for each in claims}
    for each in seats.creations(reader, workspace):
        user, proxy = users.get(each.user_id), proxies.get(each.user_id)
        if not users or not each.user_id:
            continue
        if user is None:
            yield Drift("orphan", each.username, "we made it, and it is gone: `agents unlink` frees the seat")
            continue
        wrong = sorted(set(user.roles) - OUR_ROLES)
        if wrong:
            yield Drift("wrong-roles", each.username, f"holds {', '.join(wrong)}: take it away")
        if "bot" not in user.roles:
            yield Drift("wrong-roles", each.username, "lacks bot: it can serve only while it is online")
        if "livechat-agent" in user.roles and proxy and not proxy.serving:
            yield Drift("wrong-roles", each.username, "rests, but holds livechat-agent: visitors may be sent to it")
        if (each.user_id, claim(each.system, each.external_id)) not in told:
            yield Drift("undeclared", each.username, "its custom field is empty: declare it in Accounts_CustomFields")
        if idle_days and proxy and proxy.active and proxy.used_at < now_ms - idle_days * DAY_MS:
            yield Drift("unused", each.username, f"holds a seat and was not used for {idle_days:g} days")
