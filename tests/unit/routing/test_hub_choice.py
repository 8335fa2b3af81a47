"""The hub gives a new visitor to somebody at once while a decider is asked: whose answer counts, and until when."""

from __future__ import annotations

import msgspec
import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import AgentNotEnsured, DecisionFailed, DecisionPending
from omnibridge.domain.agents import AgentRefused
from omnibridge.domain.commands import AskDecider, AssignAgent, CancelDecision, EnsureAgent
from omnibridge.domain.conversation import AGENTS, QUEUE, Conversation
from omnibridge.domain.delivery_events import MoveSucceeded
from omnibridge.domain.directory import Decider
from omnibridge.routing.decision import encode_decision
from omnibridge.routing.router import route
from omnibridge.routing.rules import RuleSet, Target
from tests.unit.routing.test_assignment import BOB, DIRECTORY, Decided, pushed
from tests.unit.routing.test_assignment_random import OVER
from tests.unit.routing.test_router import ALICE, NOW, Story

OPENED = NOW - 500
"""Hub time at which the room began."""


class Given(Decided):
    """A decider is asked about a new visitor, and the hub has given him to Bob."""

    def __init__(self, decider: str = "crm", *, at: int = OPENED + 200) -> None:
        Story.__init__(self, RuleSet(default=Target("decider", decider)), OVER)
        self.decider = decider
        self.on(ev.ConversationStarted(visitor_name="Vera", at=OPENED))
        self.asked = self.state
        self.on(ev.AgentAssigned(BOB, at=at))


def wrote(author: str = "agent") -> ev.MessagePosted:
    return ev.MessagePosted("m1", author, "bobId", "hello", NOW)  # type: ignore[arg-type]


def test_who_is_named_gets_the_visitor_whom_the_hub_gave_away() -> None:
    story = Given()
    assert story.last.reason == "bob serves by the hub's own choice, until it is decided or staff writes"
    assert (story.state.control, story.state.served_by) == (story.asked.control, BOB)  # no row of it is refused

    story.named().ensured()
    assert story.last.commands == (AssignAgent("aliceId", "alice", within_ms=30_000),)
    story.on(MoveSucceeded(1, "agent", "aliceId"), ev.AgentUnassigned(BOB), ev.AgentAssigned(ALICE))
    assert story.state.control.party == AGENTS
    assert (story.state.assignment.stage, story.state.assignment.user_id) == ("served", "aliceId")


def test_the_same_agent_simply_keeps_him() -> None:
    story = Given().named().ensured(BOB)

    assert "who serves already" in story.last.reason and not story.last.commands
    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "served")


@pytest.mark.parametrize("stage", ["asking", "waiting", "ensuring", "moving"])
def test_staff_that_writes_keeps_him(stage: str) -> None:
    story = Given()
    if stage == "waiting":
        story.on(DecisionPending("crm", "T", 1000))
    if stage in ("ensuring", "moving"):
        story.named()
    if stage == "moving":
        story.ensured()
    story.on(wrote("visitor"), wrote("bot"))
    assert story.state.assignment.stage == stage

    story.on(wrote())
    assert story.last.reason.startswith("staff wrote before the decision of crm was carried out: bob keeps")
    assert any(isinstance(each, CancelDecision) for each in story.last.commands)
    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "idle")
    assert story.state.control.epoch > story.asked.control.epoch and story.last.refuse_spoken  # no move goes any more
    story.named()
    assert "nobody waits for any more" in story.last.reason


def test_nobody_named_leaves_him_where_he_is() -> None:
    story = Given("strict")
    story.on(DecisionFailed("strict", "no-agent"))

    assert story.last.reason.endswith("who serves by the hub's choice goes on")
    assert (story.state.control.party, story.state.handover.stage) == (AGENTS, "idle")
    assert all(isinstance(each, CancelDecision) for each in story.last.commands)


def test_agent_who_cannot_serve_leads_to_another_question_and_then_to_who_serves() -> None:
    story = Given().named().ensured().refused("error-user-is-offline")
    (ask,) = [each for each in story.last.commands if isinstance(each, AskDecider)]
    assert (ask.asked, ask.excluded, story.state.served_by) == (2, ("0055",), BOB)

    story.named().ensured().refused("error-user-is-offline")
    assert "who serves by the hub's choice goes on" in story.last.reason
    assert story.state.control.party == AGENTS


def test_a_room_that_would_wait_for_a_seat_stays_with_who_serves() -> None:
    story = Given("strict").named()
    story.on(AgentNotEnsured(AgentRefused("crm", "0055", "waiting_seat", "full")))

    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "idle")


def test_choice_that_is_told_after_the_answer_is_moved_once_more() -> None:
    """The report of the hub's choice comes late; the hub refuses to take what is taken."""
    story = Given.__new__(Given)
    Story.__init__(story, RuleSet(default=Target("decider", "crm")), OVER)
    story.decider = "crm"
    story.on(ev.ConversationStarted(at=OPENED))
    story.named().ensured().refused("error-inquiry-taken", server=BOB)
    assert story.last.commands == (AssignAgent("aliceId", "alice", within_ms=30_000),)
    assert story.state.assignment.default == "bobId"

    story.on(ev.AgentAssigned(BOB))  # the late report
    assert story.state.assignment.stage == "moving"
    story.refused("error-inquiry-taken", server=BOB)
    assert "the hub refused alice: taken" in story.last.reason


def test_who_takes_him_by_hand_keeps_him() -> None:
    """Where the hub does not choose, later than at once, or from who had him."""
    by_hand = Given.__new__(Given)
    manual = msgspec.structs.replace(OVER, choosing=("other",))
    Story.__init__(by_hand, RuleSet(default=Target("decider", "crm")), manual)
    by_hand.on(ev.ConversationStarted(at=OPENED), ev.ConversationQueued(), ev.AgentAssigned(BOB, at=OPENED + 900))
    late = Given(at=OPENED + 6_000)
    other = Given()
    other.on(ev.AgentUnassigned(BOB), ev.AgentAssigned(ALICE, at=OPENED + 1_000))

    for story, who in ((by_hand, "bob"), (late, "bob"), (other, "alice")):
        assert story.last.reason == f"{who} took over"
        assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "idle")


def test_hub_that_tells_of_a_queue_before_it_chooses() -> None:
    story = Given.__new__(Given)
    Story.__init__(story, RuleSet(default=Target("decider", "crm")), OVER)
    story.on(ev.ConversationStarted(at=OPENED), ev.ConversationQueued(), ev.AgentAssigned(BOB))  # no time is told

    assert story.state.assignment.default == "bobId"


def test_who_gives_him_back_leaves_the_decision() -> None:
    story = Given()
    story.on(ev.AgentUnassigned(BOB), ev.ConversationQueued(), DecisionFailed("crm", "no-agent"))

    assert "people are looked for" in story.last.reason


def test_a_push_counts_whatever_staff_writes() -> None:
    story = Given()
    story.on(pushed())
    assert any(isinstance(each, EnsureAgent) for each in story.last.commands)
    story.on(wrote())
    story.ensured()

    assert any(isinstance(each, AssignAgent) for each in story.last.commands)


def test_old_decisions_are_made_as_they_were() -> None:
    """A directory of before has no word for it, and neither does what its decisions left."""
    assert not DIRECTORY.deciders[0].over_auto_selection
    assert msgspec.json.encode(Decider("crm")) == b'{"name":"crm"}'
    rules, state = RuleSet(default=Target("decider", "crm")), Conversation("main", "room1")
    asked = route(state, ev.ConversationStarted(at=OPENED), rules, DIRECTORY, NOW)
    assert b"opened_at" not in encode_decision(asked, state)
    taken = route(asked.after, ev.AgentAssigned(BOB, at=OPENED), rules, DIRECTORY, NOW + 1)
    assert (taken.reason, taken.after.control.party) == ("bob took over", AGENTS)
    assert asked.after.control.party == QUEUE
