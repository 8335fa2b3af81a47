"""Frames of the realtime connection: what is believed at once, what is old news, and what makes us read the room."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.directory import Directory
from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.derive_live import derive_live
from omnibridge.rocketchat.derive_read import derive_history
from omnibridge.rocketchat.realtime.frames import Change, read_frame
from omnibridge.rocketchat.realtime.translate import LiveReading, read_live
from omnibridge.rocketchat.reconcile import RoomHistory
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.routing.router import route
from omnibridge.routing.rules import RuleSet
from tests.unit.rocketchat import views
from tests.unit.rocketchat.realtime import frames

BOT, ALICE, BOB = UserRef("botId", "bot"), UserRef("aliceId", "alice"), UserRef("bobId", "bob")
BOB_RAW = {"_id": "bobId", "username": "bob"}
SERVED = {"served_by": ALICE, "service_at": 1000}


view = partial(views.view, department="d1")


def read(raw: bytes) -> LiveReading:
    frame = read_frame(raw)
    assert isinstance(frame, Change)
    return read_live(frame.kind, frame.room, frame.raw)


def said(kind: str, agent: Any = frames.ALICE, at: int = 2000, **fields: Any) -> bytes:
    return frames.message(t=kind, u=agent, ts={"$date": at}, **fields)


def moved(scope: str, at: int = 2000, **data: Any) -> bytes:
    return said("livechat_transfer_history", at=at, transferData={"scope": scope, **data})


def pushed(at: int, agent: Any = frames.ALICE, **fields: Any) -> bytes:
    return frames.room_changed(servedBy={**agent, "ts": {"$date": at}}, departmentId="d1", **fields)


TO_D2 = {"previousDepartment": "d1", "nextDepartment": {"_id": "d2"}}


@pytest.mark.parametrize(
    ("raw", "known", "service", "reads"),
    [
        # Fits what is known: follows at once.
        (said("uj"), {}, ["AgentAssigned"], False),
        (said("command", msg="connected"), {}, ["AgentAssigned"], False),
        (said("ul"), SERVED, ["AgentUnassigned"], False),
        (said("uj"), {"emptied": True, "service_at": 1500}, ["AgentAssigned"], False),
        (moved("queue"), SERVED, ["AgentUnassigned", "ConversationQueued"], False),
        (moved("queue"), {}, ["ConversationQueued"], False),
        (moved("department", **TO_D2), SERVED, ["ConversationTransferred"], False),
        (pushed(2000), {}, ["AgentAssigned"], False),
        (pushed(2000, BOB_RAW), SERVED, ["AgentUnassigned", "AgentAssigned"], False),
        # Equal, or told before: nothing.
        (said("uj", at=9000), SERVED, [], False),
        (said("ul"), {"served_by": BOB, "service_at": 1000}, [], False),
        (said("ul"), {}, [], False),
        (moved("queue"), {"queued": True}, [], False),
        (moved("department", **TO_D2), {"department": "d2"}, [], False),
        (pushed(9000), SERVED, [], False),
        # Older than what is known: recorded, nothing else.
        (said("uj", at=1499), {"emptied": True, "service_at": 1500}, [], False),
        (said("uj", BOB_RAW, 999), SERVED, [], False),
        (said("ul", at=999), SERVED, [], False),
        (moved("queue", at=999), SERVED, [], False),
        (pushed(999, BOB_RAW), SERVED, [], False),
        # Contradicts, or has no time to compare with: the room is read.
        (said("uj", BOB_RAW), SERVED, [], True),
        (said("uj"), {"emptied": True}, [], True),
        (said("ul"), {"served_by": ALICE}, [], True),
        (frames.message(t="ul", u=frames.ALICE, ts=None), SERVED, [], True),
        (moved("queue"), {"served_by": ALICE}, [], True),
        (moved("department", **TO_D2), {"department": "d3"}, [], True),
        (pushed(2000, BOB_RAW), {"served_by": ALICE}, [], True),
        (pushed(2000), {"emptied": True}, [], True),
        (frames.room_changed(departmentId="d1"), SERVED, [], True),
        (frames.room_changed(departmentId="d2"), {}, [], True),
        (frames.room_changed(open=False), SERVED, [], True),
        (frames.room_changed(servedBy=BOB_RAW), SERVED, [], True),
        # An inquiry tells of waiting, and nothing of since when.
        (frames.inquiry("added"), {}, [], False),
        (frames.inquiry("added"), SERVED, [], True),
        (frames.inquiry("removed"), SERVED, [], False),
        (frames.inquiry("changed", status="taken"), {}, [], True),
        (frames.inquiry("added", status="verifying"), SERVED, [], False),
        # Nothing of this moves a closed room.
        (said("uj"), {"closed": True}, [], False),
        (frames.inquiry("removed"), {"closed": True}, [], False),
    ],
)
def test_reports_of_service(raw: bytes, known: Any, service: list[str], reads: bool) -> None:
    derivation = derive_live(read(raw), view(**known))

    assert [type(each.event).__name__ for each in derivation.events] == service
    assert all(each.key == "" for each in derivation.events)
    assert derivation.needs_room_read is reads


def test_one_agent_after_another_by_frames_alone() -> None:
    """The state that the router keeps is the state that the next frame is compared with."""
    state = Conversation("w", "r1", started=True, department="d1")
    happened: list[tuple[str, str]] = []
    forward = [said("ul", at=1500), said("uj", BOB_RAW, 1500)]
    back = [moved("queue", at=1700), said("ul", BOB_RAW, 1700)]
    late = [said("uj", at=1000), said("ul", at=1500), said("uj", BOB_RAW, 1500), moved("queue", at=1700)]

    for raw in (said("uj", at=1000), *forward, *late[:3], *back, *late):
        known = view(
            served_by=state.served_by,
            emptied=state.vacated,
            service_at=state.service_at,
            queued=state.queued,
        )
        derivation = derive_live(read(raw), known)
        assert not derivation.needs_room_read
        for each in derivation.events:
            state = route(state, each.event, RuleSet(), Directory(), 0).after
            agent = getattr(each.event, "agent", None)
            happened.append((type(each.event).__name__, agent.username if agent else ""))

    assert happened == [
        ("AgentAssigned", "alice"),
        ("AgentUnassigned", "alice"),
        ("AgentAssigned", "bob"),
        ("AgentUnassigned", "bob"),
        ("ConversationQueued", ""),
    ]


def test_words_have_the_keys_of_webhooks() -> None:
    def keys(raw: bytes) -> list[str]:
        return [each.key for each in derive_live(read(raw), view()).events]

    assert keys(frames.message()) == ["msg:m1"]
    assert keys(frames.message(editedAt={"$date": 1500})) == ["msg:m1", "edit:m1:1500"]
    assert keys(frames.message(_id="seen", editedAt={"$date": 1500})) == ["edit:seen:1500"]
    assert keys(frames.message(_id="ours", u=frames.BOT)) == []
    assert keys(frames.message(_id="ours")) == ["msg:ours"]  # a visitor chooses his ids: this is no echo
    assert keys(frames.message(t="rm", editedAt={"$date": 1500})) == ["del:m1"]
    assert keys(frames.of_room("deleteMessage", {"_id": "m1"})) == ["del:m1"]
    assert keys(frames.message(t="livechat-close")) == ["close"]
    assert keys(frames.room_changed(open=False, closedAt={"$date": 5})) == ["close"]


@pytest.mark.parametrize(
    ("author", "kind"), [(frames.VISITOR, "visitor"), (frames.ALICE, "agent"), (frames.BOT, "bot")]
)
def test_who_wrote(author: Any, kind: str) -> None:
    [found] = derive_live(read(frames.message(u=author)), view()).events

    assert isinstance(found.event, ev.MessagePosted)
    assert (found.event.author, found.event.text, found.event.ts, found.event.late) == (kind, "hi", 1000, False)


@pytest.mark.parametrize(
    "raw",
    [
        frames.message(),
        said("uj"),
        frames.inquiry("added"),
        frames.message(t="livechat-close"),
        frames.of_room("deleteMessage", {"_id": "m1"}),
    ],
)
def test_of_an_unknown_room_nothing_is_said(raw: bytes) -> None:
    """And no read is asked of the outbox, whose rows belong to conversations."""
    derivation = derive_live(read(raw), view(known=False))

    assert (derivation.events, derivation.needs_room_read) == ((), False)


def test_a_room_that_was_read_before_service_changed_is_read_again() -> None:
    asked_when_alice_served = RoomHistory(RoomInfo("r1", True, ALICE, department="d1"), (), known_server="aliceId")

    overtaken = derive_history(asked_when_alice_served, view(served_by=BOB, service_at=2000))

    assert (overtaken.events, overtaken.needs_room_read) == ((), True)
    assert not derive_history(asked_when_alice_served, view(served_by=ALICE)).needs_room_read


def test_the_visitors_record_begins_a_conversation_as_a_webhook_would() -> None:
    room = RoomInfo("r1", True, visitor_id="v1", visitor_email="v@x.org", visitor_fields={"tier": "gold"})

    first = derive_history(RoomHistory(room, ()), view(known=False)).events[0].event

    assert isinstance(first, ev.ConversationStarted)
    assert (first.visitor_email, first.visitor_fields) == ("v@x.org", {"tier": "gold"})
