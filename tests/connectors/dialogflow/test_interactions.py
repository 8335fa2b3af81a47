"""An answer to what this bot offered comes to it with the response object."""

from __future__ import annotations

import pytest

from tests.conftest import MakeWorld


@pytest.fixture
def bot_kind() -> str:
    return "dialogflow"


async def test_s3_03_a_choice_comes_with_its_response_object(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("menu")
    await world.answered()
    await visitor.say("1")
    await world.answered(2)

    menu, choice = await world.bot.turns()
    assert not menu["interaction"]
    assert choice["interaction"].startswith("act-")
