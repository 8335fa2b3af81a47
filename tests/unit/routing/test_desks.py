"""A desk by example: offered, accepted, declined, ended on its side, and nothing that the visitor wrote is lost."""

from __future__ import annotations

import msgspec
import pytest

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import AssignmentRequested
from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.commands import (
    AssignAgent,
    CloseConversation,
    CloseSession,
    EnsureAgent,
    OpenSession,
    ResumeTurns,
    ReturnToQueue,
    SendToParty,
    SendToVisitor,
    StartTimer,
)
from omnibridge.domain.content import Text
from omnibridge.domain.delivery_events import DeliveryBuried, MoveSucceeded, TurnRepeated
from omnibridge.domain.desk_events import PartyAccepted, PartyDeclined, PartyLeft
from omnibridge.domain.directory import BotConnection, Desk, Directory
from omnibridge.domain.events import UserRef
from omnibridge.routing.rules import Condition, Rule, RuleSet, Target
from omnibridge.routing.texts import Texts
from tests.unit.routing.test_router import ALICE, BOT, NOW, Story, kinds, replied, said

DESK_USER = UserRef("deskId", "desk")
ANN = ExternalAgent("crm", "0051", "Ann Lee")
DAY_MS = 86_400_000


def directory(**terms: object) -> Directory:
    return Directory(
        (
            BotConnection("helper", "main", "botId", "bot", hands_to="sales"),
            BotConnection("sales", "main", "deskId", "desk", desk=Desk(60_000, **terms)),  # type: ignore[arg-type]
        )
    )


def offered(rules: RuleSet | None = None, **terms: object) -> Story:
    story = Story(rules, directory(**terms)).with_bot()
    story.on(said("a person please"), replied("One moment", handover=True, handover_department="Sales"))
    story.on(MoveSucceeded(1, "bot", "deskId"), ev.AgentUnassigned(BOT), ev.AgentAssigned(DESK_USER, True, "sales"))
    return story


def test_bot_that_gives_way_offers_it_to_its_desk() -> None:
    story = Story(directory=directory()).with_bot()
    story.on(said("a person please"))
    decision = story.on(replied("One moment", handover=True, handover_department="Sales"))

    assert decision.commands == (
        SendToVisitor(Text("One moment"), "helper"),
        AssignAgent("deskId", "desk", "sales"),
        OpenSession("sales", "helper asked for a person", "Sales", 60_000),
        StartTimer("offer", "sales", 60_000),
    )
    assert decision.after.control.connection == "sales"


@pytest.mark.parametrize("moved_first", [True, False])
def test_desk_whose_user_the_hub_picked_first_keeps_what_it_is_offered(moved_first: bool) -> None:
    """The hub gave the room to the desk's user, the rules to the bot, and the bot gives way before that move is known:
    the move to the bot comes after all, and must not be taken for somebody who takes the room from the desk."""
    story = Story(directory=directory())
    story.on(ev.ConversationStarted(), ev.AgentAssigned(DESK_USER, True, "sales"), said("a person please"))
    decision = story.on(replied("One moment", handover=True))
    assert "AssignAgent" in kinds(decision), "behind the move to the bot"

    reports = [ev.AgentUnassigned(DESK_USER), ev.AgentAssigned(BOT, True, "helper")]
    to_bot, to_desk = MoveSucceeded(1, "bot", "botId"), MoveSucceeded(2, "bot", "deskId")
    for event in (to_bot, *reports, to_desk) if moved_first else (*reports, to_bot, to_desk):
        assert story.on(event).after.control.party == "connection:sales"
    after = story.on(ev.AgentUnassigned(BOT), ev.AgentAssigned(DESK_USER, True, "sales")).after
    assert (after.control.party, after.served_by) == ("connection:sales", DESK_USER)


def test_words_wait_for_the_desk_for_as_long_as_it_may_be_down() -> None:
    assert offered().on(said("hello?", 2)).commands == (SendToParty("sales", "m2", "hello?", within_ms=DAY_MS),)


def test_bot_is_told_that_it_is_over_and_who_joins_is_shown_before_his_first_word() -> None:
    story = offered()
    decision = story.on(PartyAccepted("sales", ANN))

    assert decision.commands == (
        CloseSession("helper", "sales has taken over"),
        EnsureAgent(ANN, "speaks for sales"),
    )
    assert story.on(ev.TimerFired("offer", "sales")).commands == ()
    assert story.state.control.connection == "sales"


def test_close_waits_for_what_the_visitor_wrote_before_it() -> None:
    story = offered()
    story.on(PartyAccepted("sales"), said("a", 2), said("b", 3), said("c", 4))
    story.on(ev.PartyReplied("sales", 2, story.state.control.epoch, accepted=True, message_id="m2"))
    decision = story.on(ev.ConversationClosed())

    assert decision.commands == (
        ResumeTurns("sales", 2, DAY_MS),
        CloseSession("sales", decision.reason, DAY_MS),
    )
    epoch = story.state.control.epoch
    assert story.on(ev.PartyReplied("sales", 3, epoch, accepted=True, message_id="m3")).commands == ()


def test_close_before_anybody_accepted_is_told_at_once() -> None:
    story = offered()
    story.on(said("a", 2))

    assert kinds(story.on(ev.ConversationClosed())) == ["CloseSession", "CloseSession"]  # the bot's, the desk's


@pytest.mark.parametrize(
    "event",
    [
        PartyDeclined("sales", "no-agents"),
        ev.TimerFired("offer", "sales"),
        DeliveryBuried(1, "OpenSession", "sales", "down"),
        PartyLeft("sales"),
    ],
    ids=["declined", "too late", "cannot be reached", "ended before anybody accepted"],
)
def test_without_a_taker_people_of_the_workspace_are_looked_for_and_else_the_bot_goes_on(event: ev.Event) -> None:
    story = offered()
    story.on(said("hello?", 2), ev.PartyReplied("sales", 2, 2, accepted=True, message_id="m2"))
    decision = story.on(event)
    assert kinds(decision) == ["ListAgents", "CloseSession"]
    back = story.on(ev.AgentsListed(1))

    assert back.after.control.connection == "helper"
    assert AssignAgent("botId", "bot", "helper") in back.commands
    assert SendToParty("helper", "m2", "hello?") in back.commands
    assert "OpenSession" not in kinds(back)


def test_declined_goes_back_to_the_bot_at_once_where_that_is_wanted() -> None:
    decision = offered(on_declined="bot").on(PartyDeclined("sales", "closed"))

    assert decision.after.control.connection == "helper"
    assert decision.after.desk is None
    assert decision.commands[-1] == CloseSession("sales", decision.reason, DAY_MS)
    assert SendToVisitor(Text(Texts().nobody_online), "helper", "system") in decision.commands


def test_decline_before_its_user_has_the_room_waits_for_that() -> None:
    """Else the report of our own move would look as if somebody had given the room to the desk."""
    story = Story(directory=directory(on_declined="bot")).with_bot()
    story.on(said("a person please"), replied("One moment", handover=True))
    early = story.on(PartyDeclined("sales", "closed"))
    between = story.on(ev.AgentUnassigned(BOT))
    decision = story.on(ev.AgentAssigned(DESK_USER, True, "sales"))
    late = story.on(ev.AgentUnassigned(DESK_USER), ev.AgentAssigned(BOT, True, "helper"))

    assert early.commands == between.commands == ()
    assert kinds(decision) == ["AssignAgent", "SendToVisitor", "CloseSession"]
    assert decision.after.control.connection == late.after.control.connection == "helper"
    assert decision.after.desk is None


def test_decline_waits_no_longer_than_the_offer_lasts() -> None:
    story = Story(directory=directory()).with_bot()
    story.on(said("a person please"), replied("One moment", handover=True))
    story.on(PartyDeclined("sales", "closed"))
    decision = story.on(ev.TimerFired("offer", "sales"))

    assert kinds(decision) == ["ListAgents", "CloseSession"]
    assert "closed" in decision.reason


def test_people_who_say_the_same_again_are_not_taken_for_a_bot_that_answers_a_turn_again() -> None:
    story = offered()
    story.on(PartyAccepted("sales"), said("hm", 2), ev.PartySpoke("sales", (Text("ok"),)))
    story.on(TurnRepeated("sales", 1))

    assert kinds(story.on(ev.PartySpoke("sales", (Text("ok"),)))) == ["SendToVisitor"]


def test_agent_who_ends_it_leads_to_the_configured_step() -> None:
    def ends(way: str) -> list[str]:
        story = offered(RuleSet(texts=Texts(desk_left="Goodbye.")), on_left=way)
        story.on(PartyAccepted("sales"))
        return kinds(story.on(PartyLeft("sales", "agent")))

    assert ends("close") == ["SendToVisitor", "CloseConversation", "CloseSession"]
    assert ends("bot") == ["SendToVisitor", "AssignAgent", "CloseSession"]
    assert ends("queue") == ["SendToVisitor", "ReturnToQueue", "CloseSession"]
    assert ends("ladder") == ["SendToVisitor", "ListAgents", "CloseSession"]


def test_person_who_takes_the_room_ends_the_session_of_the_desk() -> None:
    story = offered()
    story.on(PartyAccepted("sales"))
    decision = story.on(ev.AgentAssigned(ALICE))

    assert [each for each in decision.commands if isinstance(each, CloseSession)] == [
        CloseSession("sales", "alice took over", DAY_MS)
    ]
    assert story.on(ev.PartySpoke("sales", (Text("late"),))).commands == ()


def test_close_ends_both_sessions_while_nobody_has_accepted() -> None:
    decision = offered().on(ev.ConversationClosed(by="visitor"))

    assert {each.connection for each in decision.commands if isinstance(each, CloseSession)} == {"helper", "sales"}


def test_rule_gives_a_new_conversation_to_a_desk() -> None:
    story = Story(RuleSet(default=Target("bot", "sales")), directory(on_left="bot"))
    decision = story.on(ev.ConversationStarted())
    assert kinds(decision) == ["AssignAgent", "OpenSession", "StartTimer"]
    story.on(PartyAccepted("sales"))

    assert kinds(story.on(PartyLeft("sales"))) == ["ListAgents", "CloseSession"]


def test_desk_that_keeps_giving_it_back_is_not_offered_it_for_ever() -> None:
    story = Story(directory=directory(on_declined="bot")).with_bot()
    offers = 0
    for n in range(10):
        decision = story.on(said("a person please", n), replied(handover=True))
        offers += "OpenSession" in kinds(decision)
        story.on(ev.AgentAssigned(DESK_USER, True, "sales"))
        story.on(PartyDeclined("sales", "closed"), ev.AgentAssigned(BOT, True, "helper"))

    assert offers == RuleSet().handover.max_handovers


def test_words_that_cannot_reach_the_desk_are_told_once() -> None:
    story = offered()
    story.on(PartyAccepted("sales"), said("x", 2), said("y", 3))
    lost = [DeliveryBuried(n, "SendToParty", "sales", "gone", f"m{n}") for n in (2, 3)]

    assert [kinds(story.on(each)) for each in lost] == [["SendToVisitor"], []]
    assert story.state.waiting == ()
    assert story.state.control.connection == "sales"


def test_decisions_about_desks_are_plain_data() -> None:
    state = offered().state
    assert msgspec.json.decode(msgspec.json.encode(state), type=type(state)) == state
    assert CloseConversation("x") != ReturnToQueue()


def accepted(**terms: object) -> Story:
    story = offered(**terms)
    story.on(PartyAccepted("sales"))
    return story


def test_room_given_to_the_user_of_a_desk_is_offered_to_it() -> None:
    """Staff may forward to it like to any user: it was in control then, without a session that words could go to."""
    story = Story(directory=directory()).with_bot()
    decision = story.on(ev.AgentAssigned(DESK_USER, True, "sales"))

    assert kinds(decision) == ["OpenSession", "StartTimer"]
    assert decision.after.desk is not None
    assert decision.after.desk.giver == "helper"


def test_late_report_that_the_bot_serves_takes_nothing_from_the_desk() -> None:
    story = Story(directory=directory())
    story.on(ev.ConversationStarted(), MoveSucceeded(1, "bot", "botId"), replied(handover=True))
    decision = story.on(ev.AgentAssigned(BOT, True, "helper"))

    assert (decision.commands, decision.after.control.connection) == ((), "sales")


@pytest.mark.parametrize(
    "event",
    [
        ev.PartySpoke("sales", (Text("bye"),), handover=True),
        AssignmentRequested(ExternalAgent("crm", "0055"), "token:x"),
    ],
    ids=["asks for a person", "a decision was pushed"],
)
def test_desk_that_gives_way_does_not_have_it_back_without_a_session(event: ev.Event) -> None:
    story = accepted()
    decision = story.on(event)

    assert CloseSession("sales", decision.reason, DAY_MS) in decision.commands
    assert decision.after.handover.from_connection == "helper"


def test_words_that_the_desk_was_not_given_go_to_the_bot() -> None:
    story = accepted(on_left="bot")
    story.on(said("one", 2), ev.PartyReplied("sales", 2, 3, accepted=True, message_id="m2"), said("two", 3))
    decision = story.on(PartyLeft("sales"))

    assert SendToParty("helper", "m3", "two") in decision.commands
    assert "m2" not in [each.message_id for each in decision.commands if isinstance(each, SendToParty)]


def test_desk_that_is_not_configured_any_more_gives_it_back() -> None:
    story = accepted()
    story.on(said("hello?", 2))
    story.directory = Directory(story.directory.connections[:1])
    decision = story.on(DeliveryBuried(1, "SendToParty", "sales", "connection-unknown", "m2"))

    assert SendToParty("helper", "m2", "hello?") in decision.commands
    assert decision.after.control.connection == "helper"


def test_room_that_nobody_has_is_not_left_with_the_user_of_a_desk() -> None:
    """Without a bot that gave it: nobody looks at a room that one of our users serves."""
    story = Story(RuleSet(default=Target("bot", "sales")), directory())
    story.on(ev.ConversationStarted(), MoveSucceeded(1, "bot", "deskId"), PartyDeclined("sales", "no-agents"))
    decision = story.on(ev.AgentsListed(1))

    assert kinds(decision) == ["SendToVisitor", "ReturnToQueue"]
    assert story.on(MoveSucceeded(2, "queue")).after.served_by is None


def test_desk_whose_last_step_is_a_close_is_not_in_control_until_the_hub_has_closed() -> None:
    story = accepted(on_left="close")
    story.on(PartyLeft("sales"))

    assert story.state.control.party == "queue"
    assert story.on(said("wait", 2)).commands == ()


def test_rule_for_a_message_moves_it_from_desk_to_desk_with_the_message() -> None:
    care = BotConnection("care", "main", "careId", "care", desk=Desk(60_000))
    rules = RuleSet((Rule("care", "message", (Condition("text", "contains", "care"),), Target("bot", "care")),))
    story = Story(rules, Directory((*directory().connections, care))).with_bot()
    story.on(replied(handover=True), said("one", 2))
    decision = story.on(said("care please", 3))

    assert kinds(decision) == ["AssignAgent", "OpenSession", "StartTimer", "SendToParty", "CloseSession"]
    assert decision.after.desk is not None
    assert (decision.after.desk.connection, decision.after.desk.giver) == ("care", "helper")
    assert [each.message_id for each in decision.after.held] == ["m2", "m3"]


def test_rule_that_sends_a_message_to_another_bot_gives_it_that_message() -> None:
    other = BotConnection("other", "main", "otherId", "other")
    rules = RuleSet((Rule("o", "message", (Condition("text", "contains", "bill"),), Target("bot", "other")),))
    story = Story(rules, Directory((*directory().connections, other))).with_bot()

    assert story.on(said("my bill", 2)).commands[-1] == SendToParty("other", "m2", "my bill")


def test_answer_of_the_bot_that_comes_while_a_desk_is_asked_is_said_if_it_stays() -> None:
    story = Story(directory=directory(on_declined="bot")).with_bot()
    story.on(said("a person please"), said("and where is my order?", 2), replied(handover=True))
    story.on(ev.PartyReplied("helper", 2, 1, (Text("On its way."),), message_id="m2"))
    assert [each.message_id for each in story.state.held] == []
    story.on(MoveSucceeded(1, "bot", "deskId"), ev.AgentUnassigned(BOT), ev.AgentAssigned(DESK_USER, True, "sales"))
    decision = story.on(PartyDeclined("sales", "no-agents"))

    assert SendToVisitor(Text("On its way."), "helper") in decision.commands
    assert "ResumeTurns" not in kinds(decision)


def test_what_the_bot_said_meanwhile_is_not_said_once_somebody_accepted() -> None:
    story = Story(directory=directory()).with_bot()
    story.on(said("a person please"), said("and where is my order?", 2), replied(handover=True))
    story.on(ev.PartyReplied("helper", 2, 1, (Text("On its way."),), message_id="m2"), PartyAccepted("sales"))

    assert "SendToVisitor" not in kinds(story.on(PartyLeft("sales")))


def test_desk_reads_what_a_gap_swallowed_one_after_the_other() -> None:
    story = offered()
    story.on(PartyAccepted("sales"))
    found = tuple(ev.RecoveredMessage(f"m{n}", f"text {n}", NOW + n) for n in (2, 3))

    assert story.on(ev.MessagesRecovered(found)).commands == tuple(
        SendToParty("sales", f"m{n}", f"text {n}", late=True, within_ms=DAY_MS) for n in (2, 3)
    )
