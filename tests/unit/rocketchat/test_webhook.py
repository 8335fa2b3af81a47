"""Webhook bodies of 6.14, 7.x and 8.x: what is read, and what follows from it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.domain import events as ev
from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.derive import derive
from omnibridge.rocketchat.derive_read import derive_room_read
from omnibridge.rocketchat.rooms import RoomInfo, read_room
from omnibridge.rocketchat.webhook import check_depth, peek, read_webhook
from tests.unit.rocketchat import views

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))
BOT, ALICE = UserRef("botId", "bot"), UserRef("aliceId", "alice")


view = partial(views.view, served_by=BOT)


def body(kind: str, **fields: Any) -> bytes:
    visitor = {"_id": "v1", "username": "guest-1", "name": "Vera", "token": "t"}
    return json.dumps({"_id": "r1", "type": kind, "visitor": visitor, "messages": [], **fields}).encode()


def message(text: str = "hello", **fields: Any) -> dict[str, Any]:
    author = {"_id": "v1", "username": "guest-1"}
    return {"u": author, "_id": "m1", "username": "guest-1", "msg": text, "ts": "2026-11-21T10:00:00.000Z", **fields}


def kinds(raw: bytes, **known: Any) -> list[str]:
    return [type(each.event).__name__ for each in derive(read_webhook(raw), view(**known)).events]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture_is_read_and_leads_to_its_events(path: Path) -> None:
    fixture = json.loads(path.read_text("utf-8"))
    reading = read_webhook(json.dumps(fixture["body"]).encode())

    assert reading.problem == ""
    assert reading.acted_on is fixture["acted_on"]
    fresh = view(known=False, served_by=None)
    derived = [type(each.event).__name__ for each in derive(reading, fresh).events] if reading.acted_on else []
    assert derived == fixture["events"]


def test_sample_of_webhook_test_is_told_from_a_real_end() -> None:
    strings = {"_id": "", "username": "visitor-username", "email": "email@address.com", "phone": "1"}
    lists = {**strings, "email": [{"address": "email@address.com"}], "phone": [{"phoneNumber": "1"}]}
    sample = read_webhook(body("LivechatSession", visitor=strings))
    ends = [
        read_webhook(body("LivechatSession", visitor=lists)),
        read_webhook(body("LivechatSession", visitor=strings, closedAt="2026-11-21T10:05:00.000Z")),
    ]

    assert (sample.acted_on, sample.note) == (False, "webhook test")
    assert [each.acted_on for each in ends] == [True, True]


def test_unknown_room_starts_first() -> None:
    assert kinds(body("Message", messages=[message()]), known=False, served_by=None) == [
        "ConversationStarted",
        "MessagePosted",
    ]


def test_visitor_and_agent_are_told_apart() -> None:
    mine = derive(read_webhook(body("Message", messages=[message()])), view()).events[0].event
    assert isinstance(mine, ev.MessagePosted)
    theirs = message(u={"_id": "aliceId", "username": "alice"}, username="alice", agentId="aliceId")
    agents = derive(read_webhook(body("Message", messages=[theirs])), view()).events[0].event
    assert isinstance(agents, ev.MessagePosted)

    assert (mine.author, agents.author, mine.ts) == ("visitor", "agent", 1795255200000)


def test_echo_is_by_id_never_by_author() -> None:
    ours = message(u={"_id": "botId", "username": "bot"}, username="bot", agentId="botId", _id="ours")
    foreign = {**ours, "_id": "foreign"}

    assert kinds(body("Message", messages=[ours])) == []
    assert kinds(body("Message", messages=[foreign])) == ["MessagePosted"]
    assert kinds(body("Message", messages=[message(_id="ours")])) == ["MessagePosted"]


def test_edit_of_an_unseen_message_posts_it_too() -> None:
    edit = {"editedAt": "2026-11-21T10:01:00.000Z"}

    assert kinds(body("Message", messages=[message(_id="seen", **edit)])) == ["MessageEdited"]
    assert kinds(body("Message", messages=[message(_id="new", **edit)])) == ["MessagePosted", "MessageEdited"]


@pytest.mark.parametrize(
    ("kind", "fields", "served_by", "events", "reads"),
    [
        ("LivechatSessionTaken", {"agent": {"_id": "botId"}}, None, ["AgentAssigned"], False),
        ("LivechatSessionTaken", {"agent": {"_id": "botId"}}, BOT, [], False),
        ("LivechatSessionTaken", {"agent": {"_id": "aliceId"}}, BOT, [], True),
        ("LivechatSessionQueued", {}, None, ["ConversationQueued"], False),
        ("LivechatSessionQueued", {}, BOT, [], True),
        ("LivechatSessionForwarded", {"agent": {"_id": "aliceId"}}, BOT, [], True),
        ("LivechatSessionForwarded", {"departmentId": "d2"}, None, ["ConversationTransferred"], False),
        ("LivechatSession", {"agent": {"_id": "x"}}, BOT, ["ConversationClosed"], False),
        ("LivechatSessionStart", {}, BOT, [], False),
    ],
)  # fmt: skip
def test_assignment_is_state(kind: str, fields: Any, served_by: Any, events: list[str], reads: bool) -> None:
    derivation = derive(read_webhook(body(kind, **fields)), view(served_by=served_by))

    assert [type(each.event).__name__ for each in derivation.events] == events
    assert derivation.needs_room_read is reads


@pytest.mark.parametrize(
    ("room", "served_by", "events"),
    [
        (RoomInfo("r", True, ALICE), BOT, ["AgentUnassigned", "AgentAssigned"]),
        (RoomInfo("r", True, BOT), BOT, []),
        (RoomInfo("r", True), BOT, ["AgentUnassigned", "ConversationQueued"]),
        (RoomInfo("r", True, ALICE), None, ["AgentAssigned"]),
        (RoomInfo("r", False), BOT, ["ConversationClosed"]),
    ],
)
def test_room_read_decides(room: RoomInfo, served_by: Any, events: list[str]) -> None:
    derivation = derive_room_read(room, view(served_by=served_by))

    assert [type(each.event).__name__ for each in derivation.events] == events


def test_nothing_happens_in_a_closed_room() -> None:
    assert derive_room_read(RoomInfo("r", True, ALICE), view(closed=True)).events == ()
    assert kinds(body("LivechatSessionTaken", agent={"_id": "aliceId"}), closed=True) == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"type":"Message","_id":"r"}', ("Message", "r")),
        (b'{"type":7}', ("", "")),
        (b"[1]", ("", "")),
        (b"\xff", ("", "")),
        (b'{"_id":{"a":1},"type":null}', ("", "")),
    ],
)
def test_peek_never_raises(raw: bytes, expected: tuple[str, str]) -> None:
    assert peek(raw) == expected


def test_depth_counts_brackets_outside_strings() -> None:
    assert check_depth(b'{"a":' + b"[" * 63 + b"]" * 63 + b"}")
    assert not check_depth(b'{"a":' + b"[" * 64 + b"]" * 64 + b"}")
    assert check_depth(b'{"a":"' + b"[" * 500 + b'\\"' + b"[" * 500 + b'"}')


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = (
    LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(st.sampled_from(["_id", "u", "ts"]), LEAVES, max_size=2)
)
KEYS = ["_id", "visitor", "agent", "messages", "closedAt", "customFields", "departmentId", "message"]
TYPES = ["Message", "LivechatSession", "LivechatSessionTaken", "LivechatOfflineMessage", "New", 3]


@given(
    st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), VALUES | st.lists(VALUES, max_size=2), max_size=4)
)
def test_any_object_is_read_without_raising(kind: Any, fields: dict[str, Any]) -> None:
    reading = read_webhook(json.dumps({"type": kind, **fields}).encode())

    assert reading.problem or reading.kind == (kind if isinstance(kind, str) else "")


def test_room_without_open_is_closed() -> None:
    assert not read_room({"_id": "r"}).open
    assert read_room({"_id": "r", "open": True, "servedBy": {"_id": "a", "username": "alice"}}).served_by == UserRef(
        "a", "alice"
    )
