"""Histories that random ones found to end with a decision and control that did not agree, one test for each cause."""

from __future__ import annotations

import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import (
    AgentEnsured,
    AgentNotEnsured,
    AssignmentRequested,
    DecisionFailed,
    DecisionPending,
)
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.commands import AssignAgent, EnsureAgent, ReleaseAgent, RequeueStray
from omnibridge.domain.content import Text
from omnibridge.domain.conversation import AGENTS, QUEUE
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.domain.events import UserRef
from tests.unit.routing.test_assignment import ANN, BOB, NO_SEAT, Decided, pushed
from tests.unit.routing.test_router import ALICE, BOT, kinds, said

STRAY = ev.AgentAssigned(BOB, only_by_decision=True)
BEN = ExternalAgent("crm", "0066", "Ben")
MARIA = UserRef("mariaId", "agent.m")


def bot_in_control() -> Decided:
    """A conversation of the bot's, which was asked about before and is not now."""
    story = Decided("mild", bot=True)
    story.on(DecisionFailed("mild", "no-agent"), said("go on"))
    assert story.state.control.connection == "helper"
    return story


def waiting_for_a_seat() -> Decided:
    """The bot left the room, and the hub gave it back to it while there is no seat."""
    story = Decided("mild", bot=True).named()
    story.on(NO_SEAT, MoveSucceeded(1, "queue"), ev.AgentAssigned(BOT, True, "helper"))
    assert (story.state.assignment.stage, story.state.control.connection) == ("seat", "helper")
    return story


def test_stray_is_no_person_who_took_it_from_the_bot() -> None:
    """His name in the refusal of a move used to end the bot's turn, and then nobody served."""
    story = bot_in_control()
    story.on(STRAY, MoveFailed(1, "bot", "served-by-another", BOT.id, BOB))

    assert (story.state.control.connection, story.state.relay_posts) == ("helper", True)


def test_stray_is_no_person_who_ends_what_is_being_decided() -> None:
    story = Decided()
    story.on(STRAY, MoveFailed(1, "bot", "served-by-another", BOT.id, BOB), MoveSucceeded(2, "stray", BOB.id))

    assert (story.state.assignment.stage, story.state.handover.stage) == ("asking", "deciding")
    assert story.named().ensured().last.commands == (AssignAgent(ALICE.id, ALICE.username, within_ms=30_000),)


def test_stray_is_no_person_who_takes_it_from_who_speaks() -> None:
    story = bot_in_control()
    desk = ExternalAgent("desk", "7", "Maria")
    story.on(
        STRAY,
        ev.PartySpoke("helper", (Text("I am"),), agent=desk),
        AgentEnsured(AgentFound("desk", "7", MARIA.id, MARIA.username, "provisioned")),
        MoveFailed(1, "agent", "error-user-is-offline", MARIA.id, BOB),
    )

    assert (story.state.control.connection, story.state.persona and story.state.persona.stage) == ("helper", "ready")


def test_stray_who_may_keep_it_after_all_ends_what_is_being_decided() -> None:
    """The same object told twice used to be taken for nothing new."""
    story = Decided()
    story.on(STRAY, ev.AgentAssigned(BOB))

    assert (story.state.assignment.stage, story.state.handover.stage, story.state.control.party) == (
        "idle", "idle", AGENTS,
    )  # fmt: skip


def test_nobody_has_control_when_who_was_taken_for_a_person_went_back_to_the_queue() -> None:
    story = Decided()
    story.on(STRAY, ev.AgentAssigned(BOB), MoveSucceeded(1, "stray", BOB.id))

    assert (story.state.served_by, story.state.control.party) == (None, QUEUE)


def test_stray_for_whom_it_was_decided_meanwhile_gets_the_room_behind_his_way_back() -> None:
    """He serves, but is being sent back: 'serves already' would have left the visitor in the queue."""
    story = Decided().named()
    story.on(STRAY)

    assert kinds(story.ensured(BOB).last) == ["AssignAgent"]
    story.on(MoveSucceeded(1, "stray", BOB.id))
    assert story.state.assignment.stage == "moving"
    story.on(MoveSucceeded(2, "agent", BOB.id))
    assert (story.state.assignment.stage, story.state.control.party) == ("served", AGENTS)


def test_agent_who_serves_by_decision_and_was_sent_back_is_given_the_room_again() -> None:
    story = Decided().named().ensured(BOB)
    story.on(ev.AgentAssigned(BOB, only_by_decision=True), MoveSucceeded(1, "stray", BOB.id))

    assert story.last.commands == (AssignAgent(BOB.id, BOB.username, within_ms=30_000),)
    assert story.state.assignment.stage == "moving"


@pytest.mark.parametrize("username", ["", "alice"])
def test_late_report_of_who_serves_does_not_end_the_next_decision(username: str) -> None:
    """The hub's report of the first agent comes after the second one was pushed: it is no news who serves."""
    story = Decided().named().ensured()
    story.on(MoveSucceeded(1, "agent", ALICE.id), pushed(BEN), ev.AgentAssigned(UserRef(ALICE.id, username)))

    assert (story.state.assignment.stage, story.state.assignment.agent) == ("ensuring", BEN)
    assert kinds(story.ensured(BOB, BEN).last) == ["AssignAgent"]


def test_agent_who_left_before_the_next_one_was_refused_does_not_serve_again() -> None:
    """A stray had it by then; the decision of before must not name somebody who is gone."""
    story = Decided().named().ensured()
    story.on(MoveSucceeded(1, "agent", ALICE.id), pushed(BEN), STRAY)
    story.ensured(MARIA, BEN).refused("error-user-is-offline", MARIA)

    assert story.state.assignment.stage == "idle"
    assert ReleaseAgent(MARIA.id) in story.last.commands


def test_bot_that_got_the_room_back_is_silenced_when_there_is_a_seat() -> None:
    """It went on speaking while the room was on its way, and what it said last was lost."""
    story = waiting_for_a_seat()
    story.on(said("and now?"), ev.TimerFired("seat", "crm:0055"))
    assert story.state.control.connection == "helper"  # it serves until there really is one
    story.ensured()

    assert (story.state.control.party, story.state.handover.stage, len(story.state.held)) == (QUEUE, "moving", 1)
    story.refused("error-user-is-offline").on(DecisionFailed("mild", "no-agent"))
    assert (story.state.control.connection, kinds(story.last)[-1]) == ("helper", "ResumeTurns")


UNKNOWN = AgentNotEnsured(AgentRefused("crm", "0055", "unknown", "no such agent"))


@pytest.mark.parametrize(
    ("answer", "stage", "commands"),
    [(NO_SEAT, "seat", ["StartTimer"]), (UNKNOWN, "idle", ["CancelDecision"])],
)
def test_bot_that_got_the_room_back_goes_on_without_a_seat(
    answer: AgentNotEnsured, stage: str, commands: list[str]
) -> None:
    story = waiting_for_a_seat()
    story.on(said("and now?"), ev.TimerFired("seat", "crm:0055"), answer)

    assert (story.state.assignment.stage, story.state.control.connection) == (stage, "helper")
    assert kinds(story.last) == commands
    assert len(story.state.waiting) == 1


def test_move_to_the_queue_that_ends_late_does_not_end_the_look_for_a_user() -> None:
    story = Decided("strict", bot=True).named()
    story.on(NO_SEAT, ev.TimerFired("seat", "crm:0055"), MoveSucceeded(1, "queue"))
    assert (story.state.assignment.stage, story.state.handover.stage) == ("ensuring", "deciding")
    story.on(ev.AgentAssigned(BOT, True, "helper"))

    assert story.state.control.party == QUEUE
    assert kinds(story.ensured().last) == ["AssignAgent"]


def test_move_to_the_queue_that_ends_late_does_not_end_the_way_to_an_agent() -> None:
    story = Decided("strict", bot=True).named()
    story.on(NO_SEAT, pushed(BEN))
    story.ensured(BOB, BEN).on(MoveSucceeded(1, "queue"))
    assert (story.state.assignment.stage, story.state.handover.stage) == ("moving", "moving")
    story.on(MoveSucceeded(2, "agent", BOB.id))

    assert (story.state.assignment.stage, story.state.control.party) == ("served", AGENTS)


def test_step_that_is_given_up_ends_both_who_speaks_and_who_is_to_serve() -> None:
    """Which of the two it was for is not told; the other one was waited for without end."""
    story = bot_in_control()
    story.on(ev.AgentAssigned(ALICE), pushed(BEN), ev.AgentAssigned(BOT, True, "helper"))
    story.on(ev.PartySpoke("helper", (Text("I am"),), agent=ExternalAgent("desk", "7", "Maria")))
    story.on(DeliveryBuried(1, "EnsureAgent", code="gone"))

    assert (story.state.assignment.stage, story.state.control.connection) == ("idle", "helper")
    assert story.state.persona and story.state.persona.stage == "ready"
    assert kinds(story.last) == ["SendToVisitor"]
    story.ensured(BOB, BEN)
    assert story.last.commands == (ReleaseAgent(BOB.id),)


def answered(agent: ExternalAgent | None, ticket: str) -> AssignmentRequested | DecisionFailed:
    if agent is None:
        return DecisionFailed("crm", "no-agent", ticket=ticket)
    return AssignmentRequested(agent, "decider:crm", "", "crm", ticket)


def test_answer_that_comes_before_its_promise_counts_when_the_promise_is_known() -> None:
    """The process died before it had written down the ticket, or the callback was faster: it was thrown away."""
    story = Decided()
    story.on(answered(BEN, "T1"))
    assert (story.state.assignment.stage, story.last.commands) == ("asking", ())
    story.on(DecisionPending("crm", "T1", 1000))

    assert story.last.commands == (EnsureAgent(BEN),)
    assert kinds(story.ensured(BOB, BEN).last) == ["AssignAgent"]


def test_early_answer_that_names_nobody_counts_as_well() -> None:
    story = Decided("crm")
    story.on(answered(None, "T1"), DecisionPending("crm", "T1", 1000))

    assert kinds(story.last) == ["CancelDecision", "ListAgents"]


@pytest.mark.parametrize("promise", [DecisionPending("crm", "T2", 1000), answered(ANN, "")])
def test_early_answer_to_another_ticket_changes_nothing(promise: ev.Event) -> None:
    story = Decided()
    story.on(answered(BEN, "T1"), promise)

    assert story.state.assignment.agent != BEN
    assert kinds(story.last) == ["StartTimer" if isinstance(promise, DecisionPending) else "EnsureAgent"]


def test_requeue_is_asked_for_each_time_a_stray_gets_it() -> None:
    story = bot_in_control()
    story.on(STRAY, MoveSucceeded(1, "stray", BOB.id), STRAY)

    assert story.last.commands == (RequeueStray(BOB.id, BOB.username),)
    assert story.state.stray == BOB.id
