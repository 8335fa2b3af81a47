"""Decisions of external systems in any order of events: nothing raises, nothing stands still, a replay is equal.

The model beside the router keeps what is under way as the outbox does: rows of an older epoch are refused when control
changes. When all of it has come to an end, no decision and no handover may be waiting for something.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibridge.domain import commands as cmd
from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import (
    AgentEnsured,
    AgentNotEnsured,
    AssignmentRequested,
    DecisionFailed,
    DecisionPending,
)
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.content import Text
from omnibridge.domain.conversation import AGENTS, Conversation
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.domain.events import CandidateAgent
from omnibridge.engine.outgoing import UNBOUND
from omnibridge.routing.decision import decode_decision, encode_decision, state_after
from omnibridge.routing.router import route
from omnibridge.routing.rules import HandoverPolicy, RuleSet, Target
from tests.unit.routing.test_assignment import BOB, DIRECTORY, HOLDER
from tests.unit.routing.test_router import ALICE, BOT, NOW, replied, said

MARIA, TOM = ev.UserRef("mariaId", "agent.m"), ev.UserRef("tomId", "agent.t")
USERS = {"0055": ALICE, "0066": BOB, "7": MARIA, "8": TOM}
"""By external id. The last two are people of a desk, for whom the bot's connection speaks; their users are ours."""
OVER = msgspec.structs.replace(
    DIRECTORY,
    choosing=("main",),
    deciders=tuple(msgspec.structs.replace(each, over_auto_selection=True) for each in DIRECTORY.deciders),
)
CODES = ["error-user-is-offline", "error-inquiry-taken", "error-agent-is-locked", "came-back"]
STAYS_OUT = {"held"}
"""Timers that are set again for ever."""


class World:
    """The conversation, what is under way, and every choice made from a list of numbers."""

    def __init__(self, choices: list[int], decider: str, *, bot: bool, over: bool = False) -> None:
        self.directory = OVER if over else DIRECTORY
        self.choices = iter(choices)
        target = Target("bot", "helper") if bot else Target("decider", decider)
        self.rules = RuleSet(default=target, handover=HandoverPolicy(decider=decider))
        self.state, self.now = Conversation("main", "room1"), NOW
        self.out: list[tuple[cmd.Command, int | None]] = []
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
        if isinstance(event, ev.PartySpoke) and before.control.connection == event.connection:
            self.unsaid += len(event.parts)
        self.unsaid -= sum(
            isinstance(each, cmd.SendToVisitor) and each.speaker is not None for each in decision.commands
        )
        if refused := re.search(r"; (\d+) of desk:", decision.reason):
            self.unsaid -= int(refused[1])
        assert state_after(before, decode_decision(stored)) == self.state
        assert encode_decision(route(before, event, self.rules, self.directory, self.now), before) == stored
        epoch = self.state.control.epoch
        if epoch != before.control.epoch:
            kept = self.out
            if not decision.refuse_spoken:
                kept = [(row, epoch if at is not None and cmd.stream_of(row) == "hub" else at) for row, at in kept]
            self.out = [(row, at) for row, at in kept if at is None or at >= epoch]
        self.out += [(each, None if isinstance(each, UNBOUND) else epoch) for each in decision.commands]

    def happen(self) -> None:
        """Something from outside."""
        server = self.state.served_by
        events: list[ev.Event] = [
            said("hello", self.pick(1000)),
            AssignmentRequested(ExternalAgent("crm", "0055"), "token:x"),
            AssignmentRequested(ExternalAgent("crm", "0066"), "token:x"),
            AssignmentRequested(ExternalAgent("crm", "0055"), "decider:crm", "", "crm", "T"),
            ev.TimerFired("ticket", "T"),
            replied("ok", handover=True),
            ev.AgentAssigned((ALICE, BOB, HOLDER)[self.pick(3)]),
            ev.AgentAssigned(BOT, True, "helper"),
            ev.PartySpoke("helper", (Text("I am"),), agent=ExternalAgent("desk", "7", "Maria")),
            ev.PartySpoke("helper", (Text("I am"),), agent=ExternalAgent("desk", "8", "Tom")),
            ev.PartySpoke("helper", (Text("bye"),), agent=ExternalAgent("desk", "8", "Tom"), handover=True),
            ev.AgentAssigned(BOB, only_by_decision=True),
            ev.AgentUnassigned(server) if server else ev.ConversationQueued(),
            ev.ConversationQueued(),
            ev.MessagePosted("a1", "agent", "aliceId", "good morning", self.now),
        ]
        self.on(events[self.pick(len(events))])

    def finish_one(self) -> bool:
        """The oldest row that is under way ends somehow. False when there is none."""
        found = [each for each in self.out if not (isinstance(each[0], cmd.StartTimer) and each[0].timer in STAYS_OUT)]
        if not found:
            return False
        row = found[self.pick(len({cmd.stream_of(each) for each, _ in found})) % len(found)]
        first = next(each for each in found if cmd.stream_of(each[0]) == cmd.stream_of(row[0]))
        self.out.remove(first)
        event = self.outcome(first[0])
        if event is not None:
            self.on(event)
        if isinstance(event, MoveSucceeded) and event.move == "agent":
            self.reported(event.target)
        return True

    def reported(self, user_id: str) -> None:
        """The hub's own report of a move, which is an event only where it is news (rocketchat/derive.py)."""
        old = self.state.served_by
        if old and old.id != user_id:
            self.on(ev.AgentUnassigned(old))
        if old is None or old.id != user_id:
            self.on(ev.AgentAssigned(next(each for each in USERS.values() if each.id == user_id)))

    def outcome(self, row: Any) -> ev.Event | None:
        server = self.state.served_by
        person = server if server and server.id in ("aliceId", "bobId") else None
        buried = DeliveryBuried(1, type(row).__name__, getattr(row, "connection", ""), "gone")
        match row:
            case cmd.AskDecider():
                agent = ExternalAgent("crm", ("0055", "0066", "ghost")[self.pick(3)])
                answers: list[ev.Event] = [
                    AssignmentRequested(agent, f"decider:{row.decider}", "", row.decider),
                    DecisionPending(row.decider, "T", 1000),
                    DecisionFailed(row.decider, "no-agent"),
                    buried,
                ]
            case cmd.EnsureAgent():
                user, agent = USERS.get(row.agent.id), row.agent
                mode = "provisioned" if agent.system == "desk" else "mapped"
                found = user and AgentFound(agent.system, agent.id, user.id, user.username, mode)
                refused = AgentNotEnsured(AgentRefused(agent.system, agent.id, "unknown", "no"))
                full = AgentNotEnsured(AgentRefused(agent.system, agent.id, "waiting_seat", "5 of 5"))
                answers = [AgentEnsured(found) if found else refused, refused, buried, full]
            case cmd.AssignAgent():
                move = "bot" if row.connection else "agent"
                failed = MoveFailed(1, move, CODES[self.pick(3)], row.user_id, person)
                answers = [MoveSucceeded(1, move, row.user_id), failed, buried]
            case cmd.ListAgents():
                people = (CandidateAgent("aliceId", "alice"),) if self.pick(2) else ()
                answers = [ev.AgentsListed(1, people, (), True), buried]
            case cmd.ReturnToQueue():
                answers = [MoveSucceeded(1, "queue"), MoveFailed(1, "queue", "error", "", person), buried]
            case cmd.RequeueStray():
                came_back = MoveFailed(1, "stray", "came-back", row.user_id)
                answers = [MoveSucceeded(1, "stray", row.user_id), came_back, buried]
            case cmd.StartTimer():
                answers = [ev.TimerFired(row.timer, row.ref), buried]
            case _:
                return None
        return answers[self.pick(len(answers))]


@settings(max_examples=400)
@given(
    st.lists(st.integers(0, 10_000), max_size=80),
    st.lists(st.booleans(), max_size=25),
    st.sampled_from(["crm", "strict", "mild"]),
    st.booleans(),
    st.booleans(),
)
def test_nothing_raises_and_nothing_stands_still(
    choices: list[int], steps: list[bool], decider: str, bot: bool, over: bool
) -> None:
    world = World(choices, decider, bot=bot, over=over)
    for from_outside in steps:
        if from_outside:
            world.happen()
        else:
            world.finish_one()
    for _ in range(60):
        if not world.finish_one():
            break
    state = world.state

    assert world.unsaid == 0
    assert not [each for each, _ in world.out if not isinstance(each, cmd.StartTimer)]
    assert state.assignment.stage in ("idle", "served"), msgspec.json.encode(state)
    assert state.handover.stage == "idle", msgspec.json.encode(state)
    if state.assignment.stage == "served":
        assert state.served_by is not None
        assert state.served_by.id == state.assignment.user_id
        assert state.control.party == AGENTS
    if state.control.connection:
        assert not state.held and not state.handover.said
    if state.persona:
        assert state.control.connection and state.persona.stage == "ready" and not state.persona.held


@settings(max_examples=100)
@given(st.lists(st.integers(0, 10_000), max_size=80), st.lists(st.booleans(), max_size=25))
def test_closed_conversation_leaves_nothing_of_a_decision(choices: list[int], steps: list[bool]) -> None:
    world = World(choices, "crm", bot=False)
    for from_outside in steps:
        if from_outside:
            world.happen()
        else:
            world.finish_one()
    was_out = world.state.assignment
    world.on(ev.ConversationClosed())
    released = [each for each, _ in world.out if isinstance(each, cmd.ReleaseAgent)]

    assert world.state.assignment.stage == "idle"
    if was_out.user_id:
        assert any(each.user_id == was_out.user_id for each in released)
