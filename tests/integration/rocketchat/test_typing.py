"""Who types, both ways, over the hub's realtime connection; and nothing of it is written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from omnibridge.engine import typing_notices
from omnibridge.rocketchat.realtime import typist
from omnibridge.rocketchat.realtime.connection import realtime_url
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import MakeWorld, World, until
from tests.integration.rocketchat.test_realtime import LIVE
from tests.integration.sandbox.ddp import Ddp

ROOM_STREAM = "stream-notify-room"
SLOW = "typing_after_s = 0.2"


@asynccontextmanager
async def widget_of(world: World, visitor: Visitor) -> AsyncIterator[Ddp]:
    """Hears what the visitor's widget hears of typing."""
    proof = {"token": visitor.token, "visitorToken": visitor.token}
    async with websockets.connect(realtime_url(world.sandbox.url)) as socket:
        widget = await Ddp(socket).connect()
        extra = {"useCollection": False, "args": [proof]}
        assert (await widget.subscribe(ROOM_STREAM, f"{visitor.rid}/user-activity", extra))["msg"] == "ready"
        yield widget


async def seen(widget: Ddp, visitor: Visitor) -> list[Any]:
    """The next notice."""
    return await widget.heard(ROOM_STREAM, f"{visitor.rid}/user-activity")


async def answered_once(world: World) -> Visitor:
    """With the bot in control, and the room watched."""
    await world.live()
    visitor = await world.visitor()
    await visitor.say("echo 1")
    await visitor.wait_for("bot", 1)
    await until(lambda: visitor.rid in (world.node.service._sources._listeners[0]._watch or ()))
    await world.quiet()
    return visitor


def written(world: World) -> list[Any]:
    return world.rows("SELECT (SELECT count(*) FROM observations), (SELECT count(*) FROM deliveries)")


async def test_the_party_in_control_hears_that_the_visitor_types(make_world: MakeWorld) -> None:
    world = await make_world(workspace=LIVE)
    visitor = await answered_once(world)
    before, bot = written(world), world.bot
    name = str((await world.room(visitor.rid))["visitor"])
    async with widget_of(world, visitor) as widget:
        for activities in (["user-typing"], []):
            event = f"{visitor.rid}/user-activity"
            await widget.call(ROOM_STREAM, event, name, activities, {"token": visitor.token})
            await until(lambda: bool(bot.typed) and bot.typed[-1][1] is bool(activities))  # noqa: B023
    assert [each for _, each in bot.typed] == [True, False]
    assert len({session for session, _ in bot.typed}) == 1
    assert written(world) == before


async def test_nobody_is_told_that_staff_types_or_who_types_before_people(make_world: MakeWorld) -> None:
    world = await make_world(workspace=LIVE)
    visitor = await answered_once(world)
    counters = world.node.service.counters
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await world.quiet()
    name = str((await world.room(visitor.rid))["visitor"])
    event, told = f"{visitor.rid}/user-activity", world.sandbox.description["agent_account"]
    async with (
        widget_of(world, visitor) as widget,
        websockets.connect(realtime_url(world.sandbox.url)) as socket,
    ):
        alice = await (await Ddp(socket).connect()).login(told)
        await alice.call(ROOM_STREAM, event, "alice", ["user-typing"])
        await widget.call(ROOM_STREAM, event, name, ["user-typing"], {"token": visitor.token})
        await until(lambda: counters.value("realtime_typing") >= 2)
    typing = world.node.service._typing
    await until(lambda: not typing.visitors._tasks)
    assert world.bot.typed == []


async def test_a_slow_bot_is_shown_to_type_until_it_answers(make_world: MakeWorld) -> None:
    world = await make_world(workspace=LIVE, engine=SLOW)
    visitor = await answered_once(world)
    await world.bot.control(delay_ms=1000)
    async with widget_of(world, visitor) as widget:
        await visitor.say("echo slow")
        assert await seen(widget, visitor) == ["bot", ["user-typing"]]
        assert len(await visitor.wait_for("bot", 2)) == 2
        assert await seen(widget, visitor) == ["bot", []]
        await world.quiet()
        await world.bot.control(delay_ms=0)
        await visitor.say("echo quick")
        await visitor.wait_for("bot", 3)
        await world.quiet()
        assert await widget.events() == []


async def test_it_is_off_by_setting(make_world: MakeWorld) -> None:
    world = await make_world(workspace=LIVE, engine="typing_after_s = 0")
    visitor = await answered_once(world)
    await world.bot.control(delay_ms=600)
    async with widget_of(world, visitor) as widget:
        await visitor.say("echo slow")
        await visitor.wait_for("bot", 2)
        await world.quiet()
        assert await widget.events() == []


async def test_a_connector_shows_that_its_side_types_and_silence_ends_it(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typing_notices, "EXPIRES_S", 0.5)
    world = await make_world(workspace=LIVE)
    visitor = await answered_once(world)
    before = written(world)
    context = world.bot.contexts[0]
    identity = world.rows("SELECT id FROM conversations WHERE room = ?", visitor.rid)[0][0]
    secret = world.node.service._database.secret
    session = typing_notices.session_id(secret, identity, "helper")
    async with widget_of(world, visitor) as widget:
        context.typing("made up", True)
        context.typing(session, True)
        assert await seen(widget, visitor) == ["bot", ["user-typing"]]
        assert await seen(widget, visitor) == ["bot", []]
        context.typing(session, True)
        assert await seen(widget, visitor) == ["bot", ["user-typing"]]
        context.typing(session, False)
        assert await seen(widget, visitor) == ["bot", []]
    assert written(world) == before


async def test_real_names_are_typed_under_where_the_hub_shows_them(make_world: MakeWorld) -> None:
    world = await make_world(workspace=LIVE, engine=SLOW)
    world.sandbox.hub.change_setting("UI_Use_Real_Name", True)
    visitor = await answered_once(world)
    await world.bot.control(delay_ms=600)
    async with widget_of(world, visitor) as widget:
        await visitor.say("echo slow")
        assert await seen(widget, visitor) == ["Assistant", ["user-typing"]]


async def test_no_more_is_shown_than_the_hub_allows_and_each_beginning_has_an_end(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typist, "PAUSE_S", 0.05)
    world = await make_world(workspace=LIVE)
    await world.live()
    visitors = [await world.visitor(f"V{n}") for n in range(15)]
    typists = world.node.service._typing._typists["main"]
    account = world.node.service._typing.parties._hubs["main"].posters["helper"]
    counters = world.node.service.counters
    for each in visitors:
        typists.show(account, each.rid, True)
    await until(lambda: counters.value("typing_shown") == 15)
    shown = counters.value("typing_shown", "main", "shown")
    assert 1 <= shown <= typist.BURST // 2
    mine = typists._typists[account.user_id]
    assert len(mine._shown) == shown
    for each in visitors:
        typists.show(account, each.rid, False)
    await until(lambda: not mine._shown)


async def test_who_was_shown_to_type_is_shown_to_have_stopped_after_a_lost_connection(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typist, "PAUSES_S", (0.05, 0.05, 0.05))
    world = await make_world(workspace=LIVE, engine=SLOW)
    visitor = await answered_once(world)
    await world.bot.control(delay_ms=1500)
    async with widget_of(world, visitor) as widget:
        await visitor.say("echo slow")
        assert await seen(widget, visitor) == ["bot", ["user-typing"]]
    await world.hub.control(realtime={"drop": True})
    async with widget_of(world, visitor) as widget:
        assert await seen(widget, visitor) == ["bot", []]
    await visitor.wait_for("bot", 2)
    await asyncio.wait_for(world.quiet(), 30)
