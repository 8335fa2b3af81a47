"""Custom events both ways, and files: what became of an upload whose answer was cut is told by the poll."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import connectors.salesforce_live_agent.sending as sending_module
from connectors.salesforce_live_agent.client import LiveAgent
from omnibridge.clock import FixedClock
from omnibridge.connector import Custom, DeliveryError, DeliveryRetryable, DeliveryUncertain, TurnFile
from omnibridge.sandbox.server import Socket
from tests.conftest import until
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_live_agent.alone import Alone, alone
from tests.integration.test_desks import control

EVENTS = """
event_facts = { order = "order" }
event_fields = { order = "ticket" }
event_texts = { order = "Your order is {data}." }
event_on_accept = "rocketchat.facts"
facts = ["room", "visitor_name"]
on_left = "bot"
"""


async def test_agents_event_is_a_fact_a_field_and_words_and_who_accepts_is_told_facts(make_relay: MakeRelay) -> None:
    relay = await make_relay(settings=EVENTS)
    await relay.world.hub.control(custom_fields={"ticket": "room"})
    visitor = await relay.with_agent()
    relay.desk.custom_event(relay.chat, "order", "A17\x07")
    relay.desk.custom_event(relay.chat, "novel", "x")
    await relay.until(lambda: "Your order is A17 ." in relay.words(visitor))
    room = (await relay.world.relay.get("rooms.info", roomId=visitor.rid))["room"]
    (state,) = relay.world.rows("SELECT state FROM conversations")

    assert room["livechatData"] == {"ticket": "A17 "}
    assert json.loads(state[0])["bot_facts"]["order"] == "A17 "
    (told,) = relay.of_kind("custom_event")
    assert told["type"] == "rocketchat.facts"
    facts = json.loads(told["data"])
    assert (facts["room"], facts["visitor_name"]) == (visitor.rid, "Vera")
    # Before anything that was said.
    kinds = [each["kind"] for each in relay.sf.service.desk if each["kind"] in ("custom_event", "message")]
    assert kinds[0] == "custom_event"
    relay.desk.end(relay.chat)
    await relay.until(lambda: control(relay.world) == "connection:helper")


async def test_events_that_nobody_wants_are_dropped_and_those_that_are_kept_are_shown_to_nobody() -> None:
    for wanted in (False, True):
        async with alone(custom_events=wanted) as one:
            await one.begin()
            await one.accepted()
            one.desk.custom_event(one.sid, "kind", "data")
            one.desk.say(one.sid, "a0")
            await until(lambda one=one: one.words() == [("Alex Agent", "a0")])
        kept = [part for _, part in one.parts() if isinstance(part, Custom)]
        assert kept == ([Custom({"type": "kind", "data": "data"})] if wanted else [])


async def test_event_that_is_refused_keeps_nothing_back() -> None:
    async with alone(event_on_accept="facts", history="none") as one:
        await one.begin(facts={"room": "r"})
        one.sf.wish({"fail_next": [{"on": "post", "status": 400, "skip": 1}]})
        await one.accepted()
        await one.say("v0")

    assert one.heard() == ["v0"] and one.of_kind("custom_event") == []


# -- files ---------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def photo() -> AsyncIterator[TurnFile]:
    async def give(_: Request) -> Response:
        return Response(b"\x89PNG", media_type="image/png")

    socket = Socket(Starlette(routes=[Route("/photo.png", give)]), "127.0.0.1", 0)
    await socket.start()
    yield TurnFile("f1", "photo.png", f"{socket.url}/photo.png", "image/png", 4)
    await socket.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_module, "SOON_S", 0.02)


async def asked_for_a_file(one: Alone) -> None:
    await one.begin()
    await one.accepted()
    one.desk.request_file(one.sid)
    await until(lambda: one.kept.wanted)


def passed(one: Alone, seconds: float) -> None:
    assert one.connector._shared
    clock = one.connector._shared.context.clock
    assert isinstance(clock, FixedClock)
    clock.advance(int(seconds * 1000))


FAULTS: list[dict[str, Any]] = [
    {"cut": True, "after_effect": True},
    {"status": 500, "after_effect": True},
    {"status": 503, "after_effect": True},
]


@pytest.mark.parametrize("fault", FAULTS, ids=["cut", "500", "503"])
async def test_file_whose_upload_was_cut_arrives_once(photo: TurnFile, fault: dict[str, Any]) -> None:
    async with alone() as one:
        await asked_for_a_file(one)
        one.sf.wish({"fail_next": [{"on": "upload", **fault}]})
        await one.say("", delivery_id="t1", files=(photo,))
        await one.say("", delivery_id="t1", files=(photo,))  # given again
        await one.say("v0")

    assert len(one.of_kind("file")) == 1 and one.heard() == ["v0"]


async def test_file_that_never_arrived_is_sent_again_and_else_goes_as_a_link(photo: TurnFile) -> None:
    async with alone() as one:
        await asked_for_a_file(one)
        one.sf.wish({"fail_next": [{"on": "upload", "cut": True}]})
        saying = asyncio.create_task(one.say("", delivery_id="t1", files=(photo,)))
        await until(lambda: one.kept.upload)
        await until(lambda: not one.sf.faults.waiting)
        assert one.of_kind("file") == []
        passed(one, sending_module.OUTCOME_S + 1)
        await saying
        assert len(one.of_kind("file")) == 1
        one.desk.request_file(one.sid)
        await until(lambda: one.kept.wanted)
        one.sf.wish({"fail_next": [{"on": "upload", "cut": True}]})
        saying = asyncio.create_task(one.say("", delivery_id="t2", files=(photo,)))
        await until(lambda: one.kept.upload and not one.sf.faults.waiting)
        one.desk.cancel_file(one.sid)
        await saying

    assert len(one.of_kind("file")) == 1 and [each[:15] for each in one.heard()] == ["photo.png: http"]


async def test_file_that_salesforce_loses_is_told_to_the_visitor(photo: TurnFile) -> None:
    async with alone() as one:
        await asked_for_a_file(one)
        one.desk.push(one.sid, "FileTransfer", type="Failure", fileToken="x")
        one.desk.say(one.sid, "a0")
        await until(lambda: ("Alex Agent", "a0") in one.words())

    assert ("", "Your file did not reach the agent. Please send it again.") in one.words()
    assert one.context.counts["files_failed"] == 1


async def test_line_that_is_cut_as_well_tells_nothing_and_the_file_is_not_sent_again(photo: TurnFile) -> None:
    async with alone() as one:
        await asked_for_a_file(one)
        one.sf.wish({"options": {"paused": True}})
        one.sf.wish({"fail_next": [{"on": "upload", "cut": True, "after_effect": True}]})
        saying = asyncio.create_task(one.say("", delivery_id="t1", files=(photo,)))
        await until(lambda: one.of_kind("file") and not one.sf.faults.waiting)
        one.sf.wish({"fail_next": [{"on": "poll", "status": 500, "count": 1000}]})
        await until(lambda: not one.connector._chats["s1"].is_heard)
        for _ in range(3):
            passed(one, sending_module.OUTCOME_S + 1)
            await asyncio.sleep(0)
        one.sf.wish({"options": {"paused": False}, "clear_failures": True})
        await saying
        await one.say("v0")

    assert len(one.of_kind("file")) == 1 and one.heard() == ["v0"]
    assert [each["path"] for each in one.sf.service_calls()].count("/_upload") == 1


async def test_restart_listens_before_it_sends_a_file_again(photo: TurnFile) -> None:
    async with alone() as one:
        await asked_for_a_file(one)
        one.sf.wish({"options": {"paused": True}})
        one.sf.wish({"fail_next": [{"on": "upload", "cut": True, "after_effect": True}]})
        saying = asyncio.create_task(one.say("", delivery_id="t1", files=(photo,)))
        await until(lambda: one.of_kind("file") and not one.sf.faults.waiting)
        saying.cancel()
        passed(one, sending_module.OUTCOME_S + 1)
        await one.restart()
        saying = asyncio.create_task(one.say("", delivery_id="t1", files=(photo,)))
        await until(lambda: one.connector._chats["s1"].is_followed)
        one.sf.wish({"options": {"paused": False}})
        await saying
        await one.say("v0")

    assert len(one.of_kind("file")) == 1 and one.heard() == ["v0"]


@pytest.mark.parametrize("error", [None, DeliveryRetryable("x", code="not-sent")])
async def test_file_that_is_never_taken_goes_as_a_link_and_keeps_no_words_back(
    photo: TurnFile, error: DeliveryError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alone() as one:
        await asked_for_a_file(one)
        tried = []

        async def upload(*_: Any) -> None:
            tried.append(1)
            raise error or DeliveryUncertain("x", code="http-500")

        monkeypatch.setattr(LiveAgent, "upload", upload)
        saying = asyncio.create_task(one.say("", delivery_id="t1", files=(photo,)))
        for at in range(sending_module.MOST_UPLOADS):
            await until(lambda at=at: len(tried) > at and one.kept.upload and one.kept.upload.times > at)
            passed(one, sending_module.OUTCOME_S + 1)
        await saying
        await one.say("v0")

    assert [each[:15] for each in one.heard()] == ["photo.png: http", "v0"]


async def test_outcome_of_an_earlier_request_is_not_that_of_this_one(photo: TurnFile) -> None:
    async with alone() as one:
        await asked_for_a_file(one)
        one.desk.push(one.sid, "FileTransfer", type="Canceled", fileToken="of-the-one-before")
        one.desk.say(one.sid, "a0")
        await until(lambda: ("Alex Agent", "a0") in one.words())
        await one.say("", delivery_id="t1", files=(photo,))

    assert len(one.of_kind("file")) == 1


async def test_turn_of_many_parts_arrives_once_however_often_it_is_given() -> None:
    files = tuple(TurnFile(f"f{n}", f"{n}.png", f"https://files.invalid/{n}", "image/png", 4) for n in range(20))
    async with alone(longest_text=100) as one:
        await one.begin()
        await one.accepted()
        for skip in range(0, 16, 3):
            one.sf.wish({"fail_next": [{"on": "post", "status": 429, "skip": skip}]})
        await one.say("0123456789 " * 90, delivery_id="t1", files=files)
        await one.say("v0")

    assert "".join(one.heard()).count("0123456789") == 90
    assert [line.split(":")[0] for line in "\n".join(one.heard()).split("\n") if "https" in line] == [
        f"{n}.png" for n in range(20)
    ]
    assert one.heard()[-1] == "v0"
