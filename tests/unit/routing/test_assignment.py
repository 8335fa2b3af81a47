"""Decisions of an external system about who serves, by example."""

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
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent, Reason
from omnibridge.domain.commands import (
    AskDecider,
    AssignAgent,
    CancelDecision,
    EnsureAgent,
    ListAgents,
    ReleaseAgent,
    SendToParty,
    StartTimer,
)
from omnibridge.domain.conversation import AGENTS, QUEUE
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.domain.directory import BotConnection, Decider, Directory, HoldingBot
from omnibridge.domain.events import UserRef
from omnibridge.routing.refusals import refusal_of
from omnibridge.routing.rules import HandoverPolicy, RuleSet, Target
from omnibridge.routing.rules_file import parse_rules
from tests.unit.routing.test_router import ALICE, BOT, Story, kinds, replied, said

BOB = UserRef("bobId", "bob")
HOLDER = UserRef("holdId", "holding")
ANN = ExternalAgent("crm", "0055", "Ann")
DIRECTORY = Directory(
    (BotConnection("helper", "main", "botId", "bot", fallbacks=2),),
    (Decider("crm"), Decider("strict", asks=1, on_failure="queue"), Decider("mild", on_failure="bot")),
    (HoldingBot("main", "holdId", "holding"),),
)
NO_SEAT = AgentNotEnsured(AgentRefused("crm", "0055", "waiting_seat", "5 of 5 seats are used"))


class Decided(Story):
    """A conversation that a decider is asked about, when it begins or when the bot gives way."""

    def __init__(self, decider: str = "crm", *, bot: bool = False) -> None:
        policy = HandoverPolicy(decider=decider if bot else "")
        default = Target("bot", "helper") if bot else Target("decider", decider)
        super().__init__(RuleSet(default=default, handover=policy), DIRECTORY)
        self.decider = decider
        self.on(ev.ConversationStarted(visitor_name="Vera"))
        if bot:
            self.on(ev.AgentAssigned(BOT, True, "helper"), said("a person please"), replied("ok", handover=True))

    def named(self, agent: ExternalAgent = ANN, ticket: str = "") -> Decided:
        self.on(AssignmentRequested(agent, f"decider:{self.decider}", "", self.decider, ticket))
        return self

    def ensured(self, user: UserRef = ALICE, agent: ExternalAgent = ANN) -> Decided:
        self.on(AgentEnsured(AgentFound(agent.system, agent.id, user.id, user.username, "mapped")))
        return self

    def refused(self, code: str, user: UserRef = ALICE, server: UserRef | None = None) -> Decided:
        self.on(MoveFailed(1, "agent", code, user.id, server))
        return self


def pushed(agent: ExternalAgent = ANN) -> AssignmentRequested:
    return AssignmentRequested(agent, "token:crm", "routing 17")


def test_rule_sends_a_new_conversation_to_a_decider() -> None:
    story = Decided()

    assert story.last.commands == (AskDecider("crm", reason=story.last.reason, within_ms=3000),)
    assert story.state.control.party == QUEUE
    assert story.state.assignment.stage == "asking"


def test_rules_file_knows_deciders() -> None:
    rules = parse_rules('default = "decider:crm"\n[handover]\ndecider = "crm"\n')

    assert (rules.default, rules.handover.decider) == (Target("decider", "crm"), "crm")


def test_decider_that_is_gone_leaves_the_ladder() -> None:
    story = Decided("nobody-knows")

    assert story.last.commands == (ListAgents(),)
    assert "not configured" in story.last.reason


def test_named_agent_is_ensured_given_the_room_and_serves() -> None:
    story = Decided().named()
    assert story.last.commands == (EnsureAgent(ANN),)

    story.ensured()
    assert story.last.commands == (AssignAgent("aliceId", "alice", within_ms=30_000),)
    assert story.last.considered[0].chosen

    story.on(MoveSucceeded(1, "agent", "aliceId"))
    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "served")

    story.on(ev.AgentAssigned(ALICE))
    assert story.last.commands == ()
    assert story.on(ev.ConversationClosed()).commands == (ReleaseAgent("aliceId"),)
    assert story.state.assignment.stage == "idle"


def test_hubs_report_may_come_before_the_answer_to_the_move() -> None:
    story = Decided().named().ensured()

    story.on(ev.AgentAssigned(ALICE))
    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "served")
    assert story.on(MoveSucceeded(1, "agent", "aliceId")).commands == ()


def test_bot_that_gives_way_is_silent_and_gets_back_what_was_held() -> None:
    story = Decided("mild", bot=True)
    assert kinds(story.last) == ["SendToVisitor", "AskDecider"]

    story.on(said("are you there?", 2))
    assert story.last.commands == ()
    story.on(DecisionFailed("mild", "no-agent"))

    assert story.state.control.connection == "helper"
    assert SendToParty("helper", "m2", "are you there?") in story.last.commands
    assert CancelDecision("mild", reason="mild names nobody (no-agent)") in story.last.commands


def test_connections_own_decider_goes_before_the_rules_one() -> None:
    bot = BotConnection("helper", "main", "botId", "bot", decider="strict")
    story = Story(RuleSet(handover=HandoverPolicy(decider="crm")), Directory((bot,), DIRECTORY.deciders)).with_bot()

    assert kinds(story.on(replied(handover=True))) == ["AskDecider"]
    assert story.state.assignment.decider == "strict"


def test_rule_for_the_queue_asks_nobody() -> None:
    rules = parse_rules(
        '[[rule]]\nname="p"\non="message"\nwhen={text="x"}\ntarget="queue"\n[handover]\ndecider="crm"\n'
    )
    story = Story(rules, DIRECTORY).with_bot()

    assert kinds(story.on(said("x"))) == ["ListAgents"]


@pytest.mark.parametrize(
    ("decider", "expected"), [("crm", ["CancelDecision", "ListAgents"]), ("strict", ["CancelDecision"])]
)
def test_decider_that_does_not_answer_leads_to_what_is_configured(decider: str, expected: list[str]) -> None:
    story = Decided(decider)

    assert kinds(story.on(DeliveryBuried(1, "AskDecider", code="decider-timeout"))) == expected
    assert story.state.assignment.stage == "idle"
    assert story.state.handover.stage == ("listing" if decider == "crm" else "idle")


def test_queue_takes_the_room_from_the_bot() -> None:
    story = Decided("strict", bot=True)

    assert kinds(story.on(DecisionFailed("strict", "no-agent"))) == ["CancelDecision", "ReturnToQueue"]
    story.on(MoveSucceeded(1, "queue"))
    assert (story.state.control.party, story.state.handover.stage) == (QUEUE, "idle")


def test_ticket_is_awaited_until_its_time_is_over() -> None:
    story = Decided()
    story.on(DecisionPending("crm", "T1", 5_000))
    assert story.last.commands == (StartTimer("ticket", "T1", 5_000),)

    assert story.on(ev.TimerFired("ticket", "T0")).commands == ()
    story.on(ev.TimerFired("ticket", "T1"))
    assert story.last.commands == (
        CancelDecision("crm", "T1", "", "crm did not decide in time"),
        ListAgents(),
    )
    before = story.state
    assert story.named(ticket="T1").state == before
    assert "nobody waits" in story.last.reason


def test_ticket_is_limited_by_our_own_setting() -> None:
    story = Decided()

    assert story.on(DecisionPending("crm", "T1", 10**9)).commands == (StartTimer("ticket", "T1", 60_000),)


def test_only_the_awaited_ticket_decides() -> None:
    story = Decided()
    story.on(DecisionPending("crm", "T1", 0))

    assert story.named(ticket="T2").last.commands == ()
    assert story.named().last.commands == ()
    assert story.named(ticket="T1").last.commands == (EnsureAgent(ANN),)
    assert story.named(ticket="T1").last.commands == ()


@pytest.mark.parametrize("stage", ["asking", "waiting", "ensuring", "seat", "moving"])
def test_whoever_takes_it_meanwhile_ends_the_decision(stage: str) -> None:
    story = Decided()
    if stage == "waiting":
        story.on(DecisionPending("crm", "T1", 0))
    if stage in ("ensuring", "seat", "moving"):
        story.named()
    if stage == "seat":
        story.on(NO_SEAT)
    if stage == "moving":
        story.ensured()
    story.on(ev.AgentAssigned(BOB))

    assert kinds(story.last) == (["CancelDecision"] if stage != "moving" else ["CancelDecision", "ReleaseAgent"])
    assert story.last.commands[0].reason == "bob serves"  # type: ignore[union-attr]
    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "idle")
    before = story.state
    late = story.named(ticket="T1" if stage == "waiting" else "")
    assert (late.state, late.last.commands) == (before, ())


def test_user_that_was_made_for_nothing_is_released() -> None:
    story = Decided().named()
    story.on(ev.AgentAssigned(BOB))

    assert story.ensured().last.commands == (ReleaseAgent("aliceId"),)
    assert story.state.served_by == BOB


def test_close_cancels_a_ticket() -> None:
    story = Decided()
    story.on(DecisionPending("crm", "T1", 0), ev.ConversationClosed())

    assert story.last.commands == (CancelDecision("crm", "T1", "", "the conversation was closed"),)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("error-user-is-offline", "offline"),
        ("error-agent-status-service-offline", "offline"),
        ("error-user-not-belong-to-department", "not in department"),
        ("error-max-number-simultaneous-chats-reached", "limit"),
        ("error-mac-limit-reached", "limit"),
        ("error-agent-is-locked", "locked"),
        ("error-room-onHold", "on hold"),
        ("something-new", "refused"),
    ],
)
def test_refusal_by_the_hub_is_classed_and_the_decider_asked_again(code: str, name: str) -> None:
    story = Decided().named().ensured().refused(code)

    assert refusal_of(code) == name
    assert story.last.considered[0].why == f"{name} ({code})"
    ask = story.last.commands[-1]
    assert isinstance(ask, AskDecider)
    assert (ask.asked, ask.excluded) == (2, ("0055",))
    assert story.last.commands[0] == ReleaseAgent("aliceId")
    story.named(ExternalAgent("crm", "0056")).ensured(BOB, ExternalAgent("crm", "0056")).refused(code, BOB)
    assert kinds(story.last) == ["ReleaseAgent", "CancelDecision", "ListAgents"]


def test_locked_agent_is_given_up_when_the_time_is_over() -> None:
    story = Decided("strict").named().ensured()
    story.on(DeliveryBuried(1, "AssignAgent", code="error-agent-is-locked"))

    assert story.last.considered[0].why == "locked (error-agent-is-locked)"
    assert story.state.assignment.stage == "idle"


def test_room_that_a_bot_took_meanwhile_is_forwarded() -> None:
    story = Decided().named().ensured().refused("error-inquiry-taken")
    assert kinds(story.last) == ["AssignAgent"]

    story.refused("error-inquiry-taken")
    assert kinds(story.last) == ["ReleaseAgent", "AskDecider"]


def test_room_that_a_person_took_meanwhile_is_his() -> None:
    story = Decided().named().ensured().refused("error-inquiry-taken", server=BOB)

    assert (story.state.control.party, story.state.served_by) == (AGENTS, BOB)
    assert kinds(story.last) == ["CancelDecision", "ReleaseAgent"]


@pytest.mark.parametrize("reason", ["unknown", "conflict", "creation_off", "over_budget", "waiting_approval"])
def test_agent_without_a_user_is_excluded(reason: Reason) -> None:
    story = Decided().named()
    story.on(AgentNotEnsured(AgentRefused("crm", "0055", reason, "in words")))

    assert story.last.considered[0].why == f"{reason}: in words"
    assert kinds(story.last) == ["AskDecider"]


def test_without_a_seat_the_room_waits_in_the_queue_until_there_is_one() -> None:
    story = Decided().named()
    story.on(NO_SEAT)
    timer = StartTimer("seat", "crm:0055", 30_000)
    assert story.last.commands == (timer,)
    assert (story.state.control.party, story.state.assignment.stage) == (QUEUE, "seat")
    assert story.last.considered[0].why == "waiting_seat: 5 of 5 seats are used"

    assert story.on(said("hello?")).commands == ()
    again = ev.TimerFired("seat", "crm:0055")
    assert story.on(again).commands == (EnsureAgent(ANN),)
    assert story.on(NO_SEAT).commands == (timer,)
    assert story.on(ev.TimerFired("seat", "crm:else")).commands == ()
    story.on(again)
    story.ensured()
    assert kinds(story.last) == ["AssignAgent"]
    story.on(ev.AgentAssigned(ALICE))
    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "served")
    assert story.on(again).commands == ()


def test_bot_leaves_the_room_that_waits_for_a_seat_and_people_may_take_it() -> None:
    story = Decided(bot=True).named()
    story.on(NO_SEAT)
    assert kinds(story.last) == ["StartTimer", "ReturnToQueue"]
    story.on(MoveSucceeded(1, "queue"), ev.AgentUnassigned(BOT))
    assert (story.state.control.party, story.state.assignment.stage) == (QUEUE, "seat")
    story.on(ev.AgentAssigned(BOB))

    assert (story.state.control.party, story.state.assignment.stage) == (AGENTS, "idle")
    assert story.last.commands[-1] == CancelDecision("crm", "", "0055", "bob serves")


def test_nobody_who_serves_gives_way_to_an_agent_without_a_seat() -> None:
    story = Decided()
    story.on(ev.AgentAssigned(BOB), pushed(), NO_SEAT)

    assert story.last.commands == ()
    assert (story.state.served_by, story.state.assignment.stage) == (BOB, "idle")


def test_seat_whose_timer_is_lost_is_not_waited_for() -> None:
    story = Decided("strict").named()
    story.on(NO_SEAT, DeliveryBuried(1, "StartTimer", "", "deadline"))

    assert (story.state.assignment.stage, story.state.handover.stage) == ("idle", "idle")
