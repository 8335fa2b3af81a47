"""What a visitor reads of queues, transfers, silence and hours: sentences of ours, once for each change."""

from __future__ import annotations

import msgspec
import pytest

from connectors.salesforce_messaging.entries import Routed, SessionIs
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from connectors.salesforce_messaging.told import Told, matters, read
from omnibridge.connector import Reply, Text
from omnibridge.connector.desks import Declined, Queued, SessionEvent, Spoke
from tests.connectors.salesforce_messaging.relays import (
    ALEX,
    BEA,
    MakeRelay,
    bot_kind,  # noqa: F401 - a fixture
    make_relay,  # noqa: F401 - a fixture
    sf,  # noqa: F401 - a fixture
)
from tests.integration.test_desks import control

REQUEUED = "You will be connected to another agent in a moment."
INACTIVE = "Are you still there? Write anything to go on."
CLOSED = "Our team is outside of its business hours."
HOURS_OVER = {"businessHoursInfo": {"isActive": True, "businessHours": [{"startTime": 1, "endTime": 2}]}}


def words(text: str) -> Spoke:
    return Spoke(Reply((Text(text),)))


async def test_wait_place_transfer_and_silence(make_relay: MakeRelay) -> None:  # noqa: F811
    relay = await make_relay()
    relay.sf.wish({"options": {"wait_s": 200}})
    visitor = await relay.handed_over()
    await relay.until(lambda: "The wait is about 4 min." in relay.words(visitor))
    begin = relay.words(visitor).index("The wait is about 4 min.")
    relay.desk.queue_position(relay.cid, 2)
    relay.desk.queue_position(relay.cid, 2)
    relay.desk.queue_position(relay.cid, 1)
    relay.desk.accept(relay.cid, ALEX, "Alex Agent")
    relay.sf.wish({"options": {"wait_s": 50}})
    relay.desk.transfer(relay.cid)
    relay.desk.queue_position(relay.cid, 1)
    relay.desk.accept(relay.cid, BEA, "Bea Boss")
    relay.desk.queue_position(relay.cid, 7)
    relay.desk.inactive(relay.cid)
    relay.desk.say(relay.cid, "Bea here.")
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


async def test_each_reason_has_its_sentence(make_relay: MakeRelay) -> None:  # noqa: F811
    relay = await make_relay(
        settings='on_declined = "bot"\ndeclines = { closed = "We open at nine.", RoutingError = "All are busy." }'
    )
    visitor = await relay.handed_over()
    relay.desk.fail_routing(relay.cid, "RoutingError")
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
        (Told(declined="closed"), (words(CLOSED), Declined("closed"))),
        (Told(declined="bad-request"), (Declined("bad-request"),)),
        (Told((Routed(failure="Unknown", **COMMON),)), (Declined("no-agents", "Unknown"),)),
        (Told((Routed(is_transfer=True, failure="RoutingError", **COMMON),)), (Declined("no-agents", "RoutingError"),)),
        (Told((Routed(wait_s=0, **COMMON),)), ()),
        (Told((Routed(wait_s=61, **COMMON),)), (Queued(0, 61),)),
        (Told((Routed(wait_s=61, **COMMON),), is_requeued=True), (Queued(0, 61, again=True),)),
        (Told((Routed(is_transfer=True, **COMMON),)), (words(REQUEUED),)),
        (Told((SessionIs(status="Inactive", **COMMON),)), (words(INACTIVE),)),
        (Told((SessionIs(status="Active", before="Inactive", **COMMON),)), ()),
        (Told(says="hi"), (words("hi"),)),
    ],
)
def test_what_is_told_of_waiting(told: Told, meaning: tuple[SessionEvent, ...]) -> None:
    settings = SalesforceMessagingSettings("https://a.example", "00DSM0000004Omn", "Web")

    assert tuple(read(_encoded(told), settings)) == meaning


def test_sentences_that_are_empty_are_not_said_and_a_transfer_is_kept_in_mind() -> None:
    settings = SalesforceMessagingSettings(
        "https://a.example", "00DSM0000004Omn", "Web", requeued="", inactive="", declines={}
    )
    transfer = Routed(is_transfer=True, **COMMON)

    assert read(_encoded(Told((transfer,))), settings) == ()
    assert matters(transfer, settings)
    assert not matters(SessionIs(status="Inactive", **COMMON), settings)
    assert read(_encoded(Told(declined="closed")), settings) == (Declined("closed"),)


def _encoded(told: Told) -> bytes:
    return msgspec.json.encode(told)
