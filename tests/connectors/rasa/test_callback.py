"""The relay's acceptance tests over Rasa's callback channel, and what only that channel does."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest

from tests.acceptance.test_relay import *  # noqa: F403 - the same tests over another channel
from tests.conftest import MakeWorld, World

TOKEN = "callback-secret"
CHANNEL = f'\nchannel = "callback"\ncallback_token = "{TOKEN}"\n'


@pytest.fixture
def bot_kind() -> str:
    return "rasa"


@pytest.fixture
def make_world(make_world: MakeWorld) -> MakeWorld:
    """A world whose Rasa posts to the bridge, also after the bridge was restarted at another port."""

    async def make(*, connection: str = "fallbacks = 2", **options: Any) -> World:
        world: World = await make_world(connection=connection + CHANNEL, **options)
        restart = world.restart

        async def restart_and_point() -> None:
            await restart()
            await point(world)

        setattr(world, "restart", restart_and_point)  # noqa: B010 - a method of this one world
        await point(world)
        return world

    return make


async def point(world: World) -> None:
    await world.bot.control(callback_url=address(world), callback_token=TOKEN)


def address(world: World) -> str:
    return f"{world.node.url}/connections/helper/callback"


async def session_of(world: World, turn: int = 0) -> str:
    return str((await world.bot.turns())[turn]["sender"])


async def post(world: World, body: object, *, token: str = TOKEN, query: str = "", path: str = "") -> int:
    """What a Rasa would post; returns the status."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with aiohttp.ClientSession() as session:
        url = (path and f"{world.node.url}{path}") or address(world) + query
        async with session.post(url, data=io.BytesIO(data), headers=headers) as answer:
            await answer.read()
            return answer.status


def said_by_bot(room: dict[str, Any]) -> list[str]:
    return [each["text"] for each in room["messages"] if each["kind"] == "bot"]


async def talking(world: World) -> tuple[Any, str]:
    """A visitor who was answered once, and the session's name at the bot."""
    visitor = await world.visitor()
    await visitor.say("echo one")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    return visitor, await session_of(world)


async def test_choices_and_several_messages_keep_their_order(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("menu")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    await visitor.say("1")
    await visitor.wait_for("bot", 3)
    await visitor.say("say 20")
    heard = await visitor.wait_for("bot", 23)

    assert heard[1]["text"] == "Here is the picture."
    assert [each["text"] for each in heard[3:]] == [f"line {n}" for n in range(1, 21)]
    assert [each["message"] for each in await world.bot.turns()] == ["menu", "/ask_picture", "say 20"]


async def test_bot_speaks_by_itself(make_world: MakeWorld) -> None:
    """A reminder, without any turn; after a restart of the bridge as well."""
    world = await make_world()
    visitor, session = await talking(world)
    assert await post(world, {"recipient_id": session, "text": "Are you still there?"}) == 200
    assert (await visitor.wait_for("bot", 2))[1]["text"] == "Are you still there?"
    await world.restart()
    await world.quiet()
    assert await post(world, {"recipient_id": session, "text": "Hello again"}) == 200

    assert (await visitor.wait_for("bot", 3))[2]["text"] == "Hello again"


async def test_bot_without_control_is_not_heard(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor, session = await talking(world)
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await world.quiet()
    before = said_by_bot(await world.room(visitor.rid))
    assert await post(world, {"recipient_id": session, "text": "too late"}) == 200
    await world.quiet()

    assert said_by_bot(await world.room(visitor.rid)) == before
    reasons = [row[0] for row in world.rows("SELECT reason FROM events ORDER BY id")]
    assert reasons[-1] == "helper spoke, but agents is in control now"


async def test_bot_may_hand_over_by_itself(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor, session = await talking(world)
    await post(world, {"recipient_id": session, "text": "A colleague will look at it."})
    await post(world, {"recipient_id": session, "custom": {"type": "handover", "reason": "overdue"}})
    await visitor.wait_event("assigned", "alice")

    assert said_by_bot(await world.room(visitor.rid)) == ["one", "A colleague will look at it."]


async def test_turn_that_led_to_a_handover_is_not_given_again(make_world: MakeWorld) -> None:
    """Nobody takes over: the bot has control again, and must not be asked for a person a second time."""
    world = await make_world()
    await world.hub.control(available={"alice": False})
    visitor = await world.visitor()
    await visitor.say("talk to a human")
    heard = await visitor.wait_for("bot", 2)
    await world.quiet()
    await visitor.say("echo still here")

    assert heard[1]["text"].startswith("Nobody is available")
    assert (await visitor.wait_for("bot", 3))[2]["text"] == "still here"
    assert [each["message"] for each in await world.bot.turns()] == ["talk to a human", "echo still here"]


async def test_not_understood_is_counted_per_turn(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    for n, text in enumerate(("qwe", "echo one", "asd"), start=1):
        await visitor.say(text)
        await visitor.wait_for("bot", n)
        await world.quiet()
    assert world.rows("SELECT count(*) FROM deliveries WHERE command = 'ListAgents'") == [(0,)]
    await visitor.say("zxc")
    await visitor.wait_event("assigned", "alice")

    said = said_by_bot(await world.room(visitor.rid))
    assert said[-1].startswith("I am connecting you")
    assert said[:-1] == ["I did not understand that.", "one", *["I did not understand that."] * 2]


async def test_slow_turn_is_announced_only_while_nothing_was_said(make_world: MakeWorld) -> None:
    world = await make_world(engine="notice_after_s = 0.3")
    visitor, _ = await talking(world)
    await world.bot.control(linger_ms=900)
    await visitor.say("echo speaks at once, then works on")
    await world.answered(2)
    await world.bot.control(linger_ms=0, delay_ms=900)
    await visitor.say("echo works, then speaks")
    await world.answered(3)

    said = said_by_bot(await world.room(visitor.rid))
    assert [each.split()[0] for each in said] == ["one", "speaks", "One", "works,"]


async def test_cut_turn_is_looked_up_by_its_mark(make_world: MakeWorld) -> None:
    """The bridge ends while Rasa works: the tracker tells that the turn never happened, and it is given again."""
    world = await make_world()
    visitor, _ = await talking(world)
    await world.bot.control(fail_next=[{"status": 500, "count": 1}])
    await visitor.say("echo two")
    await visitor.wait_for("bot", 2)
    await world.quiet()
    turns = await world.bot.turns()

    assert [(each["message"], each["outcome"]) for each in turns] == [
        ("echo one", "answered"),
        ("echo two", "failed"),
        ("echo two", "answered"),
    ]
    assert turns[1]["delivery_id"] == turns[2]["delivery_id"]


async def test_what_was_said_of_a_cut_turn_is_not_said_again(make_world: MakeWorld) -> None:
    """The bridge ends after the bot's second message and before the end of the turn, which Rasa forgets then."""
    world = await make_world()
    visitor, _ = await talking(world)
    await world.bot.control(linger_ms=5_000)
    await visitor.say("say 3")
    await visitor.wait_for("bot", 4)
    await world.bot.control(linger_ms=0)
    await world.restart()
    await world.answered(3)
    await visitor.say("say 2")
    heard = await visitor.wait_for("bot", 6)

    assert [each["text"] for each in heard] == ["one", "line 1", "line 2", "line 3", "line 1", "line 2"]
    assert [(each["message"], each["outcome"]) for each in (await world.bot.turns())[1:3]] == [
        ("say 3", "cancelled"),
        ("say 3", "answered"),
    ]


async def test_two_hundred_callbacks_at_once_are_said_in_order(make_world: MakeWorld) -> None:
    world = await make_world()
    visitors = [await talking(world) for _ in range(1)]
    for n in range(9):
        visitor = await world.visitor(f"V{n}")
        await visitor.say("echo one")
        await visitor.wait_for("bot", 1)
        visitors.append((visitor, await session_of(world, n + 1)))

    async def speak(session: str) -> None:
        for n in range(20):
            assert await post(world, {"recipient_id": session, "text": f"m{n}"}) == 200

    await asyncio.gather(*(speak(session) for _, session in visitors))
    for visitor, _ in visitors:
        heard = await visitor.wait_for("bot", 21)
        assert [each["text"] for each in heard] == ["one", *(f"m{n}" for n in range(20))]


async def test_who_may_call(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor, session = await talking(world)
    good = {"recipient_id": session, "text": "hello"}
    deep = b'{"a":' + b"[" * 80 + b"]" * 80 + b"}"

    assert await post(world, good, token="wrong") == 401
    assert await post(world, good, token="") == 401
    assert await post(world, good, token="", query="?token=wrong") == 401
    assert await post(world, good, path="/connections/nobody/callback") == 404
    assert await post(world, b"no json") == 400
    assert await post(world, b"[1]") == 400
    assert await post(world, deep) == 413
    assert await post(world, b'{"a":"' + b"x" * (17 * 1024 * 1024) + b'"}') == 413
    await world.quiet()
    assert said_by_bot(await world.room(visitor.rid)) == ["one"]
    assert await post(world, good, token="", query=f"?token={TOKEN}") == 200
    assert (await visitor.wait_for("bot", 2))[1]["text"] == "hello"


async def test_strange_callbacks_are_kept_and_harm_nobody(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor, session = await talking(world)
    forged = f"{int(session, 16) ^ 1:032x}"
    for body in ({}, {"text": "hi"}, {"recipient_id": 7}, {"recipient_id": forged, "text": "x"},
                 {"recipient_id": "not one", "text": "x"}, {"recipient_id": session, "custom": {"type": "weather"}},
                 {"recipient_id": session, "text": 7, "buttons": "none"}):  # fmt: skip
        assert await post(world, body) == 200
    await world.quiet()

    assert world.rows("SELECT count(*) FROM observations WHERE source = 'callback' AND state IN (1, 2, 3)") == [(8,)]
    assert said_by_bot(await world.room(visitor.rid)) == ["one"]
    await visitor.say("echo two")
    assert (await visitor.wait_for("bot", 2))[1]["text"] == "two"
