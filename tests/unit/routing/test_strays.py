"""Rooms that a holding bot has, or somebody whom nobody decided on: looked at again, and given back to the queue."""

from __future__ import annotations

import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import (
    DecisionFailed,
    DecisionPending,
)
from omnibridge.domain.commands import (
    ListAgents,
    RequeueStray,
    StartTimer,
)
from omnibridge.domain.conversation import AGENTS, QUEUE
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.domain.events import UserRef
from omnibridge.routing.rules import HandoverPolicy, RuleSet
from tests.unit.routing.test_assignment import BOB, DIRECTORY, HOLDER, Decided
from tests.unit.routing.test_router import ALICE, BOT, Story, kinds, said


def test_holding_bot_is_nobody_and_what_it_gets_back_is_decided_again() -> None:
    story = Decided()
    story.on(ev.AgentAssigned(HOLDER))
    assert story.state.control.party == QUEUE
    assert story.last.commands == ()

    story.named().ensured().on(ev.AgentAssigned(ALICE))
    assert story.state.control.party == AGENTS
    story.on(ev.AgentUnassigned(ALICE), ev.AgentAssigned(HOLDER))
    assert kinds(story.last) == ["AskDecider"]


def test_holding_bot_cannot_make_an_endless_loop() -> None:
    story = Decided("strict")
    story.rules = RuleSet(default=story.rules.default, handover=HandoverPolicy(window_s=3600))
    asked = 1
    for _ in range(6):
        story.on(DecisionFailed("strict", "no-agent"), MoveSucceeded(1, "queue"), ev.AgentUnassigned(HOLDER))
        asked += kinds(story.on(ev.AgentAssigned(HOLDER))) == ["AskDecider"]

    assert asked == 3
    assert "nothing is tried now" in story.last.reason
    assert kinds(story.last) == ["StartTimer"]


def test_holding_bot_gives_way_to_the_bot_of_the_rules() -> None:
    story = Story(directory=DIRECTORY)
    story.on(ev.ConversationStarted(), ev.AgentAssigned(HOLDER), MoveSucceeded(1, "bot", "botId"))
    assert story.state.served_by == UserRef("botId")

    story.on(ev.AgentUnassigned(HOLDER), ev.AgentAssigned(BOT, True, "helper"))
    assert story.state.control.connection == "helper"


def test_what_is_left_with_the_holding_bot_is_looked_at_again_and_again() -> None:
    story = Decided()
    story.on(ev.AgentAssigned(HOLDER), DecisionFailed("crm", "no-agent"), ev.AgentsListed(1))
    for _ in range(5):
        assert story.last.commands[-1] == StartTimer("held", "1", 30_000)
        assert story.on(said("anybody?")).commands == ()
        assert kinds(story.on(ev.TimerFired("held", "1"))) == ["AskDecider"]
        story.on(DecisionFailed("crm", "no-agent"), ev.AgentsListed(1))
    story.on(ev.AgentAssigned(ALICE), ev.TimerFired("held", "1"))

    assert story.last.commands == ()


def test_timer_that_an_operator_gives_up_ends_the_waiting() -> None:
    story = Decided()
    story.on(DecisionPending("crm", "T1", 0), DeliveryBuried(1, "StartTimer", code="operator"))

    assert kinds(story.last) == ["CancelDecision", "ListAgents"]


def test_stray_assignment_goes_back_to_the_queue_and_after_some_times_to_people() -> None:
    story = Decided("strict")
    story.on(DecisionFailed("strict", "no-agent"))
    stray = ev.AgentAssigned(BOB, only_by_decision=True)
    seen = []
    for _ in range(3):
        story.on(stray)
        seen.append(list(story.last.commands))
        story.on(ev.AgentUnassigned(BOB))

    assert seen == [[RequeueStray("bobId", "bob")], [RequeueStray("bobId", "bob")], [ListAgents()]]


@pytest.mark.parametrize("decided_for", [ALICE, BOB])
def test_stray_that_cannot_go_back_is_left_when_somebody_was_decided_meanwhile(decided_for: UserRef) -> None:
    """Somebody else has the room by then, or the decision was for the stray himself: no people are looked for."""
    story = Decided().named()
    story.on(ev.AgentAssigned(BOB, only_by_decision=True))
    story.ensured(decided_for)
    story.on(MoveSucceeded(1, "agent", decided_for.id))
    story.on(MoveFailed(2, "stray", "came-back", BOB.id))

    assert story.last.commands == ()
    assert (story.state.assignment.stage, story.state.control.party) == ("served", AGENTS)


def test_who_serves_only_by_decision_is_no_stray_when_it_was_decided() -> None:
    story = Decided().named().ensured()
    story.on(ev.AgentAssigned(ALICE, only_by_decision=True))

    assert story.last.commands == ()
    assert story.state.assignment.stage == "served"
