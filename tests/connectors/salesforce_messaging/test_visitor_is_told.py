"""What a visitor reads of queues, transfers, silence and hours: sentences of ours, once for each change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.salesforce_messaging.entries import (
    QueuePosition,
    Routed,
    Said,
    Sender,
    SessionIs,
    events_of,
    read_event,
)
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from connectors.salesforce_messaging.told import NOTICES, Told, matters, read
from omnibridge.connector import Reply, Text
from omnibridge.connector.desks import Declined, Notice, Queued, SessionEvent, Spoke
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.integration.test_desks import control

REQUEUED, INACTIVE = NOTICES["requeued"], NOTICES["inactive"]
HOURS_OVER = {"businessHoursInfo": {"isActive": True, "businessHours": [{"startTime": 1, "endTime": 2}]}}


async def test_wait_place_transfer_and_silence(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    relay.sf.wish({"options": {"wait_s": 200}})
    visitor = await relay.handed_over()
    await relay.until(lambda: "The wait is about 4 min." in relay.words(visitor))
    begin = relay.words(visitor).index("The wait is about 4 min.")
    relay.desk.queue_position(relay.chat, 2)
    relay.desk.queue_position(relay.chat, 2)
    relay.desk.queue_position(relay.chat, 1)
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    relay.sf.wish({"options": {"wait_s": 50}})
    relay.desk.transfer(relay.chat)
    relay.desk.queue_position(relay.chat, 1)
    relay.desk.accept(relay.chat, BEA, "Bea Boss")
    relay.desk.queue_position(relay.chat, 7)
    relay.desk.inactive(relay.chat)
    relay.desk.say(relay.chat, "Bea here.")
    await relay.until(lambda: "Bea here." in relay.words(visitor))

    assert relay.words(visitor)[begin:] == [
        "The wait is about 4 min.",
        "You are number 2 in the queue.",
        "You are number 1 in the queue.",
        REQUEUED,
        "The wait is about 1 min.",
        "You are number 1 in the queue.",
        INACTIVE,
        "Bea here.",
    ]
    await visitor.say("yes, here")
    await relay.until(lambda: relay.heard() == ["yes, here"])
    assert relay.session().status == "Active"


async def test_each_reason_has_its_sentence(make_relay: MakeRelay) -> None:
    sentences = '[texts.desk]\n"sales:closed" = "We open at nine."\nno-agents = "All are busy."'
    relay = await make_relay(settings=f'on_declined = "bot"\n{sentences}')
    visitor = await relay.handed_over()
    relay.desk.fail_routing(relay.chat, "RoutingError")
    await relay.until(lambda: control(relay.world) == "connection:helper")
    relay.sf.wish({"options": {"business_hours": HOURS_OVER}})
    await visitor.say("talk to a human")
    await relay.until(lambda: "We open at nine." in relay.words(visitor))
    await relay.until(lambda: control(relay.world) == "connection:helper")

    assert [each for each in relay.words(visitor) if each in ("All are busy.", "We open at nine.")] == [
        "All are busy.",
        "We open at nine.",
    ]


COMMON = {"conversation": "c", "id": "e"}


@pytest.mark.parametrize(
    ("told", "meaning"),
    [
        (Told(declined="closed"), (Declined("closed", says=NOTICES["closed"]),)),
        (Told(declined="bad-request"), (Declined("bad-request"),)),
        (Told((Routed(failure="Unknown", **COMMON),)), (Declined("unknown", "Unknown"),)),
        (Told((Routed(is_transfer=True, failure="RoutingError", **COMMON),)), (Declined("no-agents", "RoutingError"),)),
        (Told((Routed(wait_s=0, **COMMON),)), ()),
        (Told((Routed(wait_s=61, **COMMON),)), (Queued(0, 61),)),
        (Told((Routed(wait_s=61, **COMMON),), is_requeued=True), (Queued(0, 61, again=True),)),
        (Told((Routed(is_transfer=True, **COMMON),)), (Notice("requeued", REQUEUED),)),
        (Told((SessionIs(status="Inactive", **COMMON),)), (Notice("inactive", INACTIVE),)),
        (Told((SessionIs(status="Active", before="Inactive", **COMMON),)), ()),
        (Told(notice="trouble"), (Notice("trouble", NOTICES["trouble"], line="lost"),)),
        (Told(notice="trouble-over"), (Notice("trouble-over", NOTICES["trouble-over"], line="back"),)),
    ],
)
def test_what_is_told_of_waiting(told: Told, meaning: tuple[SessionEvent, ...]) -> None:
    settings = SalesforceMessagingSettings("https://a.example", "00DSM0000004Omn", "Web")

    assert tuple(read(_encoded(told), settings)) == meaning


def test_transfer_is_kept_in_mind() -> None:
    settings = SalesforceMessagingSettings("https://a.example", "00DSM0000004Omn", "Web")

    assert matters(Routed(is_transfer=True, **COMMON), settings)
    assert not matters(Routed(**COMMON), settings)


def _encoded(told: Told) -> bytes:
    return msgspec.json.encode(told)


@pytest.mark.parametrize(
    ("kind", "payload", "position"),
    [
        ("QueuePosition", {"position": 3.0}, 3),
        ("QueuePositionUpdate", {"positionInQueue": "4"}, 4),
        ("QueuePosition", {"position": -1}, None),
        ("QueuePosition", {"position": "9" * 4000}, None),
        ("QueuePosition", {"position": 1e300}, None),
        ("QueuePosition", {"position": "²"}, None),
    ],
)
def test_place_in_the_queue_whatever_its_entry_is_called(kind: str, payload: Any, position: int | None) -> None:
    """The event's name is known, that of the entry and its field are not (reference 2.8)."""
    entry = {"identifier": "e", "entryType": kind, "entryPayload": msgspec.json.encode(payload).decode()}
    body = msgspec.json.encode({"conversationId": "c", "conversationEntry": entry})
    found = read_event("CONVERSATION_QUEUE_POSITION", body)
    assert found is not None

    assert events_of("c", found.conversation_entry) == (QueuePosition(position=position, **COMMON),)


@pytest.mark.parametrize("role", ["Agent", "System", "Chatbot"])
def test_automatic_answer_is_nobodys(role: str) -> None:
    """It comes as `Automated Process` (reference 2.8), which is no person to be shown, and takes no seat."""
    settings = SalesforceMessagingSettings("https://a.example", "00DSM0000004Omn", "Web")
    abstract = {"messageType": "StaticContentMessage", "staticContent": {"formatType": "Text", "text": "soon"}}
    event = Said(sender=Sender(role, "005SM0000001AlxIAE", "Automated Process"), abstract=abstract, **COMMON)

    assert read(_encoded(Told((event,))), settings) == (Spoke(Reply((Text("soon"),))),)
    assert read(_encoded(Told((event,))), msgspec.structs.replace(settings, automatic=False)) == ()
