"""A guest's token ends in the middle of a chat, and the chat goes on as another guest's."""

from __future__ import annotations

import json
from typing import Any

from connectors.salesforce_messaging.entries import Entry
from connectors.salesforce_messaging.reopen import so_far
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from connectors.salesforce_messaging.state import Kept, uuid4_of
from omnibridge.sandbox.visitor import Visitor
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.connectors.salesforce_messaging.relays import Relay
from tests.integration.test_desks import control

SETTINGS = 'guest_end = "reopen"\nrenew_s = 61'
TTL_S = 64
"""Of which the last 61 s are those in which the chat is to be reopened."""
AGAIN = "One moment please, you will be connected again."


def texts(relay: Relay, cid: str) -> list[str]:
    rows = relay.sf.org.desk
    return [each["text"] for each in rows if each["conversation"] == cid and each["kind"] == "message"]


async def with_agent(relay: Relay) -> Visitor:
    """He speaks when he has read what was said before: that is the order of the entries."""
    visitor = await relay.handed_over()
    await relay.until(lambda: texts(relay, relay.chat))
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    relay.desk.say(relay.chat, "Hello, I am Alex.")
    await relay.until(lambda: "Hello, I am Alex." in relay.words(visitor))
    return visitor


async def test_chat_goes_on_as_another_guests(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings=SETTINGS)
    relay.sf.wish({"guest_ttl_s": TTL_S})
    visitor = await with_agent(relay)
    first = relay.chat
    relay.sf.wish({"guest_ttl_s": 3600})
    await visitor.say("v0")
    relay.desk.ask(first, "Which one?", [{"title": "Red", "id": "red"}, {"title": "Blue", "id": "blue"}])
    relay.sf.wish({"fail_next": [{"on": "message", "cut": True, "after_effect": True}]})
    await relay.until(lambda: "v0" in texts(relay, first) and "Which one?" in "".join(relay.words(visitor)))
    await visitor.say("2")
    await relay.until(lambda: len(relay.sf.org.conversations) == 2)
    await visitor.say("v1")
    await relay.until(lambda: relay.sf.org.conversations[first].is_closed)
    second = list(relay.sf.org.conversations)[1]
    await relay.until(lambda: second in relay.desk.waiting() and len(texts(relay, second)) == 2)
    relay.desk.accept(second, BEA, "Bea Boss")
    relay.desk.say(second, "Bea here.")
    await relay.until(lambda: ("Bea Boss", "Bea here.") in relay.seen(visitor))
    await visitor.say("v2")
    await relay.until(lambda: "v2" in texts(relay, second))

    assert texts(relay, first)[1:] == ["v0", "blue"]
    history, *rest = texts(relay, second)
    assert rest == ["v1", "v2"]
    assert history.splitlines() == [
        *texts(relay, first)[0].splitlines(),
        "Alex Agent: Hello, I am Alex.",
        *[
            each
            for each in history.splitlines()
            if each in ("Visitor: v0", "Alex Agent: Which one?", "1. Red", "2. Blue")
        ],
        "Visitor: Blue",
    ]
    assert {"Visitor: v0", "Alex Agent: Which one?"} <= set(history.splitlines())
    assert relay.words(visitor).count(AGAIN) == 1
    assert control(relay.world) == "connection:sales"
    assert [each["asked"] for each in relay.sf.api.issued] == ["guest", "guest"]
    await visitor.close()
    await relay.until(lambda: relay.sf.org.conversations[second].is_closed)


async def test_restart_in_the_middle_of_it_goes_on_with_the_new_one(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings=SETTINGS)
    relay.sf.wish({"guest_ttl_s": TTL_S})
    visitor = await with_agent(relay)
    first = relay.chat
    relay.sf.wish({"guest_ttl_s": 3600, "fail_next": [{"on": "create", "status": 503, "count": 1000}]})
    await relay.until(lambda: AGAIN in relay.words(visitor))
    await relay.world.node.stop()
    relay.sf.wish({"clear_failures": True})
    await relay.world.begin()
    await visitor.say("v0")
    await relay.until(lambda: len(relay.sf.org.conversations) == 2)
    second = list(relay.sf.org.conversations)[1]
    await relay.until(lambda: "v0" in texts(relay, second))

    assert relay.sf.org.conversations[first].is_closed
    assert relay.words(visitor).count(AGAIN) == 1
    assert len([each for each in texts(relay, second) if "Hello, I am Alex." in each]) == 1


async def test_guest_whose_chat_cannot_go_on_is_told_by_the_reason(make_relay: MakeRelay) -> None:
    """Salesforce refuses another guest."""
    relay = await make_relay(
        settings=f'{SETTINGS}\non_left = "bot"', texts='desk = { token-ended = "This chat is over." }'
    )
    relay.sf.wish({"guest_ttl_s": TTL_S})
    visitor = await with_agent(relay)
    relay.sf.wish({"fail_next": [{"on": "token", "status": 400, "count": 1000}]})
    await relay.until(lambda: control(relay.world) == "connection:helper")
    await visitor.say("echo back")
    await relay.until(lambda: "back" in relay.words(visitor))

    assert "This chat is over." in relay.words(visitor)
    assert relay.conversation().is_closed


def entry(kind: str, name: str, role: str, abstract: dict[str, Any]) -> Entry:
    from connectors.salesforce_messaging.entries import _Sender

    payload = json.dumps({"abstractMessage": {"messageType": kind, "id": name, **abstract}})
    return Entry(name, "Message", payload, _Sender(role, "s"), "Alex", 1, 1)


def said(name: str, role: str, text: str) -> Entry:
    return entry("StaticContentMessage", name, role, {"staticContent": {"formatType": "Text", "text": text}})


def test_what_was_said_so_far() -> None:
    settings = SalesforceMessagingSettings("https://a.example", "00DSM0000004Omn", "Web")
    kept = Kept(conversation="c")
    form = {"formResponse": {"inputs": [{"id": "name", "value": "Vera"}]}}
    entries = [
        said(uuid4_of("c", "history", "0"), "EndUser", "Conversation so far:\nBot: hello"),
        said("m1", "EndUser", "hi\x07 there"),
        said("m2", "Agent", "good day"),
        said("m3", "System", "You are in a queue"),
        entry("FormResponseMessage", "m4", "EndUser", form),
        entry("Novel", "m5", "EndUser", {}),
    ]

    assert so_far(settings, kept, entries) == (
        ("Conversation so far:\nBot: hello\nVisitor: hi  there\nAlex: good day\nVisitor: Vera",),
        (uuid4_of("c", "history", "0"), "m1", "m4", "m5"),
    )
    assert so_far(settings, kept, entries[2:3])[0] == ("Conversation so far:\nAlex: good day",)
    assert so_far(settings, kept, []) == ((), ())
