"""Visitors, bot and Salesforce agents over the real engine, a simulated hub and a simulated desk."""

from __future__ import annotations

from typing import Any

from omnibridge.operator.replay import Replay
from tests.conftest import until
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.integration.test_desks import control


async def test_from_bot_to_agent_to_another_agent_to_bot_to_close(make_relay: MakeRelay, chats: Any) -> None:
    relay = await make_relay(settings=f'on_left = "bot"\n{chats.GIVEN}', department="sales")
    world, desk = relay.world, relay.desk
    visitor = await relay.handed_over()
    chats.check_given(relay, visitor)
    await visitor.say("anybody there?")
    desk.queue_position(relay.chat, 2)
    await until(lambda: "You are number 2 in the queue." in relay.words(visitor))

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
    await relay.until(lambda: chats.is_over(relay))

    assert relay.heard() == ["anybody there?", "thank you"]
    words = relay.words(visitor)
    said = ["Hello, I am Alex.", "Bea here.", "back"]
    assert [each for each in words if each in said] == said
    assert (await world.room(visitor.rid))["served_by"] == "bot"
    assert world.rows("SELECT count(*) FROM desk_sessions") == [(0,)]
    assert world.rows("SELECT external_id FROM agents ORDER BY external_id") == [("005SM0000001AlxYAE",), (BEA,)]
    chats.check_once(relay)
    database = world.node.service._database
    assert database and Replay(database.reader).run().is_clean


async def test_last_words_that_the_close_overtakes_reach_the_agent(make_relay: MakeRelay) -> None:
    """8.x sends webhooks side by side; who closes his window has just pressed enter."""
    relay = await make_relay(engine="reorder_window_ms = 1000")
    visitor = await relay.with_agent()
    await relay.world.hub.control(swap_rate=1.0, swap_hold_ms=30_000)
    await visitor.say("thank you, bye")
    await relay.world.hub.control(swap_rate=0.0)
    await visitor.close()
    await relay.until(lambda: "thank you, bye" in relay.heard())

    rows = relay.world.rows("SELECT kind FROM observations WHERE kind IN ('Message', 'LivechatSession') ORDER BY id")
    assert [kind for (kind,) in rows][-2:] == ["LivechatSession", "Message"]


async def test_restart_goes_on_where_it_was(make_relay: MakeRelay, chats: Any) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    await relay.world.node.stop()
    relay.desk.say(relay.chat, "while you were away")
    await relay.world.begin()
    await visitor.say("still here")
    await relay.until(lambda: "while you were away" in relay.words(visitor) and relay.heard())

    assert relay.heard() == ["still here"]
    assert relay.words(visitor).count("Hello, I am Alex.") == 1
    chats.check_once(relay)
