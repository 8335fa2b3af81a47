"""Visitors, bot and Salesforce agents over the real engine, a simulated hub and a simulated Live Agent."""

from __future__ import annotations

from omnibridge.operator.replay import Replay
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.connectors.salesforce.running import eventually
from tests.integration.test_desks import control

DETAILS = """
details = [
    { label = "Room", fact = "room", transcript_fields = ["Rocket_Room__c"] },
    { label = "E-mail", fact = "visitor_email" },
    { label = "Origin", value = "rocketchat", display = false },
]
entities = [{ name = "Contact", save_to_transcript = "ContactId", fields = [
    { field = "Email", label = "E-mail", find = true, exact = true, create = true } ] }]
"""


async def test_from_bot_to_agent_to_another_agent_to_bot_to_close(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings=f'on_left = "bot"\n{DETAILS}', department="sales")
    world, desk = relay.world, relay.desk
    visitor = await relay.handed_over()
    init = relay.session().init
    assert [init["prechatDetails"][0][each] for each in ("label", "value")] == ["Room", visitor.rid]
    assert init["prechatDetails"][-1]["displayToAgent"] is False
    assert init["prechatEntities"][0]["entityFieldsMaps"][0]["fieldName"] == "Email"
    assert init["visitorName"] == "Vera"

    await visitor.say("anybody there?")
    desk.queue_position(relay.chat, 2)
    await eventually(lambda: "You are number 2 in the queue." in relay.words(visitor))
    assert relay.heard() == []

    desk.accept(relay.chat, ALEX, "Alex Agent")
    desk.say(relay.chat, "Hello, I am Alex.")
    await relay.until(lambda: ("Alex Agent", "Hello, I am Alex.") in relay.seen(visitor))
    assert (await world.room(visitor.rid))["served_by"] not in ("desk", "bot")
    await visitor.say("thank you")
    await relay.until(lambda: "thank you" in relay.heard())
    # What was said before comes first, whole and in order.
    assert relay.of_kind("message")[0]["text"].splitlines() == [
        "Conversation so far:",
        "Visitor: where is my order A1",
        "Bot: Order A1 is on its way.",
        "Visitor: talk to a human",
        "Bot: One moment, a colleague takes over.",
    ]

    desk.transfer(relay.chat, BEA, "Bea Boss")
    desk.say(relay.chat, "Bea here.")
    await relay.until(lambda: ("Bea Boss", "Bea here.") in relay.seen(visitor))

    desk.end(relay.chat)
    await relay.until(lambda: control(world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))
    await visitor.say("bye")

    assert relay.heard() == ["anybody there?", "thank you"]
    words = relay.words(visitor)
    assert [each for each in words if each in ("Hello, I am Alex.", "Bea here.", "back")] == [
        "Hello, I am Alex.",
        "Bea here.",
        "back",
    ]
    assert (await world.room(visitor.rid))["served_by"] == "bot"
    assert world.rows("SELECT count(*) FROM desk_sessions") == [(0,)]
    assert world.rows("SELECT external_id FROM agents ORDER BY external_id") == [("005SM0000001AlxYAE",), (BEA,)]
    assert relay.counts["repeated_posts"] == 0
    database = world.node.service._database
    assert database and Replay(database.reader).run().is_clean
