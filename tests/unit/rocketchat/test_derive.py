"""Late, doubled and contradicting reports: what is believed, and what makes us read the room."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.choices import match_choice
from omnibridge.domain.content import Card, Image, Option
from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.derive import derive
from omnibridge.rocketchat.derive_read import derive_room_read
from omnibridge.rocketchat.render import TITLE, render
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.rocketchat.split import LONGEST, split_text
from omnibridge.rocketchat.webhook import read_webhook
from tests.unit.rocketchat.views import view

BOT, ALICE = UserRef("botId", "bot"), UserRef("aliceId", "alice")
AGENT = {"_id": "aliceId", "username": "alice"}


def reading(kind: str, **fields: Any) -> Any:
    body = {"_id": "r1", "type": kind, "visitor": {"_id": "v1", "username": "guest-1"}, "messages": [], **fields}
    if kind == "Message":
        body["messages"] = [{"_id": "m1", "u": {"_id": "v1", "username": "guest-1"}, "msg": "hi"}]
    return read_webhook(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("kind", "fields", "known", "service", "reads"),
    [
        # Fills an empty state: believed, unless somebody has left and the report may be older.
        ("LivechatSessionTaken", {"agent": AGENT}, {}, ["AgentAssigned"], False),
        ("LivechatSessionForwarded", {"agent": AGENT}, {}, ["AgentAssigned"], False),
        ("LivechatSessionTaken", {"agent": AGENT}, {"emptied": True}, [], True),
        ("LivechatSessionForwarded", {"agent": AGENT}, {"emptied": True}, [], True),
        # 7.7.1 sends no Taken: the agent in a message counts, but only the room tells whether still.
        ("Message", {"agent": AGENT}, {}, [], True),
        ("Message", {"agent": AGENT}, {"known": False}, ["AgentAssigned"], False),
        # Nobody where we know somebody: the hub tells no other way that an agent left.
        ("Message", {}, {"served_by": ALICE}, [], True),
        ("LivechatSessionQueued", {}, {"served_by": ALICE}, [], True),
        ("LivechatSessionForwarded", {"departmentId": "d2", "oldDepartmentId": "d1"},
         {"served_by": ALICE, "department": "d1"}, [], True),
        # A start is told once and first: it is late, not news.
        ("LivechatSessionStart", {}, {"served_by": ALICE}, [], False),
        # Departments: a step from where we are is believed, any other leads to a read.
        ("LivechatSessionForwarded", {"departmentId": "d2", "oldDepartmentId": "d1"},
         {"department": "d1"}, ["ConversationTransferred"], False),
        ("LivechatSessionForwarded", {"departmentId": "d2", "oldDepartmentId": "d1"}, {"department": "d3"}, [], True),
        ("LivechatSessionForwarded", {"departmentId": "d2", "oldDepartmentId": "d1"}, {"department": "d2"}, [], False),
        ("LivechatSessionForwarded", {"departmentId": "d2", "oldDepartmentId": "d1", "agent": AGENT},
         {"department": "d1", "served_by": ALICE}, ["ConversationTransferred"], False),
        # Nothing of this moves a closed room.
        ("LivechatSessionTaken", {"agent": AGENT}, {"closed": True}, [], False),
        ("LivechatSessionQueued", {}, {"closed": True, "served_by": ALICE}, [], False),
    ],
)  # fmt: skip
def test_reports_of_service(kind: str, fields: Any, known: Any, service: list[str], reads: bool) -> None:
    derivation = derive(reading(kind, **fields), view(**known))

    of_state = [type(each.event).__name__ for each in derivation.events if not each.key]
    assert (of_state, derivation.needs_room_read) == (service, reads)


@pytest.mark.parametrize("agent", [{"_id": "botId"}, {"_id": "other", "username": "bot"}])
def test_bot_user_is_known_by_id_or_name(agent: dict[str, str]) -> None:
    [found] = derive(reading("LivechatSessionTaken", agent=agent), view()).events

    assert isinstance(found.event, ev.AgentAssigned)
    assert (found.event.is_bot, found.event.connection) == (True, "helper")


def test_repeats_have_the_same_keys() -> None:
    edit = {"_id": "m1", "u": {"_id": "v1", "username": "guest-1"}, "editedAt": "2026-11-21T10:00:00.000Z"}
    body = {"_id": "r1", "type": "Message", "visitor": {"_id": "v1", "username": "guest-1"}, "messages": [edit]}
    first, again = (derive(read_webhook(json.dumps(body).encode()), view(known=False)) for _ in range(2))

    assert first == again
    assert [each.key for each in first.events] == ["start", "msg:m1", "edit:m1:1795255200000"]
    closing = derive(reading("LivechatSession", closedAt="2026-11-21T10:00:00.000Z", closer="user"), view())
    assert [(each.key, each.event) for each in closing.events] == [
        ("close", ev.ConversationClosed("", "user", 1795255200000))
    ]


def test_offline_form_repeated_is_one_and_two_forms_are_two() -> None:
    def key(**fields: Any) -> str:
        form = {"type": "LivechatOfflineMessage", "visitor": {"name": "V", "email": "v@x"}, "message": "hi", **fields}
        return derive(read_webhook(json.dumps(form).encode()), view()).events[0].key

    sent = {"sentAt": "2026-11-21T10:00:00.000Z"}
    assert key(**sent) == key(**sent) != ""
    assert key(**sent) != key(**sent, message="ho")
    assert key() == ""


def test_recorded_only_leads_to_nothing_even_in_an_unknown_room() -> None:
    derivation = derive(reading("LivechatEdit"), view(known=False))

    assert (derivation.events, derivation.note) == ((), "LivechatEdit: a closed room was edited")


@pytest.mark.parametrize(
    ("room", "known", "events"),
    [
        (RoomInfo("r", True, ALICE, "d1"), {}, ["ConversationTransferred", "AgentAssigned"]),
        (RoomInfo("r", True, ALICE, "d2"), {"served_by": ALICE, "department": "d1"}, ["ConversationTransferred"]),
        (RoomInfo("r", True, None, "d1"), {"department": "d1"}, []),
        (RoomInfo("r", True, ALICE), {"known": False}, ["ConversationStarted", "AgentAssigned"]),
        (RoomInfo("r", True), {"known": False}, ["ConversationStarted", "ConversationQueued"]),
        (RoomInfo("r", False), {"known": False}, ["ConversationStarted", "ConversationClosed"]),
        (RoomInfo("r", True), {"closed": True}, []),
    ],
)
def test_room_read_is_the_truth(room: RoomInfo, known: Any, events: list[str]) -> None:
    derivation = derive_room_read(room, view(**known))

    assert [type(each.event).__name__ for each in derivation.events] == events
    assert not derivation.needs_room_read


# -- what the widget gets --------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "/relative.png", "ftp://x/y.png"])
def test_picture_that_the_hub_would_refuse_is_left_out_with_its_words_kept(url: str) -> None:
    """An attachment with such an address makes the hub refuse the whole message (5.5)."""
    assert [(each.text, each.attachments) for each in render(Image(url, "Cat")).messages] == [("Cat", ())]
    assert [(each.text, each.attachments) for each in render(Card("T", image_url=url)).messages] == [("*T*", ())]
    assert render(Image(url)) == ([], ("picture-address",))


def test_long_title_of_a_picture_is_words_of_its_own() -> None:
    first, second = render(Image("https://i", "x " * TITLE)).messages

    assert (first.attachments, len(second.attachments[0]["title"])) == ((), TITLE)


def test_length_is_counted_as_the_hub_does() -> None:
    pieces = split_text("\U0001f600" * LONGEST)

    assert [len(each.encode("utf-16-le")) // 2 for each in pieces] == [LONGEST, LONGEST]
    assert "".join(pieces) == "\U0001f600" * LONGEST


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("aaaa bb\n\ncc dd", ["aaaa bb", "cc dd"]),
        ("aaaa bb\ncc dd", ["aaaa bb", "cc dd"]),
        ("aaaa. bbbb cc", ["aaaa.", "bbbb cc"]),
        ("aaaaaaaaaaaa", ["aaaaaaaaaa", "aa"]),
        ("a\n\nbbbb cccc dd", ["a\n\nbbbb", "cccc dd"]),
        ("   \n   ", []),
    ],
)
def test_text_is_cut_where_people_would(text: str, pieces: list[str]) -> None:
    assert split_text(text, 10) == pieces


@pytest.mark.parametrize(
    ("labels", "text", "meant"),
    [
        (("one", "two"), " 2)", "two"),
        (("Room 100", "100"), "100", "100"),
        (("3", "2"), "2", "2"),  # second place and second label
        (("2", "4"), "2", None),  # first option by label, second by place: the bot reads "2"
        (("2", "4"), "1", "2"),
    ],
)
def test_labels_that_are_numbers(labels: tuple[str, ...], text: str, meant: str | None) -> None:
    found = match_choice(text, [Option(each) for each in labels])

    assert (found.label if found else None) == meant
