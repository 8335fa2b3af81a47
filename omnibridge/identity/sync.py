"""One full look at the users of a workspace: who exists, and who each says he is.

A claim is a hint, because any user can write his own fields: it is believed when we made the user, or when an admin
confirmed it. Until this was done once, nobody is created: an agent who is there already would get a twin.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Any

from omnibridge.clock import Clock
from omnibridge.errors import DeliveryRejected
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import QUERIES_USERS, Profile, Provisioner
from omnibridge.storage import directory, seats
from omnibridge.storage.database import Database
from omnibridge.storage.directory import READY, AgentRow, Claim, HubUser

DECLARATION = "Accounts_CustomFields"
"""A field that is not in it is dropped without a word (3.1)."""

AT_ONCE = 8
"""Calls at a time."""


def is_declared(setting: object, field: str) -> bool | None:
    """Whether Accounts_CustomFields names the field; None = the account may not read it."""
    if not isinstance(setting, str):
        return None
    try:
        known = json.loads(setting or "{}")
    except ValueError:
        return False  # the hub drops every field then
    return isinstance(known, dict) and field in known


def claims_of(user: Profile, field: str) -> set[str]:
    """What a user says that he is: the custom field, and the ids that it left behind."""
    value = user.fields.get(field)
    return {each for each in (*user.import_ids, value) if isinstance(each, str) and each}


async def run(hub: Provisioner, database: Database, workspace: str, field: str, clock: Clock) -> dict[str, int]:
    """Read everybody, write what was seen. Raises DeliveryError: then nothing counts as synced.

    Before 7.0 the list itself tells the fields; after that each user is asked for (3.4).
    """
    if not hub.may_create:
        raise DeliveryRejected(
            "[[workspace]] provisioner_user_id and provisioner_token are missing: "
            "only an account with view-full-other-user-info sees who users say they are",
            code="no-provisioner",
        )
    began = clock.now_ms()
    declared = is_declared(await hub.setting(DECLARATION), field)
    tells_fields = await hub.version() < QUERIES_USERS
    figures: Counter[str] = Counter({"users": 0, "claims": 0, "adopted": 0})
    offset, is_last = 0, False
    while not is_last:
        page, is_last = await hub.users(offset)
        offset += len(page)
        users = page if tells_fields else await _in_full(hub, page)
        figures["users"] += len(users)
        await write(database.writer, partial(_put, workspace=workspace, users=users, field=field, at=began))
        figures["claims"] += sum(len(claims_of(each, field)) for each in users)
    figures["adopted"] = await write(database.writer, partial(_adopt, workspace=workspace, at=began))

    def end(cursor: Any) -> None:
        directory.forget_users(cursor, workspace, began)
        directory.follow_names(cursor, workspace, clock.now_ms())
        directory.set_synced(cursor, workspace, clock.now_ms())
        directory.set_declared(cursor, workspace, declared)

    await write(database.writer, end)
    return dict(figures)


async def _in_full(hub: Provisioner, page: list[Profile]) -> list[Profile]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(user: Profile) -> Profile | None:
        async with limit:
            return await hub.find(user_id=user.user_id)

    return [each for each in await asyncio.gather(*map(one, page)) if each]


def _put(cursor: Any, workspace: str, users: list[Profile], field: str, at: int) -> None:
    seen = [HubUser(each.user_id, each.username, each.roles, each.active) for each in users]
    directory.put_users(cursor, workspace, seen, at)
    for user in users:
        for each in claims_of(user, field):
            directory.put_claim(cursor, Claim(workspace, each, user.user_id, user.username, False), at)


def _adopt(cursor: Any, workspace: str, at: int) -> int:
    """Users that we made, and of whom the directory does not know: a row was lost, not the person."""
    n = 0
    for each in seats.creations(cursor, workspace):
        row = directory.find(cursor, workspace, each.system, each.external_id)
        if each.user_id and row is None and seats.proxy(cursor, workspace, each.user_id):
            found = AgentRow(
                workspace, each.system, each.external_id, each.user_id, each.username, "provisioned", READY
            )
            directory.put(cursor, [found], at)
            n += 1
    return n


def told(figures: dict[str, int]) -> list[str]:
    """In words."""
    return [f"{figures['users']} users read, {figures['claims']} claims, {figures['adopted']} found again"]
