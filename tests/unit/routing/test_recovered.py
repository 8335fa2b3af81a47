"""What follows from messages that were found in the hub's history."""

from __future__ import annotations

from omnibridge.domain import events as ev
from omnibridge.domain.commands import SendToParty, SendToVisitor
from omnibridge.domain.content import Choices, Option
from omnibridge.domain.conversation import VisitorTurn
from omnibridge.domain.events import RecoveredMessage
from omnibridge.routing.rules_file import parse_rules
from tests.unit.routing.test_router import ALICE, NOW, Story, kinds


def found(*texts: str, answered_at: int = 0, closed: bool = False) -> ev.MessagesRecovered:
    messages = tuple(RecoveredMessage(f"m{n}", text, NOW + n) for n, text in enumerate(texts, 1))
    return ev.MessagesRecovered(messages, answered_at and NOW + answered_at, closed)


def test_recovered_messages_go_to_the_bot_as_one_late_turn() -> None:
    decision = Story().with_bot().on(found("one", "two"))

    assert decision.commands == (SendToParty("helper", "m2", "one\ntwo", late=True),)
    assert decision.after.waiting[-1] == VisitorTurn("m2", "one\ntwo", late=True)
    assert "2 found in the hub's history; as one: the visitor wrote, late" in decision.reason


def test_recovered_message_itself_leads_to_nothing() -> None:
    message = ev.MessagePosted("m1", "visitor", "v", "one", NOW + 1, late=True, recovered=True)
    decision = Story().with_bot().on(message)

    assert (decision.commands, decision.after.last_visitor_ts) == ((), NOW + 1)


def test_what_was_answered_since_is_not_sent() -> None:
    assert Story().with_bot().on(found("one", "two", answered_at=3)).commands == ()
    decision = Story().with_bot().on(found("one", "two", "three", answered_at=2))

    assert decision.commands == (SendToParty("helper", "m3", "two\nthree", late=True),)
    assert "1 of them answered since" in decision.reason


def test_closed_meanwhile_sends_nothing() -> None:
    decision = Story().with_bot().on(found("one", closed=True))

    assert (decision.commands, decision.reason) == ((), "1 found in the hub's history, closed since: nothing is sent")


def test_people_are_shown_it_by_the_hub() -> None:
    decision = Story().with_bot().on(ev.AgentAssigned(ALICE), found("one"))

    assert decision.commands == ()
    assert "people serve" in decision.reason


def test_rules_read_the_words_as_one() -> None:
    rules = parse_rules(
        '[[rule]]\nname = "person"\non = "message"\nwhen = { text = { contains = "human" } }\ntarget = "queue"\n'
    )

    assert kinds(Story(rules).with_bot().on(found("one", "a human please"))) == ["ListAgents"]


def test_kept_while_somebody_is_looked_for() -> None:
    story = Story().with_bot()
    story.on(ev.PartyReplied("helper", 1, 1, handover=True))

    assert [each.text for each in story.on(found("one", "two")).after.held] == ["one\ntwo"]


def test_single_choice_is_understood() -> None:
    menu = ev.PartyReplied("helper", 1, 1, (Choices("?", (Option("A", "/a"), Option("B", "/b"))),))
    decision = Story().with_bot().on(menu, found("2"))

    assert decision.commands == (SendToParty("helper", "m1", "2", "/b", late=True),)


def test_files_among_words_do_not_hide_them() -> None:
    messages = (RecoveredMessage("m1", "see this", NOW + 1), RecoveredMessage("m2", "", NOW + 2, has_file=True))

    told, turn = Story().with_bot().on(ev.MessagesRecovered(messages)).commands

    assert isinstance(told, SendToVisitor) and told.voice == "system"  # that files cannot be read
    assert turn == SendToParty("helper", "m2", "see this", late=True)
