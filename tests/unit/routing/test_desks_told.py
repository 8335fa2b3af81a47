"""What a visitor is told while he waits for a desk, and in which order with what its people say."""

from __future__ import annotations

from omnibridge.domain import events as ev
from omnibridge.domain.commands import (
    SendToVisitor,
)
from omnibridge.domain.content import Text
from omnibridge.domain.delivery_events import DeliveryDelayed
from omnibridge.domain.desk_events import NoticeGiven, PartyAccepted, QueuePositionChanged
from tests.unit.routing.test_desks import ANN, offered
from tests.unit.routing.test_router import kinds, said


def test_place_in_the_queue_is_told_once_for_each_change() -> None:
    story = offered()
    told = [kinds(story.on(QueuePositionChanged("sales", at))) for at in (3, 3, 2, 0)]
    story.on(PartyAccepted("sales"))

    assert told == [["SendToVisitor"], [], ["SendToVisitor"], []]
    assert story.on(QueuePositionChanged("sales", 1)).commands == ()


def test_visitor_reads_one_sentence_while_the_desk_cannot_be_reached() -> None:
    """Whichever comes first: the desk's own, or the engine's about a turn that waits."""
    lost, found = (NoticeGiven("sales", "x", each, line=each) for each in ("lost", "back"))
    late, silent = DeliveryDelayed(1, "sales"), NoticeGiven("sales", "x", line="lost")
    for events, told in (
        ((lost, late, lost, late), ["lost"]),
        ((late, lost, late), ["One moment please, this is taking longer than usual."]),
        ((found, lost, found, found, lost), ["lost", "back", "lost"]),
        ((silent, late, found), ["One moment please, this is taking longer than usual."]),
    ):
        story = offered()
        assert story.on(lost).commands == ()  # nobody is there yet to whom the connection could be lost
        story.on(PartyAccepted("sales"), said("hello?", 2))
        commands = [each for event in events for each in story.on(event).commands]
        assert [each.content.text for each in commands if isinstance(each, SendToVisitor)] == told


def test_notices_come_behind_what_an_agent_said_and_are_not_lost_on_the_way_to_another_ones_user() -> None:
    story = offered()
    story.on(PartyAccepted("sales", ANN), ev.PartySpoke("sales", (Text("hello"),), agent=ANN))
    commands = story.on(ev.PartySpoke("sales", (Text("Bob has joined"),))).commands

    assert [(each.content.text, each.connection) for each in commands if isinstance(each, SendToVisitor)] == [
        ("hello", "sales"),  # under his name, by the relay account
        ("Bob has joined", ""),
    ]


def test_wait_is_told_with_a_new_place_or_where_there_is_no_place() -> None:
    story = offered()
    told = [(0, 61), (0, 119), (0, 200), (3, 200), (3, 20), (2, -1), (0, -1), (0, 0)]
    words = [story.on(QueuePositionChanged("sales", *each)).commands for each in told]

    assert [each[0].content.text if each else "" for each in words] == [  # type: ignore[union-attr]
        "The wait is about 2 min.",
        "",
        "The wait is about 4 min.",
        "You are number 3 in the queue; the wait is about 4 min.",
        "",
        "You are number 2 in the queue.",
        "",
        "",
    ]


def test_words_that_waited_together_are_late_together() -> None:
    """Each waits for the one before, and each would be told of."""
    story = offered()
    story.on(PartyAccepted("sales"), said("a", 2), said("b", 3), said("c", 4))
    late = [kinds(story.on(DeliveryDelayed(2, "sales")))]
    for at in (2, 3, 4):
        story.on(ev.PartyReplied("sales", at, story.state.control.epoch, accepted=True, message_id=f"m{at}"))
        late.append(kinds(story.on(DeliveryDelayed(at + 1, "sales"))))

    assert late == [["SendToVisitor"], [], [], ["SendToVisitor"]]


def test_who_is_given_back_to_the_queue_is_told_his_place_again() -> None:
    story = offered()
    story.on(QueuePositionChanged("sales", 1), PartyAccepted("sales"))
    told = [kinds(story.on(QueuePositionChanged("sales", 1, again=each))) for each in (False, True, True)]
    story.on(PartyAccepted("sales", ANN))

    assert told == [[], ["SendToVisitor"], []]
    assert kinds(story.on(QueuePositionChanged("sales", 1, again=True))) == ["SendToVisitor"]


def test_last_words_of_who_gave_him_back_come_before_his_place() -> None:
    """Also where the notice of that is not said: they wait for his user."""
    story = offered()
    story.on(PartyAccepted("sales", ANN), ev.PartySpoke("sales", (Text("Bea will help you."),), agent=ANN))
    commands = story.on(QueuePositionChanged("sales", 1, again=True)).commands

    assert [each.content.text for each in commands] == [  # type: ignore[union-attr]
        "Bea will help you.",
        "You are number 1 in the queue.",
    ]
