"""The address that comes with a click: a bot answers later there, for that message, block and action alone."""

from __future__ import annotations

import asyncio
from typing import Any

from omnibridge.connector import Reply, Turn
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import MakeWorld, World, until
from tests.integration.interaction.clicking import (
    as_alice,
    as_visitor,
    blocks_now,
    clicked,
    post,
    press,
    shown_by_bot,
    with_app,
)


async def offered(world: World, **message: Any) -> tuple[Visitor, str, str]:
    """(visitor, message, response_url) of a click that the bot only acknowledged."""
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    world.bot.says = lambda turn: Reply()  # type: ignore[union-attr]
    shown = await shown_by_bot(world, visitor, **message)
    await press(world, visitor.rid, shown, "button.0", "/sales", as_visitor(visitor), blockId="ob1.once.2")
    await clicked(world)
    return visitor, shown, url_of(world)


def url_of(world: World) -> str:
    turns: list[Turn] = world.bot.given  # type: ignore[union-attr]
    assert turns[-1].response_object
    return f"{world.node.url}{turns[-1].response_object['response_url']}"


def words(world: World, room: dict[str, Any]) -> list[str]:
    return [each["text"] for each in room["messages"] if each["kind"] == "bot"]


async def test_s3_16_to_18_an_address_works_until_it_expires_each_body_once(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor, shown, url = await offered(world)
    before = blocks_now(world, shown)
    new, changed = {"text": "Open until six."}, {"text": "You chose sales.", "replace_original": True}
    for body in (new, changed, changed, new, {**changed, "text": "Sales."}):
        assert await post(url, body) == (200, "ok")
        await world.quiet()

    assert words(world, await world.room(visitor.rid)) == ["hello", "Which one?", "Open until six."]
    now = blocks_now(world, shown)
    assert [each["text"]["text"] for each in now if each.get("blockId") == "ob1.keep.2"] == ["Sales."]
    assert [each for each in now if each.get("blockId") != "ob1.keep.2"] == before
    once = {"webhook-id": "w1"}
    for text in ("Once.", "Once, in other words."):
        assert (await post(url, {"text": text}, once))[0] == 200
    await world.restart()
    assert (await post(f"{world.node.url}/{url.split('/', 3)[3]}", new))[0] == 200
    await world.quiet()
    assert words(world, await world.room(visitor.rid))[2:] == ["Open until six.", "Once."]
    gone = {"delete_original": True}
    assert (await post(f"{world.node.url}/{url.split('/', 3)[3]}", gone))[0] == 200
    await world.quiet()
    assert blocks_now(world, shown) == before


async def test_s3_16_what_is_not_for_this_message_is_refused(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor, _, url = await offered(world)
    other = await shown_by_bot(world, visitor)
    for address, body, status, title in [
        (url[:-1] + ("A" if url[-1] != "A" else "B"), {"text": "x"}, 403, "Not valid"),
        (url[: url.rindex("/") + 40], {"text": "x"}, 403, "Not valid"),
        (url, {"text": "x", "message_id": other, "replace_original": True}, 403, "Another message"),
        (url, {"text": "x", "channel": {"id": "elsewhere"}}, 403, "Another message"),
        (url, {}, 422, "Not an answer"),
        (url, {"messages": [{"kind": "unheard"}]}, 422, "Not an answer"),
        (url, [1], 400, "Not an object"),
    ]:
        found, problem = await post(address, body)
        assert (found, problem["title"]) == (status, title)
        assert problem["detail"]
    await world.quiet()

    assert words(world, await world.room(visitor.rid)) == ["hello", "Which one?", "Which one?"]
    assert world.rows("SELECT 1 FROM observations WHERE source = 'response'") == []


async def test_s3_16_an_address_that_expired_is_refused(make_world: MakeWorld) -> None:
    world = await with_app(make_world, texts="[interactions]\nresponse_url_s = 0.5")
    _, _, url = await offered(world)
    async with asyncio.timeout(30):
        while (answer := await post(url, {"delete_original": True}))[0] != 403:
            await world.quiet()

    assert answer[1]["title"] == "Expired"
    assert "response_url_s" in answer[1]["detail"]


async def test_an_answer_of_who_lost_control_is_refused(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor, _, url = await offered(world)
    await world.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": world.alice.user_id})
    await until(lambda: bool(world.rows("SELECT 1 FROM events WHERE kind = 'AgentAssigned' AND reason LIKE '%took%'")))
    assert (await post(url, {"text": "Too late."}))[0] == 409
    await world.quiet()

    assert words(world, await world.room(visitor.rid)) == ["hello", "Which one?"]


async def test_s3_18_an_answer_to_a_click_in_a_thread_is_in_the_thread(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    _, shown, url = await offered(world, tmid="thread1")
    assert (await post(url, {"text": "In here."}))[0] == 200
    await world.quiet()

    (answer,) = [each for each in world.sandbox.hub.messages.values() if each.text == "In here."]
    assert answer.extras["tmid"] == world.sandbox.hub.messages[shown].extras["tmid"] == "thread1"


async def test_s3_05_a_slow_bot_does_not_hold_up_the_click(make_world: MakeWorld) -> None:
    """The hub has its 200 while the bot works; what the bot says comes when it is ready."""
    world = await with_app(make_world)
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    await world.bot.control(delay_ms=1500)
    shown = await shown_by_bot(world, visitor)
    assert await press(world, visitor.rid, shown, "button.0", "/sales", as_visitor(visitor)) == (200, {"success": True})
    await until(lambda: [each["type"] for each in world.sandbox.hub.app.sent].count("interaction") == 1)

    assert words(world, await world.room(visitor.rid)) == ["hello", "Which one?"]
    await world.answered(2)
    assert words(world, await world.room(visitor.rid))[2:] == ["One moment, a colleague takes over."]


async def test_s3_12_and_53_staff_click_with_their_roles_and_say_only_action_and_value(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    world.bot.says = lambda turn: Reply()  # type: ignore[union-attr]
    shown = await shown_by_bot(world, visitor)
    await press(world, visitor.rid, shown, "static_select.1", "l", as_alice(world))
    await clicked(world)

    found = world.bot.given[-1].response_object  # type: ignore[union-attr]
    assert found
    assert (found["user"]["username"], "visitor" in found["user"]["roles"]) == ("alice", False)
    assert found["user"]["roles"]
    assert found["actions"][0]["selected_option"]["text"]["text"] == "Large"
    assert found["channel"] == {"id": visitor.rid, "name": "Vera", "type": "livechat"}
    assert found["trigger_id"] == "trigger-static_select.1"


async def test_s3_23_a_value_that_was_not_offered_is_counted_and_reaches_nobody(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    shown = await shown_by_bot(world, visitor)
    await press(world, visitor.rid, shown, "static_select.1", "xxl", as_visitor(visitor))
    await clicked(world)

    assert world.node.service.counters.value("interactions_refused", "unknown-value") == 1
    assert len(await world.bot.turns()) == 1
    ((state, note),) = world.rows("SELECT state, note FROM observations WHERE kind = 'interaction'")
    assert (state, "not among the options" in note) == (2, True)
