"""Visitors, bot and Salesforce agents over the real engine, a simulated hub and a simulated org."""

from __future__ import annotations

import asyncio

from tests.connectors.salesforce.relays import MakeRelay
from tests.integration.test_desks import control


async def test_first_message_comes_after_the_stream_is_open(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    await relay.handed_over()
    await relay.until(lambda: relay.sf.org.desk)
    calls = [(each["method"], each["path"].rpartition("/")[2]) for each in relay.sf.api.calls]

    def nth(path: str) -> int:
        return next(at for at, each in enumerate(calls) if each == ("POST" if path != "sse" else "GET", path))

    assert nth("sse") < nth("conversation") < nth("message")


async def test_message_of_which_the_stream_has_told_is_not_sent_again_after_a_restart(make_relay: MakeRelay) -> None:
    """Nobody heard the answer to it, and it is known all the same that it arrived."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "message", "hang": True, "after_effect": True}]})
    await visitor.say("v0")
    async with asyncio.timeout(30):
        while relay.heard() != ["v0"]:
            await asyncio.sleep(0.01)
        relay.desk.say(relay.chat, "a0")
        while "a0" not in relay.words(visitor):
            await asyncio.sleep(0.01)
    await relay.world.restart()
    await visitor.say("v1")
    await relay.until(lambda: relay.heard() == ["v0", "v1"])

    assert relay.repeats() == 0


async def test_closed_desk_declines_at_once(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_declined = "bot"')
    relay.sf.wish(
        {
            "options": {
                "business_hours": {
                    "businessHoursInfo": {"isActive": True, "businessHours": [{"startTime": 1, "endTime": 2}]}
                }
            }
        }
    )
    visitor = await relay.world.visitor()
    await visitor.say("talk to a human")
    await relay.world.answered()
    await relay.until(lambda: control(relay.world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))

    assert relay.sf.org.conversations == {}
    assert relay.sf.api.issued == []


async def test_nobody_there_is_a_decline(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_declined = "bot"')
    visitor = await relay.handed_over()
    relay.desk.fail_routing(relay.chat)
    await relay.until(lambda: control(relay.world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))

    assert relay.conversation().is_closed
