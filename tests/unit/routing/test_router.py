"""The router by example: who is in control after an event, what is done, and why."""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import (
    AssignAgent,
    CloseConversation,
    CloseSession,
    ListAgents,
    ReturnToQueue,
    SendToParty,
    SendToVisitor,
    TransferToDepartment,
)
from omnibridge.domain.content import Choices, Option, Text
from omnibridge.domain.conversation import AGENTS, QUEUE, Conversation
from omnibridge.domain.delivery_events import DeliveryBuried, DeliveryDelayed, MoveFailed, MoveSucceeded
from omnibridge.domain.directory import BotConnection, Directory
from omnibridge.domain.events import CandidateAgent, CandidateDepartment, UserRef
from omnibridge.routing.decision import Decision
from omnibridge.routing.router import route
from omnibridge.routing.rules import HandoverPolicy, RuleSet
from omnibridge.routing.rules_file import parse_rules

BOT = UserRef("botId", "bot")
ALICE = UserRef("aliceId", "alice")
DIRECTORY = Directory((BotConnection("helper", "main", "botId", "bot", fallbacks=2),))
NOW = 1_700_000_000_000


class Story:
    """Feeds events one after the other and remembers the last decision."""

    def __init__(self, rules: RuleSet | None = None, directory: Directory = DIRECTORY) -> None:
        self.rules, self.directory, self.now = rules or RuleSet(), directory, NOW
        self.state = Conversation("main", "room1")
        self.last = Decision("", self.state)

    def on(self, *events: ev.Event) -> Decision:
        for event in events:
            self.now += 1000
            self.last = route(self.state, event, self.rules, self.directory, self.now)
            self.state = self.last.after
        return self.last

    def with_bot(self) -> Story:
        moved = MoveSucceeded(1, "bot", BOT.id)
        self.on(ev.ConversationStarted(visitor_name="Vera"), moved, ev.AgentAssigned(BOT, True, "helper"))
        return self


def said(text: str, n: int = 1) -> ev.MessagePosted:
    return ev.MessagePosted(f"m{n}", "visitor", "v", text, NOW + n)


def replied(*parts: str, **signals: object) -> ev.PartyReplied:
    return ev.PartyReplied("helper", 1, 1, tuple(Text(each) for each in parts), **signals)  # type: ignore[arg-type]


def kinds(decision: Decision) -> list[str]:
    return [type(each).__name__ for each in decision.commands]


def test_new_conversation_goes_to_the_first_connection() -> None:
    decision = Story().on(ev.ConversationStarted())

    assert decision.after.control.party == "connection:helper"
    assert decision.commands == (AssignAgent("botId", "bot", "helper"),)


def test_welcome_is_asked_of_a_connector_that_welcomes() -> None:
    directory = Directory((msgspec.structs.replace(DIRECTORY.connections[0], welcomes=True),))

    assert kinds(Story(directory=directory).on(ev.ConversationStarted())) == ["AssignAgent", "SendToParty"]


def test_visitor_message_goes_to_the_bot_in_control() -> None:
    assert Story().with_bot().on(said("hello")).commands == (SendToParty("helper", "m1", "hello"),)


def test_choice_is_understood_by_number_and_by_label() -> None:
    story = Story().with_bot()
    offer = Choices("Which?", (Option("Red", "/red"), Option("Blue", "/blue")))
    for answer in ("2", "blue", "2."):
        story.on(said("colours"), ev.PartyReplied("helper", 1, 1, (offer,)))

        assert story.on(said(answer)).commands[0] == SendToParty("helper", "m1", answer, "/blue")


def test_choices_end_with_the_next_answer() -> None:
    story = Story().with_bot()
    story.on(ev.PartyReplied("helper", 1, 1, (Choices("?", (Option("Red", "/red"),)),)), replied("ok"))

    assert story.on(said("1")).commands == (SendToParty("helper", "m1", "1"),)


def test_answer_is_posted_as_the_bot() -> None:
    assert Story().with_bot().on(said("x"), replied("yes")).commands == (SendToVisitor(Text("yes"), "helper"),)


def test_answer_after_a_person_took_over_is_not_posted() -> None:
    story = Story().with_bot()
    story.on(said("x"), ev.AgentAssigned(ALICE))

    assert story.on(replied("too late")).commands == ()


def test_person_taking_over_refuses_what_the_bot_still_had_to_say() -> None:
    story = Story().with_bot()
    before = story.state.control.epoch
    decision = story.on(ev.AgentAssigned(ALICE))

    assert (decision.after.control.party, decision.refuse_spoken) == (AGENTS, True)
    assert decision.after.control.epoch == before + 1
    assert decision.commands == (CloseSession("helper", "alice serves"),)


def test_handover_asked_by_the_bot_says_its_text_first() -> None:
    decision = Story().with_bot().on(said("human"), replied("One moment", handover=True))

    assert kinds(decision) == ["SendToVisitor", "ListAgents"]
    assert (decision.after.control.party, decision.refuse_spoken) == (QUEUE, False)


def test_second_handover_signal_changes_nothing() -> None:
    story = Story().with_bot()
    story.on(said("a", 1), said("b", 2), replied(handover=True))

    assert story.on(replied(handover=True)).commands == ()


def test_fallbacks_in_a_row_lead_to_people() -> None:
    story = Story().with_bot()
    story.on(said("x"), replied("?", fallback=True))

    assert "ListAgents" in kinds(story.on(said("y"), replied("?", fallback=True)))


def test_understood_answer_resets_the_fallbacks() -> None:
    story = Story().with_bot()
    story.on(said("x"), replied("?", fallback=True), said("y"), replied("yes"))

    assert "ListAgents" not in kinds(story.on(said("z"), replied("?", fallback=True)))


def listed(*agents: CandidateAgent, departments: tuple[CandidateDepartment, ...] = ()) -> ev.AgentsListed:
    return ev.AgentsListed(2, agents, departments, can_return_to_queue=True)


def test_ladder_takes_the_person_with_fewest_chats() -> None:
    story = Story().with_bot()
    busy, free = CandidateAgent("b", "bob", open_chats=3), CandidateAgent("a", "alice", open_chats=1)
    decision = story.on(said("x"), replied(handover=True), listed(busy, free, CandidateAgent("botId", "bot")))

    assert decision.commands == (AssignAgent("a", "alice"),)


def test_ladder_goes_on_when_the_hub_refuses() -> None:
    story = Story().with_bot()
    story.on(said("x"), replied(handover=True), listed(CandidateAgent("a", "alice")))

    assert story.on(MoveFailed(3, "agent", "error-user-is-offline")).commands == (ReturnToQueue(),)


def test_wished_department_comes_first() -> None:
    story = Story().with_bot()
    sales = CandidateDepartment("d1", "Sales")
    wish = replied(handover=True, handover_department="sales")
    decision = story.on(said("x"), wish, listed(CandidateAgent("a", "alice"), departments=(sales,)))

    assert decision.commands == (TransferToDepartment("d1", "Sales"),)


def test_same_department_is_not_tried() -> None:
    story = Story()
    story.on(ev.ConversationStarted(department="d1"), ev.AgentAssigned(BOT, True, "helper"))
    sales = CandidateDepartment("d1", "Sales")
    wish = replied(handover=True, handover_department="Sales")
    decision = story.on(said("x"), wish, listed(CandidateAgent("a", "alice"), departments=(sales,)))

    assert decision.commands == (AssignAgent("a", "alice"),)
    assert any("same department" in each.why for each in decision.considered)


def test_nobody_online_tells_the_visitor_and_the_bot_stays() -> None:
    story = Story().with_bot()
    story.on(said("human"), replied(handover=True))
    story.on(said("hello?", 2))
    decision = story.on(listed())

    assert decision.after.control.party == "connection:helper"
    assert kinds(decision) == ["SendToVisitor", "SendToParty"]
    assert decision.commands[1] == SendToParty("helper", "m2", "hello?")


def test_no_more_than_three_moves() -> None:
    story = Story(RuleSet(handover=HandoverPolicy(ladder=("agent", "queue"))))
    story.with_bot().on(said("x"), replied(handover=True, handover_department="a"))
    departments = (CandidateDepartment("a", "a"),)
    story.on(listed(CandidateAgent("a", "alice"), departments=departments))
    moves = 1
    while story.state.handover.stage == "moving":
        moves += bool(story.on(MoveFailed(3, "x", "error-x")).commands)

    assert moves <= 3
    assert story.state.control.party == "connection:helper"


def test_looping_handovers_stop() -> None:
    story = Story(RuleSet(handover=HandoverPolicy(max_handovers=2, window_s=60))).with_bot()
    for _ in range(2):
        story.on(said("human"), replied(handover=True), listed())
    decision = story.on(said("human"), replied("wait", handover=True))

    assert kinds(decision) == ["SendToVisitor", "SendToVisitor"]
    assert "came back" in decision.reason


def test_close_says_its_text_first_and_handover_wins() -> None:
    assert kinds(Story().with_bot().on(said("bye"), replied("Bye", close=True))) == [
        "SendToVisitor",
        "CloseConversation",
    ]
    assert ListAgents() in Story().with_bot().on(said("bye"), replied(close=True, handover=True)).commands
    assert CloseConversation not in map(
        type, Story().with_bot().on(said("bye"), replied(close=True, handover=True)).commands
    )


def test_closed_conversation_ends_the_session_once() -> None:
    story = Story().with_bot()

    assert story.on(ev.ConversationClosed("alice", "user")).commands == (CloseSession("helper", "closed"),)
    assert story.on(ev.ConversationClosed("alice", "user")).commands == ()
    assert story.on(replied("late")).commands == ()


def test_bot_that_is_down_gives_way_to_people() -> None:
    decision = Story().with_bot().on(said("x"), DeliveryBuried(5, "SendToParty", "helper", "not-sent"))

    assert kinds(decision) == ["SendToVisitor", "ListAgents"]


def test_bot_serves_although_the_hub_never_reported_it() -> None:
    """Then a handover that finds nobody leaves the conversation with the bot."""
    story = Story()
    story.on(ev.ConversationStarted(), MoveSucceeded(1, "bot", "botId"))
    decision = story.on(said("human"), replied(handover=True), listed())

    assert decision.after.control.party == "connection:helper"


def test_slow_bot_is_excused_once() -> None:
    story = Story().with_bot()

    assert kinds(story.on(said("x"), DeliveryDelayed(5, "helper"))) == ["SendToVisitor"]
    assert kinds(story.on(DeliveryDelayed(5, "helper"))) == []


def test_message_rule_sends_to_people() -> None:
    rules = parse_rules(
        '[[rule]]\nname = "person"\non = "message"\nwhen = { text = { contains = "human" } }\ntarget = "queue"\n'
    )
    decision = Story(rules).with_bot().on(said("a HUMAN please"))

    assert (kinds(decision), decision.rule) == (["ListAgents"], "person")


def test_start_rule_by_visitor_field() -> None:
    rules = parse_rules('[[rule]]\nname = "vip"\nwhen = { "visitor.tier" = ["gold"] }\ntarget = "agent:alice"\n')
    story = Story(rules)
    story.on(ev.ConversationStarted(visitor_fields={"tier": "Gold"}))

    assert story.on(listed(CandidateAgent("a", "alice"))).commands == (AssignAgent("a", "alice"),)


def test_same_arguments_give_the_same_bytes() -> None:
    state, event = Story().with_bot().state, said("hello")
    encoded = [msgspec.json.encode(route(state, event, RuleSet(), DIRECTORY, NOW), order="deterministic") for _ in "ab"]

    assert encoded[0] == encoded[1]
    assert msgspec.json.decode(encoded[0], type=Decision) == route(state, event, RuleSet(), DIRECTORY, NOW)


def test_person_who_forwards_to_the_bot_gives_it_back_without_a_word_of_ours() -> None:
    story = Story().with_bot()
    story.on(said("a person please"), replied(handover=True))
    story.on(ev.AgentsListed(1, (CandidateAgent("aliceId", "alice"),)), MoveSucceeded(1, "agent", "aliceId"))
    story.on(ev.AgentUnassigned(BOT), ev.AgentAssigned(ALICE), ev.AgentUnassigned(ALICE))
    decision = story.on(ev.AgentAssigned(BOT, True, "helper"))

    assert decision.after.control.connection == "helper"
    assert decision.commands == ()
    assert story.on(said("hello again", 2)).commands == (SendToParty("helper", "m2", "hello again"),)
    assert kinds(story.on(said("a person again", 3), replied(handover=True))) == ["ListAgents"]


def test_bot_that_the_hub_picked_first_does_not_undo_what_the_rules_decided() -> None:
    """Two bots, both agents: the hub gives the room to one, the rules to the other, and its report comes late."""
    other = BotConnection("other", "main", "otherId", "other")
    story = Story(parse_rules('default = "bot:helper"\n'), Directory((*DIRECTORY.connections, other)))
    story.on(ev.ConversationStarted())
    reported = story.on(ev.AgentAssigned(UserRef("otherId", "other"), True, "other"))
    moved = story.on(MoveSucceeded(1, "bot", "botId"), ev.AgentUnassigned(UserRef("otherId", "other")))

    assert "the hub gave it to other first" in reported.reason
    assert reported.after.control.party == moved.after.control.party == "connection:helper"
    assert kinds(story.on(said("hi"))) == ["SendToParty"]
    given = story.on(ev.AgentAssigned(UserRef("otherId", "other"), True, "other"))
    assert given.after.control.party == "connection:other", "people may give it to another bot later"
