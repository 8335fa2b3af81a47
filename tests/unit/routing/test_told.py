"""Sentences of ours: once per cause until the visitor writes again; files; turns that are sent again; flips."""

from __future__ import annotations

from omnibridge.domain import events as ev
from omnibridge.domain.commands import SendToParty, SendToVisitor
from omnibridge.domain.content import Text
from omnibridge.domain.conversation import VisitorTurn
from omnibridge.domain.delivery_events import DeliveryBuried, TurnResent
from omnibridge.routing.decision import Decision
from omnibridge.routing.rules import RuleSet
from omnibridge.routing.texts import Texts
from tests.unit.routing.test_router import NOW, Story, replied, said

TEXTS = Texts()
ANSWER_LOST = DeliveryBuried(7, "SendToVisitor", "helper", "http-502")
TURN_LOST = DeliveryBuried(8, "SendToParty", "helper", "down")


def sentences(decision: Decision) -> list[str]:
    return [
        each.content.text
        for each in decision.commands
        if isinstance(each, SendToVisitor) and isinstance(each.content, Text)
    ]


def test_lost_answer_is_told_once_until_the_visitor_writes() -> None:
    story = Story().with_bot()
    told = [sentences(story.on(ANSWER_LOST)) for _ in range(3)]
    story.on(said("hello?"), replied())

    assert told == [[TEXTS.undeliverable], [], []]
    assert sentences(story.on(ANSWER_LOST)) == [TEXTS.undeliverable]


def test_each_cause_is_told() -> None:
    story = Story().with_bot()
    story.on(ANSWER_LOST)
    assert sentences(story.on(TURN_LOST)) == [TEXTS.bot_down]
    assert sentences(story.on(ev.AgentsListed(1))) == [TEXTS.nobody_online]
    assert story.state.control.connection == "helper"


def test_our_own_sentence_is_not_told_again() -> None:
    story = Story().with_bot()

    assert story.on(DeliveryBuried(9, "SystemText", "helper", "http-502")).commands == ()


def test_nothing_is_told_where_the_operator_left_the_text_empty() -> None:
    story = Story(RuleSet(texts=Texts(undeliverable=""))).with_bot()

    assert story.on(ANSWER_LOST).commands == ()
    assert story.state.told == ()


def test_bots_that_are_down_tell_each_question_once() -> None:
    """Three questions were waiting: the hub has nobody, so each turn comes back to the bot and is lost in turn."""
    story = Story().with_bot()
    story.on(said("one", 1), said("two", 2), said("three", 3))
    told = []
    for _ in range(3):
        told += sentences(story.on(TURN_LOST))
        told += sentences(story.on(ev.AgentsListed(1)))

    assert told == [TEXTS.bot_down, TEXTS.nobody_online]


def test_file_with_words_is_explained_and_the_words_go_on() -> None:
    story = Story().with_bot()
    decision = story.on(ev.MessagePosted("m1", "visitor", "v", "what is this?", NOW, has_file=True))

    assert sentences(decision) == [TEXTS.no_files]
    assert [each.text for each in decision.commands if isinstance(each, SendToParty)] == ["what is this?"]
    assert "file" in decision.reason


def test_file_for_people_is_theirs() -> None:
    story = Story().with_bot()
    story.on(ev.AgentAssigned(ev.UserRef("aliceId", "alice")))

    assert story.on(ev.MessagePosted("m1", "visitor", "v", "", NOW, has_file=True)).commands == ()


def test_turn_that_is_sent_again_is_waited_for() -> None:
    story = Story().with_bot()
    story.on(said("hello"), TURN_LOST, ev.AgentsListed(1))
    story.on(TurnResent(10, "helper", "m1", "hello"))
    assert story.state.waiting == (VisitorTurn("m1", "hello"),)

    story.on(replied("hi"))
    assert story.state.waiting == ()


def test_turn_that_is_sent_again_in_vain_is_not_waited_for() -> None:
    story = Story().with_bot()
    story.on(ev.AgentAssigned(ev.UserRef("aliceId", "alice")))
    before = story.state

    assert story.on(TurnResent(10, "helper", "m1", "hello")).after == before
