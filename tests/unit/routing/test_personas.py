"""A desk in control names who of its people speaks: his user, the room's way to him, his words in order."""

from __future__ import annotations

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import AgentEnsured, AgentNotEnsured, PersonaShown
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.commands import AssignAgent, EnsureAgent, ReleaseAgent, SendToVisitor, Speaker
from omnibridge.domain.content import Text
from omnibridge.domain.conversation import AGENTS
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.domain.events import UserRef
from tests.unit.routing.test_router import ALICE, BOT, Story, kinds, said

MARIA, TOM = ExternalAgent("desk", "7", "Maria Fox"), ExternalAgent("desk", "8", "Tom Grant")
PROXY, OTHER = UserRef("mariaId", "agent.m"), UserRef("tomId", "agent.t")


def speaks(text: str, agent: ExternalAgent = MARIA, **signals: object) -> ev.PartySpoke:
    return ev.PartySpoke("helper", (Text(text),), agent=agent, **signals)  # type: ignore[arg-type]


def found(agent: ExternalAgent = MARIA, user: UserRef = PROXY, mode: str = "provisioned") -> AgentEnsured:
    return AgentEnsured(AgentFound(agent.system, agent.id, user.id, user.username, mode, agent.name))


def as_maria(text: str, user: UserRef | None = PROXY) -> SendToVisitor:
    own = (user.id, user.username) if user else ("", "")
    return SendToVisitor(Text(text), "helper", speaker=Speaker("desk", "7", "Maria Fox", *own, "Maria Fox: "))


def test_first_words_wait_for_the_user_and_follow_the_room() -> None:
    story = Story().with_bot()
    assert story.on(speaks("Hello")).commands == (EnsureAgent(MARIA, "speaks for helper"),)
    assert story.on(speaks("I am Maria")).commands == ()
    decision = story.on(found())
    move = AssignAgent("mariaId", "agent.m", within_ms=30_000)
    assert decision.commands == (move, as_maria("Hello"), as_maria("I am Maria"))

    story.on(ev.AgentUnassigned(BOT), ev.AgentAssigned(PROXY, only_by_decision=True))
    story.on(MoveSucceeded(1, "agent", "mariaId"))
    assert (story.state.control.party, story.state.served_by) == ("connection:helper", PROXY)
    assert story.on(speaks("How can I help?")).commands == (as_maria("How can I help?"),)
    assert kinds(story.on(said("my parcel"))) == ["SendToParty"]  # the desk is in control all the time


def test_second_person_of_the_desk_takes_over_and_the_first_is_released() -> None:
    story = Story().with_bot()
    story.on(speaks("Hello"), found(), ev.AgentAssigned(PROXY), MoveSucceeded(1, "agent", "mariaId"))
    story.on(speaks("I am Tom", TOM))
    assert story.last.commands == (EnsureAgent(TOM, "speaks for helper"), ReleaseAgent("mariaId"))
    story.on(found(TOM, OTHER))
    assert kinds(story.last) == ["AssignAgent", "SendToVisitor"]
    story.on(ev.AgentUnassigned(PROXY), ev.AgentAssigned(OTHER))

    assert story.state.control.party == "connection:helper"
    assert story.on(ev.ConversationClosed()).commands[-1] == ReleaseAgent("tomId")


def test_nobody_for_him_leaves_the_relay_account() -> None:
    refused = AgentNotEnsured(AgentRefused("desk", "7", "over_budget", "full"))
    unasked = DeliveryBuried(1, "EnsureAgent", "", "hub_error")
    for event in (refused, unasked):
        story = Story().with_bot()
        story.on(speaks("Hello"))
        assert story.on(event).commands == (as_maria("Hello", None),)
        assert story.on(speaks("Again")).commands == (as_maria("Again", None),)


def test_shared_and_mapped_users_speak_through_the_relay_account_and_get_no_room() -> None:
    for mode in ("shared", "mapped"):
        story = Story().with_bot()
        decision = story.on(speaks("Hello"), found(mode=mode))
        (words,) = decision.commands
        assert isinstance(words, SendToVisitor) and words.speaker
        assert (words.speaker.user_id, words.speaker.prefix) == ("", "Maria Fox: ")
        assert story.on(ev.ConversationClosed()).commands[-1:] != (ReleaseAgent("mariaId"),)


def test_hub_that_refuses_him_the_room_does_not_silence_him() -> None:
    story = Story().with_bot()
    story.on(speaks("Hello"), found(), MoveFailed(1, "agent", "error-agent-is-locked", "mariaId", BOT))

    assert story.last.commands == (ReleaseAgent("mariaId"),)
    assert story.on(speaks("Again")).commands == (as_maria("Again", None),)
    assert story.state.control.connection == "helper"


def test_person_who_takes_the_room_meanwhile_has_it() -> None:
    story = Story().with_bot()
    story.on(speaks("Hello"), found(), MoveFailed(1, "agent", "error-not-found", "mariaId", ALICE))
    assert story.state.control.party == AGENTS
    assert ReleaseAgent("mariaId") in story.last.commands

    story = Story().with_bot()
    story.on(speaks("Hello"), ev.AgentAssigned(ALICE))
    assert "1 of desk:7's words are not said" in story.last.reason
    assert (story.state.control.party, story.state.persona) == (AGENTS, None)
    assert story.on(found()).commands == (ReleaseAgent("mariaId"),)
    assert story.on(speaks("late")).commands == ()


def test_last_words_do_not_wait() -> None:
    story = Story().with_bot()
    decision = story.on(speaks("Goodbye", close=True))

    assert kinds(decision) == ["SendToVisitor", "CloseConversation"]
    assert as_maria("Goodbye", None) in decision.commands
    story.on(speaks("Wait", handover=True))
    assert story.state.persona is None


def test_what_waits_is_said_when_the_party_gives_way_by_itself() -> None:
    story = Story().with_bot()
    story.on(speaks("Hello"))
    decision = story.on(ev.PartySpoke("helper", handover=True))

    assert decision.commands[0] == as_maria("Hello", None)
    assert kinds(decision) == ["SendToVisitor", "ListAgents"]

    story = Story().with_bot()
    story.on(speaks("Hello"))
    assert kinds(story.on(speaks("Bye", handover=True))) == ["SendToVisitor", "SendToVisitor", "ListAgents"]


def test_what_he_says_while_people_are_looked_for_keeps_his_name() -> None:
    story = Story().with_bot()
    story.on(ev.PartySpoke("helper", handover=True), speaks("Wait"))

    assert story.state.handover.said == (Text("Maria Fox: Wait"),)


def test_words_without_a_name_are_the_connections_own() -> None:
    story = Story().with_bot()
    story.on(speaks("Hello"), found())

    assert story.on(ev.PartySpoke("helper", (Text("Queue: 2"),))).commands == (
        SendToVisitor(Text("Queue: 2")),  # by the relay account: the bot user serves no more
    )


def test_shown_name_is_recorded_in_words() -> None:
    story = Story().with_bot()
    story.on(PersonaShown(12, "m1", "desk", "7", "Maria Fox", "mariaId", own=True))
    assert story.last.reason == "delivery 12 is shown as Maria Fox (desk:7), as his own user"
