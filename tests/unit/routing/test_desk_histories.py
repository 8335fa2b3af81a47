"""Desks in any order of events: somebody is in control or on his way, sessions are opened and closed in turns, and what
the visitor wrote is given to who has him in the end."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibridge.domain import commands as cmd
from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import AgentEnsured, AgentNotEnsured, AssignmentRequested
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.content import Text
from omnibridge.domain.conversation import AGENTS, QUEUE, Conversation
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.domain.desk_events import NoticeGiven, PartyAccepted, PartyDeclined, PartyLeft, QueuePositionChanged
from omnibridge.domain.directory import BotConnection, Desk, Directory, Way
from omnibridge.domain.events import CandidateAgent, UserRef
from omnibridge.engine.outgoing import UNBOUND
from omnibridge.routing.decision import decode_decision, encode_decision, state_after
from omnibridge.routing.router import route
from omnibridge.routing.rules import Condition, Rule, RuleSet, Target, TargetKind
from tests.unit.routing.test_router import ALICE, BOT, NOW, replied, said

DESKS = ("sales", "care")
CARE_USER = UserRef("careId", "care")
DESK_USER = UserRef("deskId", "desk")
MARIA = UserRef("mariaId", "agent.m")
FOX = ExternalAgent("desk", "7", "Maria Fox")
WAYS: tuple[Way, ...] = ("ladder", "bot", "queue", "close")


def directory(on_declined: Way, on_left: Way) -> Directory:
    return Directory(
        (
            BotConnection("helper", "main", "botId", "bot", hands_to="sales"),
            BotConnection(
                "care", "main", "careId", "care", desk=Desk(60_000, on_declined=on_left, on_left=on_declined)
            ),
            BotConnection(
                "sales", "main", "deskId", "desk", desk=Desk(60_000, on_declined=on_declined, on_left=on_left)
            ),
        )
    )


WORDS: tuple[tuple[TargetKind, str], ...] = (
    ("bot", "helper"), ("bot", "care"), ("bot", "sales"), ("queue", ""), ("agent", "alice")
)  # fmt: skip
RULES = tuple(
    Rule(f"to {name or kind}", "message", (Condition("text", "equals", name or kind),), Target(kind, name))
    for kind, name in WORDS
)


class World:
    """The conversation, what is under way (rows of an older epoch are refused), and the words nobody has yet."""

    def __init__(self, choices: list[int], terms: tuple[Way, Way], first: str) -> None:
        self.choices = iter(choices)
        self.directory = directory(*terms)
        self.rules = RuleSet(default=Target("bot", first), rules=RULES)
        self.state, self.now, self.n = Conversation("main", "room1"), NOW, 0
        self.out: list[tuple[cmd.Command, int | None]] = []
        self.open: set[str] = set()
        self.homeless: set[str] = set()
        self.unsaid = 0  # words of the desk's people that are not on their way and were not refused in words
        self.on(ev.ConversationStarted())

    def pick(self, among: int) -> int:
        return next(self.choices, 0) % among

    def on(self, event: ev.Event) -> None:
        self.now += 500
        before = self.state
        decision = route(before, event, self.rules, self.directory, self.now)
        stored = encode_decision(decision, before)
        self.state = msgspec.json.decode(msgspec.json.encode(decision.after), type=Conversation)
        assert state_after(before, decode_decision(stored)) == self.state
        epoch = self.state.control.epoch
        if epoch != before.control.epoch:
            kept = self.out
            if not decision.refuse_spoken:
                kept = [(row, epoch if at is not None and cmd.stream_of(row) == "hub" else at) for row, at in kept]
            self.out = [(row, at) for row, at in kept if at is None or at >= epoch]
        self.out += [(each, None if isinstance(each, UNBOUND) else epoch) for each in decision.commands]
        self.check(before, event, decision.commands, decision.reason)

    def check(self, before: Conversation, event: ev.Event, commands: tuple[cmd.Command, ...], why: str) -> None:
        state, party = self.state, self.state.control.connection
        if isinstance(event, ev.PartySpoke) and before.control.connection == event.connection and event.agent:
            self.unsaid += len(event.parts)
        self.unsaid -= sum(isinstance(each, cmd.SendToVisitor) and each.speaker is not None for each in commands)
        if refused := re.search(r"; (\d+) of desk:", why):
            self.unsaid -= int(refused[1])
        told = f"{event!r} on {msgspec.json.encode(before)!r}: {why}, {commands}"
        if isinstance(event, ev.MessagePosted):
            self.homeless.add(event.message_id)
        for each in commands:
            match each:
                case cmd.OpenSession():
                    assert each.connection not in self.open, told
                    self.open.add(each.connection)
                case cmd.CloseSession() if each.connection in DESKS:
                    assert each.connection in self.open, told
                    self.open.discard(each.connection)
                case cmd.SendToParty():
                    assert each.connection == party, told
                    if each.connection in DESKS:
                        assert each.connection in self.open, told
                        if state.desk is not None and state.desk.stage == "accepted":
                            self.homeless.discard(each.message_id)
                    else:
                        self.homeless.discard(each.message_id)
                case cmd.ResumeTurns():
                    self.homeless.clear()
                case _:
                    pass
        has = party if party in DESKS else ""
        assert has == (state.desk.connection if state.desk else "") == "".join(self.open), told
        assert state.desk is None or state.desk.giver in ("", "helper"), told
        if (state.desk is not None and state.desk.stage == "accepted") or state.closed:
            self.homeless.clear()  # it has all of them, the earlier ones with its opening
        if not party and state.handover.stage == "idle":
            self.homeless.clear()  # people read the room
        if party == "helper":
            assert not self.homeless, told

    def happen(self) -> None:
        """Something from outside."""
        server = self.state.served_by
        self.n += 1
        desk = DESKS[self.pick(2)]
        events: list[ev.Event] = [
            said("hello", self.n),
            said("hello", self.n),
            said("hello", self.n),
            *(said(name or kind, self.n) for kind, name in WORDS),
            ev.AgentAssigned(CARE_USER, True, "care"),
            replied("ok", handover=True),
            PartyAccepted(desk, FOX if self.pick(2) else None),
            PartyDeclined(desk, "no-agents"),
            PartyLeft("sales"),
            QueuePositionChanged(desk, self.pick(3)),
            NoticeGiven(desk, "requeued", "One moment."),
            NoticeGiven(desk, "trouble", "wait", line="lost" if self.pick(2) else "back"),
            ev.PartySpoke(desk, (Text("I am"),), agent=FOX),
            ev.PartySpoke(desk, (Text("bye"),), agent=FOX, handover=True),
            ev.PartySpoke(desk, (Text("bye"),), close=True),
            ev.TimerFired("offer", desk),
            ev.AgentAssigned(ALICE),
            ev.AgentAssigned(BOT, True, "helper"),
            ev.AgentAssigned(DESK_USER, True, "sales"),
            ev.AgentUnassigned(server) if server else ev.ConversationQueued(),
            AssignmentRequested(ExternalAgent("crm", "0055"), "token:x"),
        ]
        self.on(events[self.pick(len(events))])

    def finish_one(self) -> bool:
        """The oldest row of a stream ends somehow. False when there is none."""
        if not self.out:
            return False
        row = self.out[self.pick(len(self.out))]
        first = next(each for each in self.out if cmd.stream_of(each[0]) == cmd.stream_of(row[0]))
        self.out.remove(first)
        event = self.outcome(first[0])
        if event is not None:
            self.on(event)
        if isinstance(event, MoveSucceeded) and event.move in ("agent", "bot"):
            user = {each.id: each for each in (ALICE, BOT, DESK_USER, CARE_USER, MARIA)}[event.target]
            self.on(
                ev.AgentAssigned(
                    user,
                    user in (BOT, DESK_USER, CARE_USER),
                    {"botId": "helper", "deskId": "sales", "careId": "care"}.get(user.id, ""),
                )
            )
        return True

    def outcome(self, row: Any) -> ev.Event | None:
        server = self.state.served_by
        person = server if server == ALICE else None
        buried = DeliveryBuried(1, type(row).__name__, getattr(row, "connection", ""), "gone")
        match row:
            case cmd.EnsureAgent():
                user = {"0055": ALICE, "7": MARIA}[row.agent.id]
                mode = "provisioned" if row.agent.system == "desk" else "mapped"
                found = AgentFound(row.agent.system, row.agent.id, user.id, user.username, mode)
                refused = AgentNotEnsured(AgentRefused(row.agent.system, row.agent.id, "unknown", "no"))
                answers: list[ev.Event] = [AgentEnsured(found), refused, buried]
            case cmd.AssignAgent():
                move = "bot" if row.connection else "agent"
                failed = MoveFailed(1, move, "error-user-is-offline", row.user_id, person)
                answers = [MoveSucceeded(1, move, row.user_id), failed, buried]
            case cmd.ListAgents():
                people = (CandidateAgent("aliceId", "alice"),) if self.pick(2) else ()
                answers = [ev.AgentsListed(1, people, (), True), buried]
            case cmd.ReturnToQueue():
                answers = [MoveSucceeded(1, "queue"), MoveFailed(1, "queue", "error", "", person), buried]
            case cmd.StartTimer():
                answers = [ev.TimerFired(row.timer, row.ref)]
            case cmd.SendToParty():
                accepted = ev.PartyReplied(row.connection, 1, 1, accepted=True, message_id=row.message_id)
                answers = [accepted, msgspec.structs.replace(buried, message_id=row.message_id)]
            case cmd.OpenSession():
                answers = [QueuePositionChanged(row.connection, 1), buried]
            case cmd.CloseConversation():
                answers = [ev.ConversationClosed(by="x")]
            case _:
                return None
        return answers[self.pick(len(answers))]


@settings(max_examples=300)
@given(
    st.lists(st.integers(0, 10_000), max_size=80),
    st.lists(st.booleans(), max_size=25),
    st.sampled_from([(a, b) for a in WAYS for b in WAYS]),
    st.sampled_from(["helper", "sales"]),
)
def test_any_order_of_events(choices: list[int], steps: list[bool], terms: tuple[Way, Way], first: str) -> None:
    world = World(choices, terms, first)
    for from_outside in steps:
        if from_outside:
            world.happen()
        else:
            world.finish_one()
    for _ in range(80):
        if not world.finish_one():
            break
    state = world.state

    assert not world.out
    assert state.handover.stage == "idle", msgspec.json.encode(state)
    assert state.desk is None or state.desk.stage == "accepted", msgspec.json.encode(state)
    assert state.closed or state.control.party in (AGENTS, QUEUE) or state.control.connection
    if state.control.connection:
        assert not state.held, msgspec.json.encode(state)
    if state.persona:
        assert state.control.connection and state.persona.stage == "ready" and not state.persona.held
    assert world.unsaid == 0
    world.on(ev.ConversationClosed())
    assert not world.open
