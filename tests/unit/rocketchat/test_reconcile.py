"""Comparing rooms and histories with what is known, and the events that follow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.derive import View
from omnibridge.rocketchat.derive_read import derive_history
from omnibridge.rocketchat.reconcile import (
    Known,
    RoomHistory,
    differs,
    hub_clock_ms,
    is_before,
    missing,
    needs_history,
)
from omnibridge.rocketchat.rooms import HubMessage, RoomInfo, read_room

BOT, ALICE = UserRef("botId", "bot"), UserRef("aliceId", "alice")
ROOM = RoomInfo("r", True, BOT, visitor_id="v", created_at_ms=100, served_at_ms=100, last_message_at_ms=500)
CLOSED = msgspec.structs.replace(ROOM, open=False, closed_at_ms=900, closer="visitor")


def room(**changes: Any) -> RoomInfo:
    return msgspec.structs.replace(ROOM, **changes)


def said(identity: str, at: int, author: str = "v", **more: Any) -> HubMessage:
    return HubMessage(identity, "r", f"text of {identity}", at, author, author, author == "v", **more)


def view(*, known: bool = True, closed: bool = False, served_by: UserRef | None = BOT, seen: str = "") -> View:
    return View(
        known,
        closed,
        served_by,
        "",
        {"botId": "helper"},
        lambda each: each == "ours",
        lambda each: each in seen.split(),
    )


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        (ROOM, Known(False, "botId", ""), False),
        (ROOM, Known(False, "", ""), True),
        (room(served_by=None, served_at_ms=0), Known(False, "botId", ""), True),
        (room(served_by=ALICE, served_at_ms=1000), Known(False, "botId", ""), True),
        (room(served_by=ALICE, served_at_ms=1001), Known(False, "botId", ""), False),  # its webhook is on its way
        (room(department="d"), Known(False, "botId", ""), True),
        (ROOM, Known(False, "botId", "d"), False),  # a list without a department tells nothing
        (CLOSED, Known(False, "botId", ""), True),
        (CLOSED, Known(True, "", ""), False),
        (ROOM, Known(True, "", ""), False),  # closed since the list was made
        (ROOM, None, True),
        (room(created_at_ms=1001), None, False),
        (msgspec.structs.replace(CLOSED, created_at_ms=1001), None, True),
    ],
)
def test_which_rooms_differ(found: RoomInfo, known: Known | None, expected: bool) -> None:
    assert differs(found, known, 1000) is expected


def test_silent_rooms_need_no_history() -> None:
    assert [needs_history(ROOM, each) for each in (499, 500)] == [True, False]
    assert is_before(ROOM, 500)
    assert not is_before(ROOM, 99)
    assert not is_before(ROOM, 499)


class Told:
    """ids: what was posted. edits: whose edits we know. ours: id of our words -> of what they answer."""

    def __init__(self, ids: str = "", edits: str = "", **ours: str) -> None:
        self._ids, self._edits, self._ours = ids.split(), edits.split(), ours

    def is_posted(self, message: HubMessage) -> bool:
        return message.id in self._ids or message.id in self._ours

    def is_edited(self, message: HubMessage) -> bool:
        return message.id in self._edits

    def answers(self, message_id: str) -> str | None:
        return self._ours.get(message_id)


def lacking(history: list[HubMessage], told: Told, found: RoomInfo = ROOM) -> tuple[list[str], int, int]:
    result = missing(history, found, told, 10, 1000)
    return [each.id for each in result.messages], result.answered_at_ms, result.n_young


@pytest.mark.parametrize(
    ("history", "told", "expected"),
    [
        ([], Told(), ([], 0, 0)),
        ([said("b", 12), said("a", 11)], Told(), (["a", "b"], 0, 0)),
        ([said("a", 11), said("b", 12)], Told("a"), (["b"], 0, 0)),
        ([said("a", 11), said("b", 12)], Told("a b"), ([], 0, 0)),
        # Up to the mark everything was compared; after the settling time a report may come.
        ([said("a", 10), said("b", 11)], Told(), (["b"], 0, 0)),
        ([said("a", 1000), said("b", 1001)], Told(), (["a"], 0, 1)),
        ([said("b", 1001)], Told(), ([], 0, 1)),
        # Answers: of others when they were written, our own for what they answer.
        ([said("a", 11), said("x", 12, "aliceId")], Told("x"), (["a"], 12, 0)),
        ([said("x", 11, "aliceId"), said("a", 12)], Told("x"), (["a"], 11, 0)),
        ([said("a", 11), said("x", 1001, "aliceId")], Told("x"), (["a"], 1001, 0)),  # young, but it answers
        ([said("a", 11), said("b", 12), said("x", 13, "botId")], Told("b", x="b"), (["a"], 12, 0)),
        ([said("b", 11), said("a", 12), said("x", 13, "botId")], Told("b", x="b"), (["a"], 11, 0)),
        ([said("a", 12), said("x", 13, "botId")], Told(x="long ago"), (["a"], 0, 0)),
        ([said("a", 12), said("x", 13, "botId")], Told(x=""), (["a"], 0, 0)),  # a notice, a welcome
        # System messages are nobody's words.
        ([said("a", 11, system_type="livechat-started")], Told(), ([], 0, 0)),
        ([said("a", 11), said("u", 12, "aliceId", system_type="uj")], Told(), (["a"], 0, 0)),
        # Edits: of what we know, as far as we do not know the edit; old messages of a time before us stay there.
        ([said("a", 11, edited_at_ms=20)], Told("a"), (["a"], 0, 0)),
        ([said("a", 11, edited_at_ms=20)], Told("a", "a"), ([], 0, 0)),
        ([said("a", 5, edited_at_ms=20)], Told(), ([], 0, 0)),
    ],
)
def test_what_is_missing(history: list[HubMessage], told: Told, expected: Any) -> None:
    assert lacking(history, told) == expected


def test_nothing_is_young_in_a_closed_room() -> None:
    assert lacking([said("a", 11), said("b", 5000)], Told(), CLOSED) == (["a", "b"], 0, 0)


@pytest.mark.parametrize(
    ("told", "expected"), [(None, 10_000), (9_000, 10_000), (7_000, 7_000), (11_000, 11_000), (10_000, 10_000)]
)
def test_clock_of_the_hub(told: int | None, expected: int) -> None:
    assert hub_clock_ms(told, 10_000) == expected


def names(read: RoomHistory, seen_by: View) -> list[str]:
    return [type(each.event).__name__ for each in derive_history(read, seen_by).events]


def test_unknown_room_begins_is_served_and_speaks() -> None:
    found = derive_history(RoomHistory(ROOM, (said("a", 1), said("b", 2))), view(known=False, served_by=None))

    assert [each.key for each in found.events] == ["start", "", "msg:a", "msg:b", "recovered:b"]
    posted = found.events[2].event
    assert isinstance(posted, ev.MessagePosted)
    assert (posted.late, posted.recovered, posted.author, posted.ts) == (True, True, "visitor", 1)
    recovered = found.events[4].event
    assert isinstance(recovered, ev.MessagesRecovered)
    assert [each.text for each in recovered.messages] == ["text of a", "text of b"]


def test_order_is_start_service_messages_close() -> None:
    read = RoomHistory(CLOSED, (said("a", 1),))

    assert names(read, view(known=False, served_by=None)) == [
        "ConversationStarted", "AgentAssigned", "MessagePosted", "MessagesRecovered", "ConversationClosed",
    ]  # fmt: skip
    recovered = derive_history(read, view()).events[-2].event
    assert isinstance(recovered, ev.MessagesRecovered)
    assert recovered.closed


def test_change_of_service_comes_before_the_messages() -> None:
    read = RoomHistory(room(served_by=ALICE), (said("a", 1),), known_server="botId")

    assert names(read, view()) == ["AgentUnassigned", "AgentAssigned", "MessagePosted", "MessagesRecovered"]


def test_answer_that_is_older_than_what_we_know_by_now_is_not_believed() -> None:
    read = RoomHistory(ROOM, (said("a", 1),), known_server="botId")
    derivation = derive_history(read, view(served_by=ALICE))

    assert [each.key for each in derivation.events] == ["msg:a", "recovered:a"]
    assert derivation.needs_room_read


def test_reported_meanwhile_is_left_out() -> None:
    read = RoomHistory(ROOM, (said("a", 1), said("b", 2)), known_server="botId")

    assert [each.key for each in derive_history(read, view(seen="a")).events] == ["msg:b", "recovered:b"]
    assert derive_history(read, view(seen="a b")).events == ()


def test_words_of_others_are_recorded_and_our_own_are_not() -> None:
    read = RoomHistory(ROOM, (said("ours", 1, "botId"), said("x", 2, "botId"), said("y", 3, "aliceId")), 0, "botId")
    found = derive_history(read, view())

    assert [(each.key, each.event.author) for each in found.events if isinstance(each.event, ev.MessagePosted)] == [
        ("msg:x", "bot"),
        ("msg:y", "agent"),
    ]


def test_visitor_who_took_an_id_of_ours_is_heard() -> None:
    read = RoomHistory(ROOM, (said("ours", 1),), known_server="botId")

    assert [each.key for each in derive_history(read, view()).events] == ["msg:ours", "recovered:ours"]


def test_edit_of_a_reported_message_is_news() -> None:
    read = RoomHistory(ROOM, (said("a", 1, edited_at_ms=7),), known_server="botId")

    assert [each.key for each in derive_history(read, view(seen="a")).events] == ["edit:a:7"]


def test_messages_of_a_room_known_as_closed_are_recorded() -> None:
    assert names(RoomHistory(CLOSED, (said("a", 1),)), view(closed=True, served_by=None)) == [
        "MessagePosted",
        "MessagesRecovered",
    ]


def test_room_tells_when_it_was_last_written_in_and_taken() -> None:
    read = read_room(
        {
            "_id": "r",
            "lm": "2026-01-01T00:00:01.000Z",
            "lastMessage": {"ts": "2026-01-01T00:00:02.000Z"},
            "servedBy": {"_id": "a", "ts": "2026-01-01T00:00:03.000Z"},
        }
    )

    assert (read.last_message_at_ms % 60_000, read.served_at_ms % 60_000) == (2000, 3000)
    assert read_room({"_id": "r", "lastMessage": "odd", "servedBy": 7}).last_message_at_ms == 0


def test_desk_gets_what_a_gap_swallowed_although_something_was_said_since() -> None:
    """People read all of it; only a bot would be confused by an old question."""
    read = RoomHistory(ROOM, (said("a", 1), said("b", 2)), 9, "botId")
    desk = msgspec.structs.replace(view(), has_desk=True)
    keys = [[each.key for each in derive_history(read, known).events] for known in (view(), desk)]
    recovered = derive_history(read, desk).events[-1].event

    assert keys == [["found:a", "found:b", "recovered:b"], ["msg:a", "msg:b", "recovered:b"]]
    assert isinstance(recovered, ev.MessagesRecovered)
    assert recovered.answered_at == 0


def test_what_was_found_before_the_desk_had_it_is_not_given_to_it_again() -> None:
    read = RoomHistory(ROOM, (said("a", 1), said("b", 2)), 9, "botId")
    desk = msgspec.structs.replace(view(), has_desk=True, was_found=lambda each: each == "a")

    assert [each.key for each in derive_history(read, desk).events] == ["msg:b", "recovered:b"]
