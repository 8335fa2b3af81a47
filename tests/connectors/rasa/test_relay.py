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
