"""The relay's acceptance tests with this connector and its simulator, and what only this vendor does."""

from __future__ import annotations

import pytest

from tests.acceptance.test_relay import *  # noqa: F403 - the same tests with another bot
from tests.conftest import MakeWorld


@pytest.fixture
def bot_kind() -> str:
    return "rasa"


async def test_visitor_commands_are_not_obeyed(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("/restart")
    heard = await visitor.wait_for("bot", 1)
    turns = await world.bot.turns()

    assert heard[0]["text"] == "I did not understand that."
    assert turns[0]["message"] == "\u200b/restart"


async def test_silence_is_not_left_standing(make_world: MakeWorld) -> None:
    """A failed action is answered `200 []`: the visitor reads the configured sentence, twice, then people come."""
    world = await make_world(connection='fallbacks = 2\nsilent_text = "Please try again."')
    visitor = await world.visitor()
    await world.bot.control(fail_next=[{"status": 200, "count": 2, "after_effect": True}])
    await visitor.say("where is my order A10023")
    assert (await visitor.wait_for("bot", 1))[0]["text"] == "Please try again."
    await visitor.say("where is my order A10023")
    heard = await visitor.wait_for("bot", 3)

    assert heard[1]["text"] == "Please try again."
    assert heard[2]["text"].startswith("I am connecting you")
    await visitor.wait_event("assigned", "alice")
