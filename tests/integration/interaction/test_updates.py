"""What was shown changes: through the app all of it or one block, without it its text; repeated, nothing happens."""

from __future__ import annotations

from typing import Any

import pytest

from omnibridge.connector import Choices, MessageUpdate, Option, Reply, Text, Turn
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import MakeWorld, World
from tests.integration.interaction.clicking import (
    SECRET,
    as_visitor,
    blocks_now,
    clicked,
    press,
    shown_by_bot,
    with_app,
)
from tests.unit.rocketchat.uikit_blocks import BLOCKS


async def in_control(world: World) -> Visitor:
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    return visitor


def ids(blocks: list[dict[str, Any]]) -> list[Any]:
    return [each.get("blockId") for each in blocks]


async def test_s3_04_and_34_three_bots_update_send_or_only_acknowledge(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor = await in_control(world)
    says = {
        "/sales": lambda turn: Reply(updates=(MessageUpdate(turn.interaction.message_id, Text("Sales it is.")),)),
        "/support": lambda turn: Reply((Text("Support, then."),)),
        "s": lambda turn: Reply(),
    }
    world.bot.says = lambda turn: says[turn.choice_value](turn)  # type: ignore[union-attr]
    messages = [await shown_by_bot(world, visitor) for _ in range(3)]
    await press(world, visitor.rid, messages[0], "button.0", "/sales", as_visitor(visitor))
    await press(world, visitor.rid, messages[1], "button.1", "/support", as_visitor(visitor))
    await press(world, visitor.rid, messages[2], "static_select.1", "s", as_visitor(visitor))
    await clicked(world, 3)

    said = (await world.room(visitor.rid))["messages"]
    assert [each["text"] for each in said if each["kind"] == "visitor"] == ["echo hello"], "a click prints nothing"
    assert [each["text"] for each in said if each["kind"] == "bot"] == [
        "hello", "Sales it is.", "Which one?", "Which one?", "Support, then.",
    ]  # fmt: skip
    assert blocks_now(world, messages[0]) == []
    left = [None, "ob1.keep.4"]
    assert ids(blocks_now(world, messages[1])) == ids(blocks_now(world, messages[2])) == ["ob1.once.1", *left]
    assert world.node.service.counters.value("updates", "app") == 1


async def test_s3_17_an_answer_changes_one_block_and_the_others_stay(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor = await in_control(world)
    sure = Choices("Sure?", (Option("Yes", "yes"),))

    def says(turn: Turn) -> Reply:
        assert turn.interaction
        return Reply(updates=(MessageUpdate(turn.interaction.message_id, sure, turn.interaction.actions[0].block_id),))

    world.bot.says = says  # type: ignore[union-attr]
    message = await shown_by_bot(world, visitor)
    before = blocks_now(world, message)
    await press(world, visitor.rid, message, "overflow.1", "l", as_visitor(visitor))
    await clicked(world)

    now = blocks_now(world, message)
    assert [each for each in now if each.get("blockId") != "ob1.keep.4"][:3] == before[:3]
    assert "Sure?" in next(each["text"]["text"] for each in now if each.get("blockId") == "ob1.keep.4")
    assert world.sandbox.hub.messages[message].text == "Which one?"


async def test_s3_54_a_rich_update_keeps_the_text_if_none_is_given(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor = await in_control(world)
    message = await shown_by_bot(world, visitor)
    update = MessageUpdate(message, Choices("", (Option("One", "1"),)))
    world.bot.says = lambda turn: Reply(updates=(update,))  # type: ignore[union-attr]
    await visitor.say("change it")
    await world.answered(2)

    assert world.sandbox.hub.messages[message].text == "Which one?"
    assert blocks_now(world, message) != BLOCKS


async def test_without_the_app_the_text_changes_and_buttons_are_words_anyway(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await in_control(world)
    await visitor.say("menu")
    await world.answered(2)
    (asked,) = [each for each in world.sandbox.hub.messages.values() if each.text.startswith("Pick one")]
    update = MessageUpdate(asked.id, Text("You chose."))
    world.bot.says = lambda turn: Reply((Text("Fine."),), updates=(update,))  # type: ignore[union-attr]
    await visitor.say("1")
    await world.answered(3)

    assert asked.text == "You chose."
    assert (await world.hub.ledger())["rest_calls"]["chat.update"] == 1
    await world.restart()
    await world.quiet()
    assert (await world.hub.ledger())["rest_calls"]["chat.update"] == 1


async def test_what_the_relay_account_had_posted_is_changed_by_it(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await in_control(world)
    posted = await world.relay.say(visitor.rid, "for the bot")
    update = MessageUpdate(posted, Text("As it is now."))
    world.bot.says = lambda turn: Reply(updates=(update,))  # type: ignore[union-attr]
    await visitor.say("change it")
    await world.answered(2)

    assert world.sandbox.hub.messages[posted].text == "As it is now."
    assert world.node.service.counters.value("updates", "text") == 1


async def test_where_the_text_may_not_be_changed_it_is_posted_anew(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await in_control(world)
    await world.relay.say(visitor.rid, "by another")
    (other,) = [each for each in world.sandbox.hub.messages.values() if each.text == "by another"]
    other.author = world.sandbox.hub.by_name["alice"]
    update = MessageUpdate(other.id, Text("As it is now."))
    world.bot.says = lambda turn: Reply(updates=(update,))  # type: ignore[union-attr]
    await visitor.say("change it")
    await world.answered(2)

    texts = [each["text"] for each in (await world.room(visitor.rid))["messages"] if each["kind"] == "bot"]
    assert texts == ["hello", "by another", "As it is now."]
    assert world.node.service.counters.value("updates", "posted-anew") == 1


@pytest.mark.parametrize(
    ("control", "code"),
    [
        ({"app_secret": "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXItMzI="}, "app-not-signed"),
        ({"app_url": ""}, "app-missing"),
    ],
)
async def test_an_app_that_refuses_holds_nothing_up(make_world: MakeWorld, control: dict[str, str], code: str) -> None:
    world = await make_world(workspace=f'app_secret = "{SECRET}"')
    visitor = await in_control(world)
    message = await shown_by_bot(world, visitor)
    await world.hub.control(app_url="http://127.0.0.1:1", app_secret=SECRET)
    await world.hub.control(**control)
    update = MessageUpdate(message, Text("Changed."))
    world.bot.says = lambda turn: Reply((Text("And said."),), updates=(update,))  # type: ignore[union-attr]
    await visitor.say("change it")
    await world.answered(2)

    rows = world.rows("SELECT state, code FROM deliveries WHERE command = 'UpdateMessage'")
    assert rows == [(3, code)]
    texts = [each["text"] for each in (await world.room(visitor.rid))["messages"] if each["kind"] == "bot"]
    assert "And said." in texts
