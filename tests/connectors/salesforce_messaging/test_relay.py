"""Visitors, bot and Salesforce agents over the real engine, a simulated hub and a simulated org."""

from __future__ import annotations

import asyncio

from omnibridge.operator.replay import Replay
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.integration.test_desks import control


async def test_from_bot_to_agent_to_another_agent_to_bot_to_close(make_relay: MakeRelay) -> None:
    relay = await make_relay(
        settings='on_left = "bot"\nrouting_attributes = { Room_Id = "room", Visitor_Name = "visitor_name" }',
        department="sales",
    )
    world, desk = relay.world, relay.desk
    visitor = await relay.handed_over()

    # What was said before comes first, whole and in order; the facts are the session's.
    await relay.until(lambda: relay.sf.org.desk)
    assert relay.sf.org.desk[0]["text"].splitlines() == [
        "Conversation so far:",
        "Visitor: where is my order A1",
        "Bot: Order A1 is on its way.",
        "Visitor: talk to a human",
        "Bot: One moment, a colleague takes over.",
    ]
    assert relay.session().attributes["Room_Id"] == visitor.rid
    await visitor.say("anybody there?")
    desk.queue_position(relay.chat, 2)
    await relay.until(lambda: "You are number 2 in the queue." in relay.words(visitor))

    desk.accept(relay.chat, ALEX, "Alex Agent")
    desk.say(relay.chat, "Hello, I am Alex.")
    await relay.until(lambda: ("Alex Agent", "Hello, I am Alex.") in relay.seen(visitor))
    assert (await world.room(visitor.rid))["served_by"] not in ("desk", "bot")
    await visitor.say("thank you")
    await relay.until(lambda: "thank you" in relay.heard())

    desk.transfer(relay.chat, BEA, "Bea Boss")
    desk.say(relay.chat, "Bea here.")
    await relay.until(lambda: ("Bea Boss", "Bea here.") in relay.seen(visitor))

    desk.end(relay.chat)
    await relay.until(lambda: control(world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))
    await relay.until(lambda: relay.conversation().is_closed)

    assert relay.heard() == ["anybody there?", "thank you"]
    assert relay.repeats() == 0
    words = relay.words(visitor)
    assert [each for each in words if each in ("Hello, I am Alex.", "Bea here.", "back")] == [
        "Hello, I am Alex.",
        "Bea here.",
        "back",
    ]
    assert (await world.room(visitor.rid))["served_by"] == "bot"
    assert world.rows("SELECT count(*) FROM desk_sessions") == [(0,)]
    assert world.rows("SELECT external_id FROM agents ORDER BY external_id") == [("005SM0000001AlxYAE",), (BEA,)]
    assert relay.streams() == 1
    database = world.node.service._database
    assert database and Replay(database.reader).run().is_clean


async def test_first_message_comes_after_the_stream_is_open(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    await relay.handed_over()
    await relay.until(lambda: relay.sf.org.desk)
    calls = [(each["method"], each["path"].rpartition("/")[2]) for each in relay.sf.api.calls]

    def nth(path: str) -> int:
        return next(at for at, each in enumerate(calls) if each == ("POST" if path != "sse" else "GET", path))

    assert nth("sse") < nth("conversation") < nth("message")


async def test_restart_goes_on_where_it_was(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    await relay.world.node.stop()
    relay.desk.say(relay.chat, "while you were away")
    await relay.world.begin()
    await visitor.say("still here")
    await relay.until(lambda: "while you were away" in relay.words(visitor))

    assert relay.heard() == ["still here"]
    assert relay.words(visitor).count("Hello, I am Alex.") == 1
    assert len(relay.sf.org.conversations) == 1 and relay.streams() == 1


async def test_message_of_which_the_stream_has_told_is_not_sent_again_after_a_restart(make_relay: MakeRelay) -> None:
    """Nobody heard the answer to it, and it is known all the same that it arrived."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "message", "hang": True, "after_effect": True}]})
    await visitor.say("v0")
    async with asyncio.timeout(10):
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
