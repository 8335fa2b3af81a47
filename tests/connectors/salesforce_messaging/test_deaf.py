"""While no stream can be opened, or one is silent: the entries tell what arrived, and whether the end was first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import connectors.salesforce_messaging.sending as sending_module
import connectors.salesforce_messaging.stream as stream_module
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_messaging.relays import Relay
from tests.integration.test_desks import control
from tests.scripted import ScriptedConnector


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(stream_module, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(stream_module, "WITHOUT_S", 0.3)
    monkeypatch.setattr(sending_module, "ECHO_S", 0.1)
    monkeypatch.setattr(sending_module, "DEAF_S", 0.3)
    monkeypatch.setattr(sending_module, "SHORT_S", 0.1)


def no_stream(*names: str) -> dict[str, Any]:
    return {"fail_next": [{"on": each, "status": 503, "count": 10_000} for each in ("stream", *names)], "cut": True}


async def at_desk(relay: Relay, text: str) -> None:
    async with asyncio.timeout(5):
        while text not in relay.heard():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("names", [(), ("entries",)], ids=["streams", "streams and entries"])
async def test_words_after_the_agents_end_are_not_taken_for_read(make_relay: MakeRelay, names: tuple[str, ...]) -> None:
    """Salesforce took them, and began a session that nobody is in."""
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    relay.sf.wish(no_stream(*names))
    relay.desk.end(relay.chat)
    await visitor.say("echo late")
    await at_desk(relay, "echo late")
    await asyncio.sleep(1)  # longer than is waited for a stream
    relay.sf.wish({"clear_failures": True})
    await relay.until(lambda: "late" in relay.words(visitor))

    assert control(relay.world) == "connection:helper"
    assert [each.text for each in ScriptedConnector.bot.given].count("echo late") == 1
    assert relay.heard().count("echo late") == 1 and relay.repeats() == 0


async def test_agents_words_and_end_are_read_without_a_stream(make_relay: MakeRelay) -> None:
    """Where streams are down for long, and the rest is not."""
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    relay.sf.wish(no_stream())
    await visitor.say("v0")
    relay.desk.say(relay.chat, "a0")
    async with asyncio.timeout(5):
        while "a0" not in relay.words(visitor):
            await asyncio.sleep(0.01)
    relay.desk.end(relay.chat)
    async with asyncio.timeout(5):
        while control(relay.world) != "connection:helper":
            await asyncio.sleep(0.01)

    assert relay.heard() == ["v0"] and relay.agents_words(visitor) == ["a0"]


async def test_silent_stream_is_found_out_by_what_it_does_not_tell(make_relay: MakeRelay) -> None:
    """Long before the silence of 90 s that the official sample waits for."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"stream": {"stalled": True}})
    relay.desk.say(relay.chat, "a0")
    await visitor.say("v0")
    async with asyncio.timeout(5):
        while "a0" not in relay.words(visitor):
            await asyncio.sleep(0.01)

    assert relay.heard() == ["v0"]


async def test_end_that_a_healthy_stream_lost_is_found_when_something_is_written(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    relay.sf.wish({"stream": {"lose": 100}})
    relay.desk.end(relay.chat)
    await visitor.say("echo late")
    await at_desk(relay, "echo late")
    relay.sf.wish({"stream": {"lose": 0}})
    await relay.until(lambda: "late" in relay.words(visitor))

    assert [each.text for each in ScriptedConnector.bot.given].count("echo late") == 1
