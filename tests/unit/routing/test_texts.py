"""Sentences in the visitor's language, and those for why a desk has his conversation no more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.commands import CloseConversation, SendToVisitor
from omnibridge.domain.content import Text
from omnibridge.domain.delivery_events import DeliveryBuried
from omnibridge.domain.desk_events import NoticeGiven, PartyAccepted, PartyDeclined, PartyLeft, QueuePositionChanged
from omnibridge.routing.decision import Decision
from omnibridge.routing.rules import RuleSet
from omnibridge.routing.texts import Texts
from tests.unit.routing.test_desks import offered
from tests.unit.routing.test_router import Story

GERMAN = Texts(queue_position="Platz {position}", nobody_online="Niemand da.", desk={"closed": "Geschlossen."})
TEXTS = Texts(
    desk_left="Goodbye.",
    desk={"closed": "We are closed.", "sales:closed": "Sales is back at nine.", "agent": "Ann says goodbye."},
    languages={"de": GERMAN, "de-ch": Texts(queue_position="Platz {position}, gäll")},
)


def speaking(story: Story, **facts: Any) -> Story:
    story.state = msgspec.structs.replace(story.state, facts=story.state.facts | facts)
    return story


def says(decision: Decision) -> list[str]:
    contents = [each.content for each in decision.commands if isinstance(each, SendToVisitor)]
    return [each.text for each in contents if isinstance(each, Text)]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"visitor.language": "de"}, "Platz 2"),
        ({"visitor.language": " DE_at "}, "Platz 2"),
        ({"visitor.language": "de-CH"}, "Platz 2, gäll"),
        ({"visitor.language": "fr", "room.language": "de"}, "Platz 2"),
        ({"visitor.language": "fr"}, "You are number 2 in the queue."),
        ({"visitor.language": 7}, "You are number 2 in the queue."),
        ({}, "You are number 2 in the queue."),
    ],
)
def test_sentences_are_in_the_language_that_a_fact_tells(facts: dict[str, Any], told: str) -> None:
    story = speaking(offered(RuleSet(texts=TEXTS)), **facts)

    assert says(story.on(QueuePositionChanged("sales", 2))) == [told]


def test_language_is_among_the_facts_that_a_decision_names() -> None:
    decision = speaking(offered(RuleSet(texts=TEXTS)), **{"visitor.language": "de"}).on(
        QueuePositionChanged("sales", 2)
    )

    assert decision.facts["visitor.language"].value == "de"  # type: ignore[union-attr]


def test_desk_that_declines_says_why_and_then_nobody_says_that_nobody_is_there() -> None:
    decision = offered(RuleSet(texts=TEXTS), on_declined="bot").on(PartyDeclined("sales", "Closed"))
    closes = offered(RuleSet(texts=TEXTS), on_declined="close").on(PartyDeclined("sales", "closed"))
    looks = offered(RuleSet(texts=TEXTS), on_declined="ladder")

    assert says(decision) == says(closes) == says(looks.on(PartyDeclined("sales", "closed")))
    assert says(decision) == ["Sales is back at nine."]
    assert says(looks.on(ev.AgentsListed(1))) == []


def test_other_reasons_have_the_general_sentences() -> None:
    declined = offered(RuleSet(texts=TEXTS), on_declined="bot").on(PartyDeclined("sales", "no-agents"))
    story = offered(RuleSet(texts=TEXTS))
    story.on(PartyAccepted("sales"))

    assert says(declined) == [Texts().nobody_online]
    assert says(story.on(PartyLeft("sales", "idle"))) == ["Goodbye."]


@pytest.mark.parametrize(
    ("reason", "told", "way"),
    [("agent", "Ann says goodbye.", "CloseConversation"), ("IDLE", "Goodbye.", "ReturnToQueue"),
     ("other", "Goodbye.", "AssignAgent")],
)  # fmt: skip
def test_each_end_of_a_desk_has_its_next_step(reason: str, told: str, way: str) -> None:
    story = offered(RuleSet(texts=TEXTS), on_left="bot", left_by={"agent": "close", "idle": "queue"})
    story.on(PartyAccepted("sales"))
    decision = story.on(PartyLeft("sales", reason))

    assert says(decision) == [told]
    assert way in [type(each).__name__ for each in decision.commands]


@pytest.mark.parametrize(
    ("event", "is_closed"),
    [
        (PartyDeclined("sales", "no-agents"), True),
        (PartyDeclined("sales", "closed"), False),
        (ev.TimerFired("offer", "sales"), True),
        (DeliveryBuried(1, "OpenSession", "sales", "http-500"), True),
        (DeliveryBuried(1, "SendToParty", "sales", "http-500", "m2"), False),
    ],
    ids=["no agents", "closed", "too late", "down", "words of the visitor"],
)
def test_each_decline_of_a_desk_has_its_next_step(event: ev.Event, is_closed: bool) -> None:
    by = {"no-agents": "close", "not-accepted": "close", "unreachable": "close"}
    decision = offered(on_declined="bot", declined_by=by).on(event)

    assert any(isinstance(each, CloseConversation) for each in decision.commands) == is_closed


def test_why_it_declined_is_kept_until_its_user_has_the_room() -> None:
    story = Story(RuleSet(texts=TEXTS), offered(on_declined="bot", declined_by={"closed": "close"}).directory)
    story.with_bot()
    story.on(ev.PartyReplied("helper", 1, 1, handover=True), PartyDeclined("sales", "closed", says="Closed."))
    decision = story.on(ev.AgentAssigned(ev.UserRef("deskId", "desk"), True, "sales"))

    assert says(decision) == ["Sales is back at nine."]
    assert any(isinstance(each, CloseConversation) for each in decision.commands)


@pytest.mark.parametrize(
    ("code", "language", "told"),
    [
        ("moved", "", ["A moment."]),
        ("Requeued", "", ["Somebody else comes."]),
        ("requeued", "de", ["Gleich kommt jemand."]),
        ("silent", "", []),
    ],
)
def test_notice_is_read_in_the_words_of_the_operator_if_he_has_some(code: str, language: str, told: list[str]) -> None:
    german = Texts(desk={"requeued": "Gleich kommt jemand."})
    texts = Texts(desk={"sales:requeued": "Somebody else comes.", "silent": ""}, languages={"de": german})
    story = speaking(offered(RuleSet(texts=texts)), **{"visitor.language": language})
    story.on(PartyAccepted("sales"))

    assert says(story.on(NoticeGiven("sales", code, "A moment."))) == told
    assert says(story.on(PartyLeft("sales"), NoticeGiven("sales", code, "A moment."))) == []


def test_notice_names_what_it_is_about_in_either_sentence() -> None:
    def told(texts: Texts) -> list[str]:
        story = offered(RuleSet(texts=texts))
        story.on(PartyAccepted("sales"))
        return says(story.on(NoticeGiven("sales", "joined", "{name} is here.", {"name": "{Bea}"})))

    assert told(Texts()) == ["{Bea} is here."]
    assert told(Texts(desk={"joined": "Jetzt auch {name}."})) == ["Jetzt auch {Bea}."]


def test_desk_has_a_sentence_of_its_own_for_a_decline() -> None:
    event = PartyDeclined("sales", "full", says="All are busy.")

    assert says(offered(on_declined="bot").on(event)) == ["All are busy."]
    assert says(offered(RuleSet(texts=Texts(desk={"full": ""})), on_declined="bot").on(event)) == []
