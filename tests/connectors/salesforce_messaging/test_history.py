"""What the agent reads first: so many messages, those since a time, or the bot's own summary."""

from __future__ import annotations

from omnibridge.connector import Handover, Reply, Text, Turn
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_messaging.relays import Relay
from tests.scripted import ScriptedConnector

SUMMARY = "Vera's parcel A1 is late.\n" + "She has written three times. " * 40
WITH_SUMMARY = 'history = "summary"\nsummary_fact = "bot.summary"\nlongest_text = 1000'


async def read_first(relay: Relay) -> list[str]:
    """In the lines of the message that is there before all others."""
    await relay.until(lambda: any(each["kind"] == "message" for each in relay.sf.org.desk))
    return relay.sf.org.desk[0]["text"].splitlines()  # type: ignore[no-any-return]


async def test_newest_messages_are_read_where_so_many_are_wanted(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings="history_messages = 2")
    await relay.handed_over()

    assert await read_first(relay) == [
        "Conversation so far:",
        "Visitor: talk to a human",
        "Bot: One moment, a colleague takes over.",
    ]


async def test_bot_may_sum_up_what_was_said(make_relay: MakeRelay) -> None:
    def says(turn: Turn) -> Reply | None:
        if turn.text != "talk to a human":
            return None
        return Reply((Text("One moment."),), Handover(), facts={"summary": SUMMARY, "mood": "bad"})

    relay = await make_relay(settings=WITH_SUMMARY)
    ScriptedConnector.bot.says = says
    visitor = await relay.handed_over()
    await visitor.say("hello?")
    await relay.until(lambda: "hello?" in relay.heard())

    told = [each["text"] for each in relay.sf.org.desk if each["kind"] == "message"]
    whole = " ".join(told[:-1]).removeprefix("Conversation so far:").split()
    assert whole == SUMMARY.split()
    assert told[-1] == "hello?"


async def test_messages_are_read_where_the_bot_sums_nothing_up(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings=WITH_SUMMARY)
    await relay.handed_over()

    assert "Visitor: where is my order A1" in await read_first(relay)
