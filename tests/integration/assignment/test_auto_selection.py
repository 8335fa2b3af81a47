"""The hub gives each new visitor to an agent by itself, and a rule asks an external system: its answer counts more."""

from __future__ import annotations

import asyncio

from omnibridge.operator.replay import Replay
from omnibridge.sandbox.visitor import Visitor
from tests.integration.assignment.conftest import Decided, MakeDecided

AGENTS = {"0055": "alice", "0066": "bob"}


async def auto(make_decided: MakeDecided, decider: str = "", delay_ms: int = 0) -> Decided:
    """Alice gets whom the hub gives away; the decider names Bob, so late that its answer comes after that."""
    world = await make_decided(agents=AGENTS, decider=decider, assignment="widget_listens_ms = 0")
    world.router.agents = {"": ["0066"]}
    world.router.delay_ms = delay_ms
    refused = {"path": "livechat/department", "status": 403}  # what else cannot be read changes nothing
    await world.hub.control(available={"bot": False}, routing_method="Auto_Selection", fail_next=[refused])
    await looked(world)
    return world


async def looked(world: Decided) -> None:
    """Until the bridge knows that the hub chooses."""
    book = world.node.service._workspaces
    assert book
    book.look("main")
    async with asyncio.timeout(30):
        while not (book.used and book.used["main"].chooses):
            await asyncio.sleep(0.01)


async def given_away(world: Decided) -> Visitor:
    """A new visitor whom the hub gave to Alice, as we know, while the decider is being asked."""
    visitor = await world.visitor()
    assert (await world.room(visitor.rid))["served_by"] == "alice"
    await world.until(visitor.rid, "alice serves by the hub's own choice")
    return visitor


def moves(world: Decided, visitor: Visitor) -> list[tuple[str, str]]:
    """Who was given the room, by whom it was transferred, in order."""
    steps = ("assigned", "unassigned", "queued", "transfer:agent", "transfer:queue")
    return [(each["what"], each["who"]) for each in world.sandbox.hub.rooms[visitor.rid].log if each["what"] in steps]


ONCE = ["assigned", "transfer:agent", "unassigned", "assigned"]


def replays(world: Decided) -> bool:
    database = world.node.service._database
    assert database
    return Replay(database.reader).run().is_clean


async def test_decided_agent_gets_the_room_once(make_decided: MakeDecided) -> None:
    world = await auto(make_decided, delay_ms=250)
    visitor = await given_away(world)
    await world.served(visitor.rid, "bob")
    await visitor.say("is anybody there?")
    await world.quiet()

    assert [what for what, _ in moves(world, visitor)] == ONCE
    assert [each["external_id"] for each in world.router.decisions] == ["0066"]
    assert world.rows("SELECT count(*) FROM deliveries WHERE command IN ('CancelDecision', 'ListAgents')") == [(0,)]
    assert replays(world)


async def test_restart_while_it_is_asked_and_while_it_is_moved(make_decided: MakeDecided) -> None:
    """Of the move the hub does not even tell that it carried it out."""
    world = await auto(make_decided, delay_ms=400)
    visitor = await given_away(world)
    await world.hub.control(fail_next=[{"path": "livechat/room.forward", "status": 502, "after_effect": True}])
    world.router.delay_ms = 0
    await world.restart()
    await world.served(visitor.rid, "bob")
    await world.restart()
    sql = "SELECT json_extract(state, '$.assignment.stage') FROM conversations WHERE room = ?"
    async with asyncio.timeout(30):
        while world.rows(sql, visitor.rid) != [("served",)]:
            await asyncio.sleep(0.02)
    await world.quiet()

    assert [what for what, _ in moves(world, visitor)] == ONCE
    assert len({each["id"] for each in world.router.questions}) == 1
    assert replays(world)


async def test_staff_that_answers_keeps_the_visitor(make_decided: MakeDecided) -> None:
    world = await auto(make_decided)
    world.router.mode, world.router.callback_ms = "ticket", 60_000
    visitor = await given_away(world)
    await world.alice.say(visitor.rid, "Good morning!")
    await world.until(visitor.rid, "alice keeps the visitor")
    question, decision = world.router.questions[0], world.router.decisions[0]
    late = {"external_id": "0066", "ticket": decision["ticket"]}
    assert await world.router.post_back(question["callback"], late) == 200
    await world.until(visitor.rid, "nobody waits for any more")
    await world.quiet()

    assert (await world.room(visitor.rid))["served_by"] == "alice"
    assert [what for what, _ in moves(world, visitor)] == ["assigned"]
    async with asyncio.timeout(30):
        while not world.router.cancelled:
            await asyncio.sleep(0.02)


async def test_without_the_setting_the_hubs_choice_stands(make_decided: MakeDecided) -> None:
    world = await auto(make_decided, "over_auto_selection = false", delay_ms=250)
    visitor = await world.visitor()
    await world.until(visitor.rid, "alice took over; the hub chooses by itself, and crm does not count more")
    await world.quiet()

    assert [what for what, _ in moves(world, visitor)] == ["assigned"]
