"""The relay's acceptance tests with this connector and its simulator, and what only this bot does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.test_relay import *  # noqa: F403 - the same tests with another bot
from tests.conftest import MakeWorld
from tests.soak.__main__ import Soak


@pytest.fixture
def bot_kind() -> str:
    return "webhook_bot"


async def test_bot_that_closes_is_told_so(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("please close")
    await visitor.wait_event("closed")
    await world.answered(2)
    turns = await world.bot.turns()

    assert [(each["event"], each["outcome"]) for each in turns] == [("message", "answered"), ("closed", "closed")]
    assert len({each["session"] for each in turns}) == 1


async def test_welcome_is_said_first(make_world: MakeWorld) -> None:
    world = await make_world(connection='welcome = "hello"')
    visitor = await world.visitor()
    heard = await visitor.wait_for("bot", 1)

    assert heard[0]["text"].startswith("Hello, this is the test bot")
    assert [each["event"] for each in await world.bot.turns()] == ["welcome"]


async def test_s2_18_what_a_rule_says_is_done_when_a_conversation_starts(make_world: MakeWorld) -> None:
    """The bot that the rule names takes the room and greets; where no rule fits, the hub is asked for nothing."""
    rules = """
        default = "queue"
        [[rule]]
        name = "gold"
        when = { "visitor.tier" = "gold" }
        target = "bot:helper"
    """
    world = await make_world(rules=rules, connection='welcome = "hello"', bot_first=False)
    await world.hub.control(routing_method="Manual_Selection")
    gold = await world.visitor(customFields=[{"key": "tier", "value": "gold", "overwrite": True}])
    await gold.wait_event("assigned", "bot")
    heard = await gold.wait_for("bot", 1)
    await world.quiet()
    calls = (await world.hub.ledger())["rest_calls"]
    other = await world.visitor("Viktor")
    await world.hub.settled()
    await world.quiet()
    after = (await world.hub.ledger())["rest_calls"]

    assert heard[0]["text"].startswith("Hello, this is the test bot")
    assert (calls["livechat/inquiries.take"], calls["chat.sendMessage"]) == (1, 1)
    assert (await world.room(other.rid))["served_by"] is None
    acts = ("livechat/inquiries.take", "livechat/room.forward", "chat.sendMessage", "chat.postMessage")
    assert [after.get(each, 0) - calls.get(each, 0) for each in acts] == [0, 0, 0, 0]


async def test_kills_lose_nothing(tmp_path: Path) -> None:
    """The crash test in small, at the points around a turn; the large one is `make soak ARGS="--kind webhook_bot"`."""
    points = ("outbox_to_send", "sent_to_response", "response_to_settle")
    result = await Soak(len(points), 7, 8, "8.3", "webhook_bot", tmp_path, points=points).run()

    assert {point: result["kills_by_point"][point] for point in points} == dict.fromkeys(points, 1), result
    assert (result["lost"], result["doubled"], result["out_of_order"]) == (0, 0, 0), result
    assert result["messages"] > 50
