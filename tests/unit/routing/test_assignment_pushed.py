"""Decisions that come unasked, from a caller of the API: they take the room from whoever has it."""

from __future__ import annotations

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import (
    AgentEnsured,
    AgentNotEnsured,
    DecisionPending,
)
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.commands import (
    CancelDecision,
    EnsureAgent,
    ReleaseAgent,
    SendToParty,
)
from omnibridge.domain.conversation import AGENTS, QUEUE
from omnibridge.domain.delivery_events import MoveFailed, MoveSucceeded
from tests.unit.routing.test_assignment import ANN, BOB, DIRECTORY, Decided, pushed
from tests.unit.routing.test_router import ALICE, Story, kinds, said


def test_pushed_decision_takes_the_conversation_from_the_bot() -> None:
    story = Story(directory=DIRECTORY).with_bot()
    story.on(pushed())
    assert story.last.commands == (EnsureAgent(ANN, "routing 17"),)
    assert story.state.control.party == QUEUE

    story.on(said("hello"))
    assert story.last.commands == ()
    story.on(AgentEnsured(AgentFound("crm", "0055", "aliceId", "alice", "mapped")))
    story.on(MoveSucceeded(1, "agent", "aliceId"))
    assert (story.state.control.party, story.state.assignment.by) == (AGENTS, "token:crm")
    assert "already" in story.on(pushed()).reason


def test_pushed_decision_that_fails_gives_the_bot_its_words_back_and_tells_nobody() -> None:
    story = Story(directory=DIRECTORY).with_bot()
    story.on(pushed(), said("hello"), AgentNotEnsured(AgentRefused("crm", "0055", "unknown", "no")))

    assert story.last.commands == (SendToParty("helper", "m1", "hello"),)
    assert story.state.control.connection == "helper"


def test_pushed_decision_moves_it_from_one_agent_to_another() -> None:
    story = Decided().named().ensured()
    story.on(ev.AgentAssigned(ALICE))
    bea = ExternalAgent("crm", "0077")
    story.on(pushed(bea))
    assert kinds(story.last) == ["EnsureAgent"]  # alice serves until bob has it
    assert story.state.control.party == AGENTS

    story.ensured(BOB, bea)
    assert kinds(story.last) == ["AssignAgent"]
    epoch = story.state.control.epoch
    story.on(MoveSucceeded(1, "agent", "bobId"))
    assert story.state.served_by == ALICE  # the hub tells who serves

    story.on(ev.AgentUnassigned(ALICE))
    assert (story.state.control.party, story.state.control.epoch) == (QUEUE, epoch + 1)
    assert kinds(story.last) == ["AssignAgent"]  # that of the old epoch is refused; it changes nothing when done
    story.on(ev.AgentAssigned(BOB))
    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "served")
    assert kinds(story.last) == ["ReleaseAgent"]


def test_agent_who_serves_by_decision_keeps_it_when_the_next_one_cannot() -> None:
    story = Decided().named().ensured()
    story.on(ev.AgentAssigned(ALICE), pushed(ExternalAgent("crm", "0077")))
    story.on(AgentNotEnsured(AgentRefused("crm", "0077", "unknown", "no")))

    assert story.last.commands == ()
    assert story.on(ev.ConversationClosed()).commands == (ReleaseAgent("aliceId"),)


def test_agent_who_serves_goes_on_when_another_one_cannot() -> None:
    story = Story(directory=DIRECTORY)
    story.on(ev.ConversationStarted(), ev.AgentAssigned(ALICE), pushed())
    story.on(AgentEnsured(AgentFound("crm", "0055", "bobId", "bob", "mapped")))
    story.on(MoveFailed(1, "agent", "error-user-is-offline", "bobId", ALICE))

    assert story.last.commands == (ReleaseAgent("bobId"),)
    assert "who serves goes on" in story.last.reason
    assert (story.state.control.party, story.state.served_by) == (AGENTS, ALICE)


def test_pushed_decision_cancels_the_one_that_is_awaited() -> None:
    story = Decided()
    story.on(DecisionPending("crm", "T1", 0), pushed(ExternalAgent("crm", "0099")))

    assert story.last.commands[0] == CancelDecision("crm", "T1", "", "token:crm decided")
    assert story.state.assignment.decider == ""


def test_agent_who_serves_already_needs_no_move() -> None:
    story = Story(directory=DIRECTORY)
    story.on(ev.ConversationStarted(), ev.AgentAssigned(ALICE), pushed())
    story.on(AgentEnsured(AgentFound("crm", "0055", "aliceId", "alice", "mapped")))

    assert story.last.commands == ()
    assert "serves already" in story.last.reason
    assert story.state.assignment.stage == "served"


def test_closed_conversation_takes_no_decision() -> None:
    story = Decided()
    story.on(ev.ConversationClosed(), pushed())

    assert story.last.commands == ()
