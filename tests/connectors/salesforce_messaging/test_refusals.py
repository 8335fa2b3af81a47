"""Refusals that are over after a while, as of a proxy or a page of maintenance: no live chat is ended, no word lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import connectors.salesforce_messaging.follow as follow_module
import connectors.salesforce_messaging.sending as sending_module
import connectors.salesforce_messaging.stream as stream_module
from tests.connectors.salesforce.relays import MakeRelay
from tests.integration.test_desks import control
from tests.scripted import ScriptedConnector


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (stream_module, follow_module):
        monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(follow_module, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(sending_module, "DEAF_PAUSE_S", 0.1)


async def called(relay: Any, name: str, n: int, status: int | None = None) -> None:
    """Until so many more calls of this name came. status: the answer to all calls until then."""
    came = 0

    def before(call: str, subject: str) -> int | None:
        nonlocal came
        came += call == name
        return status if came < n else None

    relay.sf.before = before
    async with asyncio.timeout(10):
        while came < n:
            await asyncio.sleep(0.01)


async def test_live_chat_outlasts_streams_that_are_refused(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    refused = [{"on": "stream", "status": status, "count": 2} for status in (302, 403, 404, 418)]
    relay.sf.wish({"fail_next": refused, "cut": True})
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "a0" in relay.words(visitor))
    await visitor.say("v0")
    await relay.until(lambda: relay.heard() == ["v0"])

    assert control(relay.world) == "connection:sales" and relay.session().status == "Active"


async def test_chat_that_was_never_begun_is_declined_where_streams_are_refused(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings='on_declined = "bot"')
    relay.sf.wish({"fail_next": [{"on": "stream", "status": 403, "count": 100}]})
    await relay.handed_over(waits=False)
    await relay.until(lambda: control(relay.world) == "connection:helper")


async def test_words_for_a_conversation_that_closed_with_its_session_wait_until_the_end_is_heard(
    make_relay: MakeRelay,
) -> None:
    """Its end cannot be heard for long: the refusal says nothing of what was written."""
    relay = await make_relay(settings='on_left = "bot"')
    relay.sf.wish({"options": {"closes_with_session": True}})
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "stream", "status": 503, "count": 10_000}], "cut": True})
    relay.desk.end(relay.chat)
    await visitor.say("echo late")
    await called(relay, "message", 4)
    relay.sf.wish({"clear_failures": True})
    await relay.until(lambda: "late" in relay.words(visitor))

    assert control(relay.world) == "connection:helper"
    assert [each.text for each in ScriptedConnector.bot.given].count("echo late") == 1
    assert relay.heard() == []


async def test_words_outlast_a_page_of_maintenance(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"cut": True})
    await visitor.say("v0")
    await called(relay, "message", 4, 302)
    await relay.until(lambda: relay.heard() == ["v0"])

    assert control(relay.world) == "connection:sales"
    assert not [each for each in relay.words(visitor) if "could not" in each]
