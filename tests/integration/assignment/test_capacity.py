"""An agent who has as many conversations as he may is not given another one: class `limit`, then as configured."""

from __future__ import annotations

import asyncio
from functools import partial

from omnibridge.operator.replay import Replay
from omnibridge.storage import directory
from omnibridge.storage.directory import READY, AgentRow
from tests.integration.assignment.conftest import Decided, MakeDecided


async def may_have(world: Decided, external_id: str, username: str, capacity: int) -> None:
    """As an import writes it."""
    user = world.sandbox.hub.by_name[username]
    row = AgentRow("main", "crm", external_id, user.id, username, "mapped", READY, capacity=capacity)
    database = world.node.service._database
    assert database
    await database.writer.submit(partial(directory.put, rows=[row], at=1))


def replays(world: Decided) -> bool:
    database = world.node.service._database
    assert database
    return Replay(database.reader).run().is_clean


async def test_full_agent_is_excluded_by_class_limit_and_the_router_asked_again(make_decided: MakeDecided) -> None:
    world = await make_decided(agents={"0055": "alice", "0066": "bob"})
    await may_have(world, "0055", "alice", 1)
    world.router.agents = {"": ["0055"]}
    first = await world.visitor()
    await world.served(first.rid, "alice")
    world.router.agents = {"": ["0055", "0066"]}
    world.router._turns = iter([0, 0])  # type: ignore[assignment]
    second = await world.visitor()
    await world.served(second.rid, "bob")
    reason = await world.until(second.rid, "limit")
    await world.quiet()

    assert reason == "crm:0055 is at his limit: crm is asked again"
    assert [each["excluded"] for each in world.router.questions] == [[], [], ["0055"]]
    stored = world.rows("SELECT decision FROM events WHERE reason = ?", reason)[0][0]
    assert b"limit: he has 1 of 1 conversations" in bytes(stored)
    assert replays(world)


async def test_last_place_is_given_once_when_two_are_decided_at_the_same_time(make_decided: MakeDecided) -> None:
    world = await make_decided(rules='default = "queue"')
    await may_have(world, "0055", "alice", 3)
    token = await world.token()
    visitors = await asyncio.gather(*(world.visitor() for _ in range(6)))
    await asyncio.gather(*(world.until(each.rid, "sends new conversations") for each in visitors))
    await asyncio.gather(*(world.push(each.rid, "0055", token) for each in visitors))
    await world.quiet()
    servers = [(await world.room(each.rid))["served_by"] for each in visitors]

    assert sorted(str(each) for each in servers) == ["None"] * 3 + ["alice"] * 3
    assert sum("limit" in " ".join(world.reasons(each.rid)) for each in visitors) == 3
    assert replays(world)


async def test_place_is_free_again_when_a_conversation_is_closed(make_decided: MakeDecided) -> None:
    world = await make_decided(rules='default = "queue"')
    await may_have(world, "0055", "alice", 1)
    token, first, second = await world.token(), await world.visitor(), await world.visitor()
    for each in (first, second):
        await world.until(each.rid, "sends new conversations")
    await world.push(first.rid, "0055", token)
    await world.served(first.rid, "alice")
    await world.push(first.rid, "0055", token)  # who serves it already is not over his limit
    await world.quiet()
    await first.close()
    await world.until(first.rid, "closed")
    await world.quiet()
    await world.push(second.rid, "0055", token)

    await world.served(second.rid, "alice")
    assert not any("limit" in each for each in world.reasons(first.rid) + world.reasons(second.rid))
