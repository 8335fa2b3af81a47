"""What must be so after newcomers were made through crashes: by the hub's own records, then by ours."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from omnibridge.identity import drift
from omnibridge.identity.vault import Vault
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.state import User
from omnibridge.storage import directory, seats

SYSTEM, DEPARTMENTS = "crm", ("sales", "support")
SERVING, RESTING = frozenset({"bot", "livechat-agent"}), frozenset({"bot"})


def colour_of(external_id: str) -> str:
    """RRGGBB: a face of his own."""
    return hashlib.sha256(external_id.encode()).hexdigest()[:6]


def name_of(external_id: str) -> str:
    return f"Agent {external_id}"


def made(hub: SimulatedHub) -> list[User]:
    """Users that came over REST."""
    return [each for each in hub.users.values() if each.username.startswith("agent.")]


def judge_hub(hub: SimulatedHub, ids: Iterable[str], faces: dict[str, bytes], roles: frozenset[str]) -> list[str]:
    """Everything that is wrong, in words. faces: external id -> picture. roles: of every one of them."""
    users, wrong = made(hub), []
    wanted = {f"{SYSTEM}:{each}": each for each in ids}
    found = Counter(str(each.custom_fields.get("externalAgentId")) for each in users)
    wrong += [f"{n} users are {claim}" for claim, n in found.items() if n > 1 or claim not in wanted]
    wrong += [f"nobody is {claim}" for claim in wanted if claim not in found]
    created = Counter(each["user"] for each in hub.accounts.audit if each["what"] == "created")
    created = Counter({name: n for name, n in created.items() if name.startswith("agent.")})
    if created != Counter(each.username for each in users):
        wrong.append(f"{created.total()} creations for {len(users)} users")
    members = {each.name: each.agents for each in hub.departments.values()}
    for user in users:
        claim = str(user.custom_fields.get("externalAgentId"))
        external_id = wanted.get(claim, "")
        facts = {
            "active": (user.active, True),
            "roles": (user.roles, roles),
            "name": (user.name, name_of(external_id)),
            "import ids": (user.import_ids, [claim]),
            "face": (user.avatar.content if user.avatar else b"", faces.get(external_id)),
            "departments": (
                {name for name, agents in members.items() if user.id in agents},
                set(DEPARTMENTS) if "livechat-agent" in roles else set(),
            ),
        }
        wrong += [f"{claim}: {name} {is_so!r:.80}" for name, (is_so, should) in facts.items() if is_so != should]
    return wrong


def judge_ours(reader: Any, hub: SimulatedHub, workspace: str, ids: list[str], keys: str) -> list[str]:
    """Directory, seats, audit and log-ins against the hub's users: nobody is half made or counted twice."""
    users, vault = {each.id: each for each in made(hub)}, Vault(keys)
    rows = list(directory.rows(reader, workspace))
    creations = seats.creations(reader, workspace)
    notes = directory.notes(reader, workspace, "create", 1_000_000)
    wrong = [f"{each.external_id} is {each.step or 'not begun'}" for each in rows if each.step != directory.READY]
    if {each.external_id for each in rows} != set(ids):
        wrong.append(f"{len(rows)} rows for {len(ids)} ids")
    for name, found in (
        ("directory", {each.user_id: each.external_id for each in rows}),
        ("seats", {each.user_id: each.external_id for each in creations}),
        ("audit", {each["user_id"]: each["external_id"] for each in notes}),
    ):
        on_hub = {each.id: str(each.custom_fields.get("externalAgentId")).partition(":")[2] for each in users.values()}
        if found != on_hub:
            wrong.append(f"{name} tells of {len(found)} users, the hub has {len(on_hub)}, or they are other people")
    if len(notes) != len(users) or len(creations) != len(users):
        wrong.append(f"{len(notes)} creations in the audit, {len(creations)} seats, {len(users)} users")
    if any(not each["cause"].startswith("room ") for each in notes):
        wrong.append("a creation without its cause")
    for user in users.values():
        token = seats.token(reader, workspace, user.username)
        if token is None or hub.by_token.get(vault.decrypt(token.token) if token.token else "") is not user:
            wrong.append(f"{user.username} has no log-in that works")
    return wrong


def judge_drift(reader: Any, workspace: str, now_ms: int) -> list[str]:
    """What the product itself finds after a fresh sync."""
    return [f"drift: {each.kind} {each.who} {each.text}" for each in drift.report(reader, workspace, now_ms, 0)]
