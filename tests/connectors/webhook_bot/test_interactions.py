"""A click, from the visitor's widget to this bot and back: object, update, answer; nothing of it in the room."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from connectors.webhook_bot.convert import to_reply
from omnibridge.connector import Choices, DeliveryRejected, MessageUpdate, Option, Text
from omnibridge.rocketchat.app_client import APP_ID
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.conftest import MakeWorld
from tests.integration.interaction.clicking import SECRET, as_visitor, clicked, post, press, shown_by_bot, with_app
from tests.soak.processes import Bridge, Sandbox
from tests.unit.rocketchat.uikit_blocks import BLOCKS

SCHEMA = json.loads((files("omnibridge.interaction") / "response_object.schema.json").read_text("utf-8"))
CHANGES = {
    "updates": [{"message_id": "$message", "block_id": "$block", "content": {"text": "You chose sales."}}],
    "text": "Sales is open until six.",
}


@pytest.fixture
def bot_kind() -> str:
    return "webhook_bot"


async def test_s3_03_a_click_reaches_the_bot_and_its_answer_the_visitor(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    await world.bot.control(answers={"/sales": CHANGES})
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    message = await shown_by_bot(world, visitor)
    await press(world, visitor.rid, message, "button.0", "/sales", as_visitor(visitor))
    await clicked(world)

    turn = (await world.bot.turns())[-1]
    Draft202012Validator(SCHEMA).validate(turn["interaction"])
    assert turn["interaction"]["original_message"]["blocks"] == BLOCKS
    assert visitor.token not in json.dumps(turn)
    said = (await world.room(visitor.rid))["messages"]
    assert [each["text"] for each in said if each["kind"] == "visitor"] == ["echo hello"]
    assert said[-1]["text"] == "Sales is open until six."
    now = world.sandbox.hub.messages[message].extras["blocks"]
    assert [each.get("blockId") for each in now] == ["ob1.once.1", "ob1.keep.2", None, "ob1.keep.4"]
    assert now[1]["text"]["text"] == "You chose sales."
    widget = next(each for each in await visitor.history() if each["_id"] == message)
    assert widget["blocks"] == now


async def test_what_the_bot_offers_is_pressed_or_typed_and_gives_the_same_object(make_world: MakeWorld) -> None:
    world = await with_app(make_world, workspace="blocks = true", connection='choices = "blocks"')
    objects = []
    for word in ("press", "2"):
        visitor = await world.visitor()
        await visitor.say("menu")
        await visitor.wait_for("bot", 1)
        await world.quiet()
        shown = [each for each in world.sandbox.hub.messages.values() if each.rid == visitor.rid][-1]
        (block,) = [each for each in shown.extras["blocks"] if each["type"] == "actions"]
        await world.bot.control(answers={"sales": {"text": "Sales, then."}})
        if word == "press":
            button = block["elements"][1]
            await press(world, visitor.rid, shown.id, button["actionId"], button["value"], as_visitor(visitor))
        else:
            await visitor.say(word)
        await visitor.wait_for("bot", 2)
        await world.quiet()
        objects.append((await world.bot.turns())[-1]["interaction"])
        Draft202012Validator(SCHEMA).validate(objects[-1])
        if word == "press":
            assert "actions" not in [each["type"] for each in shown.extras["blocks"]], "buttons that were used are gone"

    pressed_one, typed_one = ({**each["actions"][0], "action_ts": ""} for each in objects)
    assert pressed_one == typed_one
    assert objects[0]["original_message"]["blocks"] == objects[1]["original_message"]["blocks"]
    assert [each["trigger_id"] for each in objects] == [f"trigger-{pressed_one['action_id']}", ""]


async def test_without_the_app_a_typed_number_gives_the_same_object(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("menu")
    await world.answered()
    (asked,) = [each for each in world.sandbox.hub.messages.values() if each.text.startswith("Pick one")]
    await world.bot.control(answers={"picture": {"updates": [{"message_id": "$message", "content": {"text": "Here"}}]}})
    await visitor.say("1")
    await world.answered(2)

    found = (await world.bot.turns())[-1]["interaction"]
    Draft202012Validator(SCHEMA).validate(found)
    assert (found["original_message"]["_id"], found["trigger_id"]) == (asked.id, "")
    assert (found["user"]["roles"], found["actions"][0]["text"]["text"]) == (["visitor"], "Show a picture")
    assert (found["actions"][0]["action_id"], found["actions"][0]["value"]) == ("button.0", "picture")
    assert asked.text == "Here"


async def test_a_typed_answer_to_what_was_purged_has_no_message(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("menu")
    await world.answered()
    database = world.node.service._database
    assert database
    await database.writer.submit(lambda cursor: cursor.execute("DELETE FROM deliveries"))
    await visitor.say("1")
    await world.answered(2)

    found = (await world.bot.turns())[-1]["interaction"]
    Draft202012Validator(SCHEMA).validate(found)
    assert (found["original_message"], found["actions"][0]["text"]["text"]) == (None, "Show a picture")
    url = f"{world.node.url}{found['response_url']}"
    assert (await post(url, {"text": "x", "replace_original": True}))[0] == 422
    assert (await post(url, {"text": "Later."}))[0] == 200
    await world.quiet()
    assert (await world.room(visitor.rid))["messages"][-1]["text"] == "Later."


@pytest.mark.parametrize(
    ("answer", "updates"),
    [
        ({"updates": [{"message_id": "m", "content": {"text": "a"}}]}, (MessageUpdate("m", Text("a")),)),
        (
            {"updates": [{"message_id": "m", "block_id": "b", "content": {"text": "?", "options": ["Yes"]}}]},
            (MessageUpdate("m", Choices("?", (Option("Yes", "Yes"),)), "b"),),
        ),
    ],
)
def test_updates_have_the_short_forms_of_messages(answer: dict[str, Any], updates: tuple[MessageUpdate, ...]) -> None:
    assert to_reply(json.dumps(answer).encode()).updates == updates


@pytest.mark.parametrize("updates", [7, [7], [{"content": {"text": "a"}}], [{"message_id": "m", "content": None}]])
def test_wrong_updates_are_refused(updates: Any) -> None:
    with pytest.raises(DeliveryRejected, match="updates"):
        to_reply(json.dumps({"updates": updates}).encode())


POINTS = (
    "outbox_to_send/RemoveChoices", "response_to_settle/RemoveChoices", "response_to_settle/SendToParty",
    "response_to_settle/UpdateMessage",
)  # fmt: skip


async def test_killed_between_click_and_answer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox()
    told = await sandbox.start()
    app = f'app_secret = "{SECRET}"\n[[connection]]'
    bridge = Bridge(tmp_path, told, "webhook_bot")
    config = tmp_path / "omnibridge.toml"
    config.write_text(config.read_text("utf-8").replace("[[connection]]", app), "utf-8")
    hub, bot = SandboxClient(told["url"]), SandboxClient(told["webhook_bot_url"])
    await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak")
    await hub.control(app_url=f"{bridge.url}/webhooks/rocketchat-app/soak", app_secret=SECRET)
    await bot.call("POST", "/_sandbox/control", {"answers": {"/sales": CHANGES}})
    try:
        async with aiohttp.ClientSession() as session:
            for point in POINTS:
                await bridge.start()
                assert await bridge.ready(session) is not None
                visitor = Visitor(hub)
                await visitor.open_room()
                await visitor.say("echo hello")
                await visitor.wait_for("bot", 1)
                await bridge.kill()
                await bridge.start(point)
                assert await bridge.ready(session) is not None
                message = await shown(told, visitor)
                await pressed(told, visitor, message)
                assert await bridge.died(10), point
                await bridge.start()
                assert await bridge.ready(session) is not None
                heard = await visitor.wait_for("bot", 3)
                assert [each["text"] for each in heard] == ["hello", "Which one?", "Sales is open until six."]
                (turn,) = [
                    each for each in (await bot.call("GET", "/_sandbox/ledger"))["turns"]
                    if each["interaction"] and each["interaction"]["original_message"]["_id"] == message
                ]  # fmt: skip
                assert turn["message"] == "/sales"
                now = next(each for each in await visitor.history() if each["_id"] == message)["blocks"]
                ids = [each.get("blockId") for each in now]
                assert ids == ["ob1.once.1", "ob1.keep.2", None, "ob1.keep.4"], point
                await bridge.kill()
    finally:
        await bridge.stop()
        await hub.aclose()
        await bot.aclose()
        await sandbox.stop()


async def shown(told: dict[str, Any], visitor: Visitor) -> str:
    account = told["bot_account"]
    headers = {"x-user-id": account["user_id"], "x-auth-token": account["auth_token"]}
    message = {"message": {"rid": visitor.rid, "msg": "Which one?", "blocks": BLOCKS}}
    _, found = await post(f"{told['url']}/api/v1/chat.sendMessage", message, headers)
    return str(found["message"]["_id"])


async def pressed(told: dict[str, Any], visitor: Visitor, message: str) -> None:
    click = {
        "type": "blockAction", "actionId": "button.0", "triggerId": "t", "rid": visitor.rid, "mid": message,
        "viewId": None, "container": {"type": "message", "id": message}, "payload": {"value": "/sales"},
    }  # fmt: skip
    answer = await post(f"{told['url']}/api/apps/ui.interaction/{APP_ID}", click, as_visitor(visitor))
    assert answer[0] == 200
