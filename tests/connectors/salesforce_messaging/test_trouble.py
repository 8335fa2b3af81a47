"""Streams that break, tokens that die, an org that is down: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from typing import Any

import pytest

import connectors.salesforce_messaging.follow as follow_module
import connectors.salesforce_messaging.sending as sending_module
import connectors.salesforce_messaging.stream as stream_module
from connectors.salesforce_messaging.pacing import Pacer
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.connectors.salesforce_messaging.orgs import key_pair
from tests.integration.test_desks import control
from tests.scripted import ScriptedConnector


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect soon: the pause is not what these tests are about."""
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_S", 0.02)


@pytest.mark.parametrize(
    "stream",
    [
        {"cut_every": 2, "double": True, "unknown": True},
        {"cut_every": 3, "replay": 1},
    ],
    ids=["doubled", "forgets"],
)
async def test_stream_that_is_cut_and_tells_twice_or_forgets(make_relay: MakeRelay, stream: dict[str, Any]) -> None:
    relay = await make_relay()
    relay.sf.wish({"stream": stream})
    visitor = await relay.with_agent()
    told = await relay.exchange(visitor)
    relay.desk.transfer(relay.chat, BEA, "Bea Boss")
    relay.desk.say(relay.chat, "Bea here.")
    await relay.until(lambda: ("Bea Boss", "Bea here.") in relay.seen(visitor))

    assert relay.agents_words(visitor) == told
    assert relay.heard() == ["v0", "v1", "v2", "v3"]
    assert relay.streams() == 1


async def test_event_that_the_stream_lost_is_found_at_the_next_connection(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"stream": {"lose": 1}})
    relay.desk.say(relay.chat, "a0")
    relay.desk.say(relay.chat, "a1")
    await relay.until(lambda: "a1" in relay.words(visitor))
    relay.sf.wish({"cut": True})
    await relay.until(lambda: "a0" in relay.words(visitor))

    assert sorted(relay.agents_words(visitor)) == ["a0", "a1"]


async def test_event_that_is_lost_without_a_break_is_found_too(make_relay: MakeRelay) -> None:
    """Also where much later ones came since: entries are read again from where they were read last."""
    relay = await make_relay(settings="recheck_s = 0.4")
    relay.sf.wish({"stream": {"ping_s": 0.1}})
    visitor = await relay.with_agent()
    relay.sf.wish({"stream": {"lose": 1}})
    relay.desk.say(relay.chat, "a0")
    relay.sf.wish({"advance_s": 100})
    relay.desk.say(relay.chat, "a1")
    await relay.until(lambda: {"a0", "a1"} <= set(relay.words(visitor)))
    reads = [each for each in relay.sf.api.calls if each["path"].endswith("/entries")]

    assert sorted(relay.agents_words(visitor)) == ["a0", "a1"]
    assert relay.sf.org.feeds.by_subject[relay.conversation().subject].opened == 1
    assert len(reads) <= 12


async def test_entries_that_cannot_be_read_again_leave_the_stream_alone(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings="recheck_s = 0.1")
    relay.sf.wish({"stream": {"ping_s": 0.05}})
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "entries", "status": status, "count": 1} for status in (429, 503, 403)]})
    await relay.until(lambda: not relay.sf.faults.waiting)
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "a0" in relay.words(visitor))

    assert relay.sf.org.feeds.by_subject[relay.conversation().subject].opened == 1


async def test_words_that_come_after_the_agents_end_go_to_who_is_next(make_relay: MakeRelay) -> None:
    """Salesforce took them, and began a session that nobody is in: its stream tells that the end was first."""
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    await visitor.say("v0")
    await relay.until(lambda: relay.heard() == ["v0"])
    relay.sf.wish({"stream": {"stalled": True}})
    relay.desk.end(relay.chat)
    await visitor.say("echo too late")
    async with asyncio.timeout(30):
        while "echo too late" not in relay.heard():
            await asyncio.sleep(0.01)
    assert len(relay.conversation().sessions) == 2
    relay.sf.wish({"stream": {"stalled": False}})
    await relay.until(lambda: "too late" in relay.words(visitor))
    await relay.until(lambda: relay.conversation().is_closed)

    assert control(relay.world) == "connection:helper"
    assert [each.text for each in ScriptedConnector.bot.given].count("echo too late") == 1
    assert relay.heard().count("echo too late") == 1


async def test_words_of_which_no_stream_tells_wait_a_little_and_go_on(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its streams are refused, its messages are not."""
    monkeypatch.setattr(sending_module, "ECHO_S", 0.1)
    monkeypatch.setattr(sending_module, "DEAF_S", 0.5)
    relay = await make_relay()
    visitor = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "stream", "status": 503, "count": 1000}], "cut": True})
    for at in range(3):
        await visitor.say(f"v{at}")
    await relay.until(lambda: "v2" in relay.heard())

    assert relay.heard() == ["v0", "v1", "v2"]
    assert relay.repeats() == 0


def verified(sf: Any) -> str:
    private, public = key_pair()
    sf.wish({"keysets": [{"issuer": "bridge", "kid": "k1", "public_pem": public}]})
    key = private.replace("\n", "\\n")
    return f'user_key = "{key}"\nuser_key_id = "k1"\nuser_issuer = "bridge"'


async def test_token_is_renewed_before_it_ends(make_relay: MakeRelay, sf: Any) -> None:
    sf.wish({"verified_ttl_s": 62})
    relay = await make_relay(settings=verified(sf) + "\nrenew_s = 61")
    visitor = await relay.with_agent()
    await relay.until(lambda: len(sf.api.issued) >= 2)
    told = await relay.exchange(visitor, 2)

    assert relay.agents_words(visitor) == told
    assert len(sf.api.issued) == 2  # the next one in good time, not at once


async def test_guest_who_comes_back_for_a_verified_user_is_refused(make_relay: MakeRelay, sf: Any) -> None:
    relay = await make_relay(settings=verified(sf) + '\non_declined = "bot"')
    sf.wish({"all_are_guests": True})
    visitor = await relay.world.visitor()
    await visitor.say("talk to a human")
    await relay.until(lambda: "Nobody is available right now." in " ".join(relay.words(visitor)))
    await relay.until(lambda: control(relay.world) == "connection:helper")

    assert sf.org.conversations == {}


async def test_guest_who_comes_back_in_the_middle_of_a_verified_chat_is_never_used(
    make_relay: MakeRelay, sf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chat waits, the visitor reads it, and goes on once the keys are right again."""
    monkeypatch.setattr(follow_module, "LONGEST_PAUSE_S", 0.2)
    relay = await make_relay(settings=verified(sf) + "\ntrouble_s = 0.5")
    visitor = await relay.with_agent()
    sf.wish({"all_are_guests": True, "revoke_all": True})
    await visitor.say("v0")
    async with asyncio.timeout(30):
        while not any("connection to the agent is interrupted" in each for each in relay.words(visitor)):
            await asyncio.sleep(0.02)
    guests = {each["n"] for each in sf.api.issued if "/ANON/" in each["subject"]}
    assert relay.heard() == []
    sf.wish({"all_are_guests": False})
    await relay.until(lambda: relay.heard() == ["v0"] and "The connection is back." in relay.words(visitor))

    assert guests and not [each for each in sf.api.calls if each["token"] in guests]
    assert len(sf.org.conversations) == 1


async def test_guest_whose_token_ends_goes_back_to_the_bot(make_relay: MakeRelay, sf: Any) -> None:
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    sf.wish({"advance_s": 4000})
    await relay.until(lambda: control(relay.world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))

    assert {each["asked"] for each in sf.api.issued} == {"guest"}


FAILURES: list[dict[str, Any]] = [
    {"status": 503},
    {"status": 500, "after_effect": True},
    {"cut": True, "after_effect": True},
    {"cut": True},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"status": 417},
]


async def test_message_that_fails_once_arrives_once(make_relay: MakeRelay) -> None:
    """Each in turn, in one chat; fewer in all than a minute takes."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    for failure in FAILURES:
        relay.sf.wish({"fail_next": [{"on": "message", **failure}]})
        begin = len(relay.heard())
        for at in range(begin, begin + 2):
            await visitor.say(f"v{at}")
        await relay.until(lambda at=at: f"v{at}" in relay.heard())
        assert not relay.sf.faults.waiting, failure
        assert relay.heard() == [f"v{each}" for each in range(at + 1)], failure

    assert len(relay.conversation().sessions) == 1


async def test_org_that_is_down_gets_everything_in_order_when_it_is_back(make_relay: MakeRelay) -> None:
    relay = await make_relay(engine="notice_after_s = 0.3\nbreaker_open_s = 0.2")
    visitor = await relay.with_agent()
    relay.sf.wish({"down": True})
    for at in range(6):
        await visitor.say(f"v{at}")
    async with asyncio.timeout(30):
        while not any("taking longer than usual" in each for each in relay.words(visitor)):
            await asyncio.sleep(0.02)
    relay.sf.wish({"down": False})
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "v5" in relay.heard() and "a0" in relay.words(visitor))

    assert relay.heard() == [f"v{at}" for at in range(6)]
    assert relay.repeats() == 0


async def test_burst_is_paced_and_keeps_its_order(make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("connectors.salesforce_messaging.connector")
    monkeypatch.setattr(module, "Pacer", partial(Pacer, most=4, window_s=0.6))
    relay = await make_relay()
    visitor = await relay.with_agent()
    for at in range(9):
        await visitor.say(f"v{at}")
    await relay.until(lambda: "v8" in relay.heard())
    times = [each["at"] for each in relay.sf.org.desk if each["kind"] == "message"]

    assert relay.heard() == [f"v{at}" for at in range(9)]
    assert all(late - early >= 550 for early, late in zip(times, times[4:], strict=False))


async def test_visitor_who_closes_ends_it_at_salesforce_also_before_it_was_made(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    relay.sf.wish({"fail_next": [{"on": "create", "status": 503, "after_effect": True, "count": 2}]})
    visitor = await relay.world.visitor()
    await visitor.say("talk to a human")
    await relay.until(lambda: relay.sf.org.conversations)
    await visitor.close()
    await relay.until(lambda: relay.conversation().is_closed)

    assert relay.session().status == "Ended"
    assert relay.world.rows("SELECT count(*) FROM desk_sessions") == [(0,)]


async def test_typing_and_receipts(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    await relay.until(lambda: any(each["kind"] == "receipt" for each in relay.sf.org.desk))
    relay.sf.wish({"options": {"receipts": False}})
    await relay.exchange(visitor, 2)

    receipts = [each for each in relay.sf.org.desk if each["kind"] == "receipt"]
    entries = relay.conversation().entries
    said = [
        each["identifier"] for each in entries if each["entryType"] == "Message" and each["sender"]["role"] == "Agent"
    ]
    assert [each["of"] for each in receipts] == said[:1]


async def test_org_that_is_down_when_it_is_asked_is_told_and_opened_when_it_is_back(make_relay: MakeRelay) -> None:
    relay = await make_relay(engine="notice_after_s = 0.3\nbreaker_open_s = 0.2")
    relay.sf.wish({"down": True})
    visitor = await relay.world.visitor()
    await visitor.say("talk to a human")
    async with asyncio.timeout(30):
        while not any("taking longer than usual" in each for each in relay.words(visitor)):
            await asyncio.sleep(0.02)
    await visitor.say("v0")
    relay.sf.wish({"down": False})
    await relay.until(lambda: relay.heard() == ["v0"])
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    await relay.until(lambda: control(relay.world) == "connection:sales")

    assert len(relay.sf.org.conversations) == 1
