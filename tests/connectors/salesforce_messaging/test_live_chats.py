"""Chats that are under way: who types, and settings that change under them."""

from __future__ import annotations

from tests.connectors.salesforce.relays import MakeRelay
from tests.integration.rocketchat.test_realtime import LIVE
from tests.integration.rocketchat.test_typing import ROOM_STREAM, seen, widget_of


async def test_typing_both_ways(make_relay: MakeRelay) -> None:
    """The visitor's reaches the agent as the API wants it, an agent's is shown under his own name."""
    relay = await make_relay(workspace=LIVE)
    await relay.world.live()
    visitor = await relay.with_agent()
    name = str((await relay.world.room(visitor.rid))["visitor"])
    event = f"{visitor.rid}/user-activity"
    async with widget_of(relay.world, visitor) as widget:
        for activities in (["user-typing"], []):
            await widget.call(ROOM_STREAM, event, name, activities, {"token": visitor.token})
            expected = [True] if activities else [True, False]
            await relay.until(
                lambda expected=expected: (
                    [each["typing"] for each in relay.sf.org.desk if each["kind"] == "typing"] == expected
                )
            )
        served = (await relay.world.room(visitor.rid))["served_by"]
        relay.desk.typing(relay.chat)
        told = await seen(widget, visitor)
        while told != [served, ["user-typing"]]:
            told = await seen(widget, visitor)
        relay.desk.say(relay.chat, "here I am")
        await relay.until(lambda: "here I am" in relay.words(visitor))
    assert served not in ("desk", "bot")


async def test_chats_go_on_when_their_settings_change(make_relay: MakeRelay) -> None:
    """The stream is opened again with the new ones from where it was; nothing is lost, and nothing is told twice."""
    relay = await make_relay(settings="automatic = true")
    visitor = await relay.with_agent()
    await visitor.say("v0")
    await relay.until(lambda: relay.heard() == ["v0"])
    path = relay.world.folder / "omnibridge.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("automatic = true", "automatic = false\nlongest_text = 100"), "utf-8")
    relay.desk.say(relay.chat, "a0")
    found = await relay.world.node.service.reload()
    relay.desk.say_as_system(relay.chat, "this is automatic")
    relay.desk.say(relay.chat, "a1")
    await relay.until(lambda: "a1" in relay.words(visitor))
    await visitor.say("v1 " + "long " * 30)
    await relay.until(lambda: len(relay.heard()) == 3)

    assert found.problems == [] and found.changed == ["[[connection]] sales: automatic, longest_text"]
    words = relay.words(visitor)
    assert [each for each in words if each in ("a0", "a1", "this is automatic")] == ["a0", "a1"]
    assert relay.heard()[0] == "v0" and all(len(each) <= 100 for each in relay.heard())
    assert len(relay.sf.org.conversations) == 1 and relay.streams() <= 2
    assert relay.session().status == "Active"
