"""Whether a user may be made: every reason why not, before anything is written or asked of the hub."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from omnibridge.domain.agents import AgentRefused, ExternalAgent
from omnibridge.identity import making
from omnibridge.identity.names import claim
from omnibridge.identity.world import Key, World
from omnibridge.identity.writing import write
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.storage import directory, seats


class Full(msgspec.Struct, frozen=True):
    """There is no seat. text: which limit."""

    text: str


async def reserve(
    world: World, hub: Provisioner, key: Key, agent: ExternalAgent, cause: str, *, pooled: bool = False
) -> AgentRefused | Full | None:
    """Take a seat. None = it is taken, `making.finish` comes next."""
    policy, reader = world.policy, world.database.reader
    if not policy.creation:
        return refused(agent, "creation_off", "users are not made: set [agents] creation = true, or link this agent")
    if not hub.may_create:
        return refused(agent, "creation_off", "[[workspace]] provisioner_user_id and provisioner_token are missing")
    if world.vault is None:
        return refused(agent, "creation_off", "[agents] token_keys is missing")
    if not directory.synced_at(reader, key[0]):
        return refused(agent, "not_synced", "run `omnibridge agents sync` once before users are made")
    if policy.approval and not pooled and (answer := await _approval(world, key, agent, cause)):
        return answer
    name = making.free_name(world, key)
    if policy.dry_run:
        return await _planned(world, key, name, agent, cause)
    mode = "pooled" if pooled else "provisioned"
    unit = partial(making.begin, world=world, key=key, name=name, mode=mode, agent=agent, cause=cause)
    full = await write(world.database.writer, unit)
    if full:
        world.alarm("over_budget", key[0], limit=full)
        world.count("over_budget")
        return Full(full)
    return None


async def _approval(world: World, key: Key, agent: ExternalAgent, cause: str) -> AgentRefused | None:
    state = seats.approval(world.database.reader, key)
    if state == "approved":
        return None
    if state == "refused":
        return refused(agent, "creation_off", "an admin refused to have a user made for this agent")
    if not state:
        at = world.clock.now_ms()
        await write(world.database.writer, partial(seats.ask_approval, key=key, cause=cause, at=at))
        world.alarm("approval", key[0], agent=claim(agent.system, agent.id))
    return refused(agent, "waiting_approval", f"run `omnibridge agents approve {claim(agent.system, agent.id)}`")


async def _planned(world: World, key: Key, name: str, agent: ExternalAgent, cause: str) -> AgentRefused:
    """A dry run asks the budget as well, counting those that it would have made before; it writes nothing but that.

    Who was planned once stays planned; who had no seat is asked for again, as in earnest.
    """
    at = world.clock.now_ms()
    user = making.new_user(world, name, key, agent)

    def unit(cursor: Any) -> str:
        before = seats.planned(cursor, key)
        full = (
            "" if before.at else seats.over(cursor, key[0], world.policy.budget, at, seats.all_planned(cursor, key[0]))
        )
        plan = {**msgspec.to_builtins(user), "departments": agent.departments, "over_budget": full}
        if full:
            plan["instead"] = world.policy.over_budget
        detail = msgspec.json.encode(plan).decode()
        if detail != before.detail:
            seats.plan(cursor, key, seats.Planned(0 if full else before.at or at, detail))
            directory.note(cursor, at, key, "would-create", cause=cause, detail=detail)
        return full

    full = await write(world.database.writer, unit)
    return refused(
        agent, "creation_off", f"dry run: {f'nobody would be made: {full}' if full else f'would make {name}'}"
    )


def refused(agent: ExternalAgent, reason: str, text: str) -> AgentRefused:
    return AgentRefused(agent.system, agent.id, reason, text)
