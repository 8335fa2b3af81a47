"""Envelopes of the companion app: what follows at once, what is known already, and what makes us read the room."""

from __future__ import annotations

import json
import random
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibridge.domain import events as ev
from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.app_events import ACTED_ON, AppReading, peek_app, read_app
from omnibridge.rocketchat.derive_app import derive_app
from tests.unit.rocketchat import views
from tests.unit.rocketchat.envelopes import ALICE, BOB, envelope, message, room
from tests.unit.rocketchat.test_mixture import (
    STORIES,
    Bridge,
    carried,
    check_nothing_is_made_up,
    check_order,
    history,
    told,
    truth,
)

EDITED = {"editedAt": "2026-01-31T12:00:00.5Z"}
POSTED = envelope("message.posted", message=message())
view = partial(views.view, department="d1")
A, B = UserRef("aliceId", "alice", "Alice"), UserRef("bobId", "bob", "Bob")


@pytest.mark.parametrize(
    ("raw", "known", "follows", "reads"),
    [
        # Fits what is known: follows at once.
        (envelope("agent.assigned", agent=ALICE), {}, ["AgentAssigned"], False),
        (POSTED, {}, ["MessagePosted"], False),
        (envelope("message.posted", message=message(u=ALICE)), {"served_by": A}, ["MessagePosted"], False),
        (envelope("message.updated", message=message("seen", **EDITED)), {}, ["MessageEdited"], False),
        (envelope("message.updated", message=message(**EDITED)), {}, ["MessagePosted", "MessageEdited"], False),
        (envelope("message.deleted", message=message()), {}, ["MessageDeleted"], False),
        (envelope("room.closed", room=room(open=False, closer="visitor")), {}, ["ConversationClosed"], False),
        # Equal, ours or over: nothing.
        (envelope("agent.assigned", agent=ALICE), {"served_by": A}, [], False),
        (envelope("agent.unassigned", agent=ALICE), {}, [], False),
        (envelope("agent.unassigned", agent=ALICE), {"served_by": B}, [], False),
        (envelope("agent.assigned", agent=ALICE), {"closed": True}, [], False),
        (envelope("room.started"), {}, [], False),
        (envelope("room.transferred", scope="department", to={"_id": "d1"}), {}, [], False),
        (envelope("room.transferred", scope="agent", to=BOB), {"served_by": A}, [], False),
        (envelope("message.posted", message=message("ours", u=BOB)), {}, [], False),
        (envelope("message.posted", message=message(t="livechat-close")), {}, [], False),
        (envelope("message.updated", message=message()), {}, [], False),
        # Contradicts, or may be of long ago: one read.
        (envelope("agent.assigned", agent=BOB), {"served_by": A}, [], True),
        (envelope("agent.assigned", agent=BOB), {"emptied": True}, [], True),
        (envelope("agent.unassigned", agent=ALICE), {"served_by": A}, [], True),
        (envelope("room.transferred", scope="department", to={"_id": "d2"}), {}, [], True),
        # A room that we do not know begins with what the app tells of it.
        (envelope("room.started"), {"known": False}, ["ConversationStarted"], False),
        (POSTED, {"known": False}, ["ConversationStarted", "MessagePosted"], False),
        (envelope("message.posted", message=message(), room=room(servedBy=ALICE)), {"known": False},
            ["ConversationStarted", "AgentAssigned", "MessagePosted"], False),
        (envelope("agent.unassigned", agent=ALICE, room=room(servedBy=BOB)), {"known": False},
            ["ConversationStarted"], False),
        (envelope("room.closed"), {"known": False}, ["ConversationStarted", "ConversationClosed"], False),
        (envelope("agent.assigned", agent=ALICE, room=None), {"known": False}, [], True),
    ],
)  # fmt: skip
def test_envelope(raw: bytes, known: dict[str, Any], follows: list[str], reads: bool) -> None:
    reading = read_app(raw)
    found = derive_app(reading, view(**known))

    assert reading.problem == ""
    assert [ev.kind_of(each.event) for each in found.events] == follows
    assert found.needs_room_read == reads
    assert follows or found.note


def test_s2_17_start_before_routing_has_no_agent_and_all_that_rules_read() -> None:
    (found,) = derive_app(read_app(envelope("room.started")), view(known=False)).events

    assert found.key == "start"
    assert found.event == ev.ConversationStarted(
        visitor_id="v1", visitor_name="Ann", visitor_username="guest", visitor_email="a@example.com", department="d1",
        room_fields={"order": "17"}, visitor_fields={"tier": "gold"}, source="widget", at=1000,
    )  # fmt: skip


def test_words_have_the_keys_of_other_sources() -> None:
    edited = message("seen", "hullo", editedAt="1970-01-01T00:00:05.000Z")
    keys = [
        each.key
        for raw in (
            envelope("message.posted", message=message("m7")),
            envelope("message.updated", message=edited),
            envelope("message.deleted", message=message("m7")),
            envelope("room.closed"),
        )
        for each in derive_app(read_app(raw), view()).events
    ]

    assert keys == ["msg:m7", "edit:seen:5000", "del:m7", "close"]


def test_authors_are_told_by_the_visitors_token_not_by_names() -> None:
    by = [message("a"), message("b", u=ALICE), message("c", u={"_id": "botId", "username": "bot"})]
    found = [derive_app(read_app(envelope("message.posted", message=each)), view()).events[0].event for each in by]

    assert [each.author for each in found if isinstance(each, ev.MessagePosted)] == ["visitor", "agent", "bot"]


@pytest.mark.parametrize("kind", ["guest.saved", "department.removed", "outbox.dropped", "new.one"])
def test_recorded_only(kind: str) -> None:
    reading = read_app(envelope(kind, rid=""))

    assert (reading.problem, bool(reading.note)) == ("", True)


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'{"type": "message.posted"}',
        envelope("message.posted", message={}),
        envelope("message.posted", message=message(rid="r2")),
        envelope("message.posted", message=message(), room=room("r2")),
        envelope("agent.assigned"),
        envelope("agent.assigned", agent="alice"),
        envelope("interaction"),
        envelope("interaction", user=ALICE, message=message("ours")),
        envelope("interaction", action_id="a", message=message("ours")),
        envelope("interaction", action_id="a", user={"name": "nobody"}, message=message("ours")),
        envelope("interaction", action_id="a", user=ALICE, message=message("ours", rid="r2")),
    ],
)
def test_what_cannot_be_read_is_told(raw: bytes) -> None:
    assert read_app(raw).problem


NAMES = ["_id", "v", "u", "emails", "room", "message", "scope", "to", "agent", "servedBy"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(NAMES), each, max_size=4),
    max_leaves=12,
)


@given(ANYTHING, st.sampled_from(sorted(ACTED_ON)))
def test_any_leaf_may_be_of_any_type(data: Any, kind: str) -> None:
    raw = json.dumps({"type": kind, "rid": "r1", "data": data, "at": data}).encode()
    reading = read_app(raw)

    assert isinstance(reading, AppReading)
    assert peek_app(raw) == (kind, "r1")
    if not reading.problem:
        derive_app(reading, view())
        derive_app(reading, view(known=False))


DROPS = st.sampled_from([0.0, 0.1, 0.4])
MIXTURES = [{"app"}, {"app", "webhook"}, {"app", "ddp"}, {"app", "webhook", "ddp"}]


@settings(max_examples=300, derandomize=True)
@given(
    STORIES,
    st.integers(0, 2**32),
    DROPS,
    st.sampled_from([0.0, 0.3]),
    st.sampled_from(MIXTURES),
)
def test_s2_14_and_15_app_with_other_sources_gives_one_history(
    actions: list[tuple[str, int, int]], seed: int, drop: float, twice: float, sources: set[str]
) -> None:
    story = told(actions)
    bridge = carried(story, sources, random.Random(seed), drop, twice)

    check_order(bridge)
    if sources != {"app", "webhook"}:
        check_nothing_is_made_up(bridge)
    assert history(bridge) == truth(story)
    if not drop and "webhook" not in sources:
        assert bridge.told == truth(story)


def test_app_reports_are_in_the_stories() -> None:
    """A guard of the one above."""
    acts = ["assign", "visitor", "assign", "edit", "delete", "department", "close"]
    story = told([(each, number, 5) for number, each in enumerate(acts, 1)])
    kinds = [read_app(each.body).kind for each in story.reports if each.source == "app"]

    assert kinds == [
        "room.started", "agent.assigned", "message.posted", "agent.unassigned", "agent.assigned",
        "message.updated", "message.deleted", "agent.unassigned", "room.transferred", "room.closed",
    ]  # fmt: skip
    assert isinstance(carried(story, {"app"}, random.Random(1), 0, 0), Bridge)
