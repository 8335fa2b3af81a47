"""What a visitor is told when something cannot be delivered or read, and long answers in parts."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World
from tests.soak.processes import Bridge, Sandbox

UNDELIVERABLE = "One answer could not be delivered. Please ask again."
BOT_DOWN = "The assistant cannot be reached right now."
NO_FILES = "I cannot read files. Please describe it in words."
REFUSED = {"path": "chat.sendMessage", "status": 400, "code": "error-message-refused"}
VERSIONS = pytest.mark.parametrize("hub_version", ["6.14", "7.7", "8.3"])


async def bot_texts(world: World, visitor: Visitor) -> list[str]:
    await world.quiet()
    return [each["text"] for each in (await world.room(visitor.rid))["messages"] if each["kind"] == "bot"]


async def test_answer_that_is_given_up_is_told_once_per_question(make_world: MakeWorld) -> None:
    """Three parts fail for one cause: one sentence. The next question that fails is told again."""
    world = await make_world()
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.hub.control(fail_next=[{**REFUSED, "count": 3}])
    await visitor.say("parts 3")
    await visitor.wait_for("bot", 1)
    first = await bot_texts(world, visitor)
    await world.hub.control(fail_next=[{**REFUSED, "count": 1}])
    await visitor.say("parts 2")
    await visitor.wait_for("bot", 3)

    assert first == [UNDELIVERABLE]
    assert await bot_texts(world, visitor) == [UNDELIVERABLE, "part 2", UNDELIVERABLE]
    assert world.rows("SELECT count(*) FROM deliveries WHERE state = 3 AND command = 'SendToVisitor'") == [(4,)]


async def test_sentence_of_ours_that_is_given_up_is_not_told_again(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.hub.control(fail_next=[{**REFUSED, "count": 2}])
    await visitor.say("echo one")
    await world.answered()
    await visitor.say("echo two")
    await visitor.wait_for("bot", 1)

    assert await bot_texts(world, visitor) == ["two"]
    buried = world.rows("SELECT command FROM deliveries WHERE state = 3 ORDER BY id")
    assert buried == [("SendToVisitor",), ("SystemText",)]


async def test_turns_that_are_given_up_are_told_once_per_question(make_world: MakeWorld) -> None:
    world = await make_world(engine="bot_turn_deadline_s = 1", connection='bot_down = "tell"')
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.bot.control(down=True)
    for text in ("echo one", "echo two", "echo three"):
        await visitor.say(text)
    await visitor.wait_for("bot", 1)
    first = await bot_texts(world, visitor)
    await visitor.say("echo four")
    await visitor.wait_for("bot", 2)

    assert first == [BOT_DOWN]
    assert await bot_texts(world, visitor) == [BOT_DOWN, BOT_DOWN]
    assert world.rows("SELECT count(*) FROM deliveries WHERE state = 3 AND command = 'SendToParty'") == [(4,)]


@VERSIONS
async def test_file_is_explained_and_the_bot_goes_on(make_world: MakeWorld, hub_version: str) -> None:
    world = await make_world(hub_version=hub_version)
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.upload(visitor)
    await visitor.wait_for("bot", 1)
    await visitor.say("echo in words")
    await visitor.wait_for("bot", 2)

    assert await bot_texts(world, visitor) == [NO_FILES, "in words"]
    assert [each["message"] for each in await world.bot.turns() if each["message"]] == ["echo in words"]


async def test_long_answer_arrives_in_order(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("write 1000")
    await visitor.wait_for("bot", 4)
    parts = await bot_texts(world, visitor)

    assert len(parts) == 4 and all(len(each) <= 5000 for each in parts)
    assert "\n\n".join(parts).split("\n\n") == [f"Paragraph {number}." for number in range(1, 1001)]


async def test_long_answer_arrives_once_and_in_order_through_kills(tmp_path: Path) -> None:
    """Killed while a part is under way, twice in one answer; commands work meanwhile and afterwards."""
    sandbox = Sandbox()
    told = await sandbox.start()
    bridge = Bridge(tmp_path, told, "rasa")
    hub = SandboxClient(told["url"])
    async with aiohttp.ClientSession() as session:
        await bridge.start("sent_to_response:3")  # the first two: the bot is assigned, and has answered
        assert await bridge.ready(session) is not None
        await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak", webhook_token=told["webhook_token"])
        visitor = Visitor(hub, "Vera")
        await visitor.open_room()
        await hub.control(rest_delay_ms=50)  # so that it dies before the hub has answered
        await visitor.say("write 1000")
        assert await bridge.died(30)
        stale = Path(f"{bridge.database}.sock").exists()
        listed = await omnibridge(tmp_path, "deliveries", "list", "--state", "due", "--json")
        await bridge.start("sent_to_response:1")
        assert await bridge.died(30)
        await bridge.start()
        assert await bridge.ready(session) is not None
        heard = await visitor.wait_for("bot", 4)
        unknown = await omnibridge(tmp_path, "deliveries", "bury", "1")
        trace = await omnibridge(tmp_path, "trace", visitor.rid)
        again = await omnibridge(tmp_path, "replay", "--all")
    await bridge.stop()
    await hub.aclose()
    await sandbox.stop()

    parts = [each["text"] for each in heard]
    assert len(parts) == 4
    assert "\n\n".join(parts).split("\n\n") == [f"Paragraph {number}." for number in range(1, 1001)]
    assert stale and listed.json["deliveries"]
    assert unknown.code == 1 and "there is no such delivery" in unknown.out
    assert "Traceback" not in trace.err + again.err
    assert (trace.code, again.code) == (0, 0)
