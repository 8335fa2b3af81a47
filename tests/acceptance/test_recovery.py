"""What a start finds out about deliveries that a dead process had under way."""

from __future__ import annotations

from tests.conftest import MakeWorld, World


async def answered_once(world: World) -> str:
    visitor = await world.visitor()
    await visitor.say("echo one")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    return visitor.rid


async def forget(world: World, state: int, code: str) -> None:
    """Make the posted answer look as if the process had died before it knew."""
    database = world.node.service._database
    assert database
    sql = "UPDATE deliveries SET state = ?, code = ?, attempts = 0, settled_at = NULL WHERE command = 'SendToVisitor'"
    await database.writer.submit(lambda cursor: cursor.execute(sql, (state, code)))


async def test_words_that_arrived_are_settled_and_not_said_again(make_world: MakeWorld) -> None:
    world = await make_world()
    rid = await answered_once(world)
    await forget(world, 0, "")
    before = (await world.hub.ledger())["rest_calls"]["chat.sendMessage"]
    await world.restart()
    await world.quiet()
    ledger = await world.hub.ledger()

    assert ledger["rest_calls"]["chat.sendMessage"] == before
    assert [each["text"] for each in (await world.room(rid))["messages"] if each["kind"] == "bot"] == ["one"]


async def test_words_refused_under_way_that_arrived_are_an_overlap(make_world: MakeWorld) -> None:
    world = await make_world()
    await answered_once(world)
    await forget(world, 2, "control-changed")
    await world.restart()
    await world.quiet()

    assert world.rows("SELECT state, code FROM deliveries WHERE command = 'SendToVisitor'") == [(1, "overlap")]


async def test_words_refused_that_never_left_stay_refused(make_world: MakeWorld) -> None:
    world = await make_world()
    await answered_once(world)
    await forget(world, 2, "control-changed")
    database = world.node.service._database
    assert database
    sql = "UPDATE deliveries SET external_id = 'never-sent' WHERE command = 'SendToVisitor'"
    await database.writer.submit(lambda cursor: cursor.execute(sql))
    await world.restart()
    await world.quiet()

    assert world.rows("SELECT state, code FROM deliveries WHERE command = 'SendToVisitor'") == [(2, "control-changed")]
