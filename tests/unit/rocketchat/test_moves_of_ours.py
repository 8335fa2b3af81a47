"""A move of ours is known from its answer: what a report, a frame or a read of the room then tells, and once only."""

from __future__ import annotations

from typing import Any

import pytest

from omnibridge.domain import commands as cmd
from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import AgentEnsured, AssignmentRequested
from omnibridge.domain.agents import AgentFound, ExternalAgent
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.delivery_events import MoveSucceeded
from omnibridge.domain.directory import BotConnection, Decider, Directory, HoldingBot
from omnibridge.rocketchat.derive import Derivation, derive
from omnibridge.rocketchat.derive_live import derive_live
from omnibridge.rocketchat.derive_read import derive_history, derive_room_read
from omnibridge.rocketchat.reconcile import RoomHistory
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.routing.router import route
from omnibridge.routing.rules import RuleSet, Target
from tests.unit.rocketchat.realtime import frames
from tests.unit.rocketchat.test_derive import AGENT, reading
from tests.unit.rocketchat.test_derive_live import ALICE, BOB, BOB_RAW, BOT, moved, pushed, read, said, view

FIRST = {"served_by": ALICE, "unreported": True}
"""Nobody served; we gave it to alice."""
MOVED = {"served_by": ALICE, "reported": BOT, "unreported": True, "service_at": 1000}
"""The bot served; we gave it to alice."""
RETURNED = {"reported": ALICE, "unreported": True, "service_at": 1000}
"""Alice served; we gave it back to the queue."""

BOT_USER = ev.UserRef("botId", "bot")
BOT_TO_ALICE = ["-bot", "+alice"]


def told(derivation: Derivation) -> list[str]:
    """-alice: she left, +alice: she serves, queued, and `read` for a read of the room."""
    words = []
    for each in derivation.events:
        match each.event:
            case ev.AgentUnassigned(agent):
                words.append(f"-{agent.username}")
            case ev.AgentAssigned(agent):
                words.append(f"+{agent.username}")
            case ev.ConversationQueued():
                words.append("queued")
            case other:
                words.append(ev.kind_of(other))
    return [*words, *(["read"] if derivation.needs_room_read else [])]


@pytest.mark.parametrize(
    ("kind", "fields", "known", "what"),
    [
        # The first report that agrees tells it.
        ("LivechatSessionTaken", {"agent": AGENT}, FIRST, ["+alice"]),
        ("LivechatSessionTaken", {"agent": AGENT}, MOVED, BOT_TO_ALICE),
        ("Message", {"agent": AGENT}, MOVED, [*BOT_TO_ALICE, "MessagePosted"]),
        ("LivechatSessionQueued", {}, RETURNED, ["-alice", "queued"]),
        ("LivechatSessionTaken", {"agent": BOB_RAW}, RETURNED, ["-alice", "+bob"]),
        # A start and a close tell how it was then, not that somebody has left.
        ("LivechatSessionStart", {"agent": AGENT}, MOVED, []),
        ("LivechatSessionStart", {}, RETURNED, []),
        ("LivechatSession", {"agent": AGENT}, MOVED, ["ConversationClosed"]),
        # Who we took it from: an old report, or he has it again.
        ("LivechatSessionTaken", {"agent": AGENT}, RETURNED, ["read"]),
        ("LivechatSessionTaken", {"agent": {"_id": "botId", "username": "bot"}}, MOVED, ["read"]),
        # What is told already is not told again.
        ("LivechatSessionTaken", {"agent": AGENT}, {"served_by": ALICE, "reported": ALICE}, []),
        ("LivechatSessionQueued", {}, {}, ["queued"]),
    ],
)
def test_webhook(kind: str, fields: Any, known: Any, what: list[str]) -> None:
    assert told(derive(reading(kind, **fields), view(**{"department": "", **known}))) == what


@pytest.mark.parametrize(
    ("raw", "known", "what"),
    [
        # The first frame that agrees tells it.
        (said("uj"), FIRST, ["+alice"]),
        (said("uj"), MOVED, BOT_TO_ALICE),
        (pushed(2000), MOVED, BOT_TO_ALICE),
        (moved("queue"), RETURNED, ["-alice", "queued"]),
        (frames.room_changed(departmentId="d1"), RETURNED, ["-alice"]),
        # That he left whom we took it from is half of it; that somebody else left is nothing.
        (said("ul", frames.BOT), MOVED, ["-bot"]),
        (said("ul"), RETURNED, ["-alice"]),
        (said("ul", BOB_RAW), MOVED, []),
        (said("ul", BOB_RAW), RETURNED, []),
        # That he left to whom we gave it: perhaps before that.
        (said("ul"), MOVED, ["read"]),
        (moved("queue"), MOVED, ["read"]),
        # Who we took it from: an old frame, or he has it again.
        (said("uj"), RETURNED, ["read"]),
        (said("uj", frames.BOT), MOVED, ["read"]),
        # Somebody else: he follows whom the events named last, not whom only we knew of.
        (said("uj", BOB_RAW), RETURNED, ["-alice", "+bob"]),
        (pushed(2000, BOB_RAW), MOVED, ["-bot", "+bob"]),
        (pushed(2000, BOB_RAW), RETURNED, ["-alice", "+bob"]),
        (pushed(999, BOB_RAW), MOVED, []),
        # What is told already is not told again.
        (said("uj"), {"served_by": ALICE, "reported": ALICE, "service_at": 1000}, []),
        (pushed(2000), {"served_by": ALICE, "reported": ALICE, "service_at": 1000}, []),
    ],
)
def test_frame(raw: bytes, known: Any, what: list[str]) -> None:
    assert told(derive_live(read(raw), view(**known))) == what


@pytest.mark.parametrize(
    ("server", "known", "what"),
    [
        (ALICE, FIRST, ["+alice"]),
        (ALICE, MOVED, BOT_TO_ALICE),
        (BOB, MOVED, ["-bot", "+bob"]),
        (None, RETURNED, ["-alice", "queued"]),
        (BOB, RETURNED, ["-alice", "+bob"]),
        (ALICE, {"served_by": ALICE, "reported": ALICE}, []),
        # The hub undid it before anything told of it: as it was before is not as known.
        (None, FIRST, ["+alice", "-alice", "queued"]),
        (BOT_USER, MOVED, [*BOT_TO_ALICE, "-alice", "+bot"]),
        (ALICE, RETURNED, ["-alice", "+alice"]),
    ],
)
def test_read_of_the_room(server: Any, known: Any, what: list[str]) -> None:
    room = RoomInfo("r1", True, server, department="d1")
    history = RoomHistory(room, (), known_server=known["served_by"].id if known.get("served_by") else "")

    assert told(derive_room_read(room, view(**known))) == what
    assert told(derive_history(history, view(**known))) == what


def test_decision_that_the_hub_undid_before_its_report_is_made_anew() -> None:
    """The room is with the holding bot again, as it was told last: the visitor used to wait for the reconciler."""
    holding = ev.UserRef("holdId", "holding")
    directory = Directory((), (Decider("crm"),), (HoldingBot("w", "holdId", "holding"),))
    rules = RuleSet(default=Target("decider", "crm"))
    state, now = Conversation("w", "r1"), 1_000_000
    for event in (
        ev.ConversationStarted(),
        ev.AgentAssigned(holding),
        AssignmentRequested(ExternalAgent("crm", "0055"), "decider:crm", "", "crm"),
        AgentEnsured(AgentFound("crm", "0055", ALICE.id, ALICE.username, "mapped")),
        MoveSucceeded(1, "agent", ALICE.id),
    ):
        state = route(state, event, rules, directory, now := now + 60_000).after
    assert (state.served_by, state.reported, state.assignment.stage) == (ALICE, holding, "served")

    known = view(served_by=ALICE, reported=holding, unreported=True, department="")
    undone = derive_history(RoomHistory(RoomInfo("r1", True, holding), (), known_server=ALICE.id), known)
    commands: list[cmd.Command] = []
    for each in undone.events:
        decision = route(state, each.event, rules, directory, now := now + 60_000)
        state, commands = decision.after, [*commands, *decision.commands]

    assert [type(each).__name__ for each in commands] == ["ReleaseAgent", "AskDecider"]
    assert (state.assignment.stage, state.served_by) == ("asking", holding)


def test_events_of_a_move_have_the_time_of_the_report() -> None:
    for raw, known in ((said("uj"), MOVED), (pushed(2000), MOVED), (moved("queue"), RETURNED)):
        first = derive_live(read(raw), view(**known)).events[0].event

        assert isinstance(first, ev.AgentUnassigned)
        assert first.at == 2000


def story(*events: ev.Event, state: Conversation | None = None) -> Conversation:
    state = state or Conversation("w", "r1", started=True, department="d1")
    directory = Directory((BotConnection("helper", "w", "botId", "bot"),))
    for event in events:
        state = route(state, event, RuleSet(), directory, 0).after
    return state


def test_router_keeps_whom_we_moved_it_to_when_the_former_leaves() -> None:
    """`ul` of the bot comes after the answer of our move to alice, and takes it from nobody."""
    listed = ev.AgentsListed(2, (ev.CandidateAgent("aliceId", "alice"),))
    ask = ev.PartyReplied("helper", 1, 1, (), handover=True)
    said = ev.MessagePosted("m1", "visitor", "v", "a person please", 1000)
    before = story(ev.ConversationStarted(), ev.AgentAssigned(BOT, True, "helper", 1000), said, ask, listed)
    ours = story(MoveSucceeded(1, "agent", "aliceId"), state=before)
    left = story(ev.AgentUnassigned(BOT, 1500), state=ours)
    both = story(ev.AgentAssigned(ALICE, at=1500), state=left)

    assert (ours.served_by, ours.reported) == (ev.UserRef("aliceId"), BOT)
    assert (left.served_by, left.reported, left.control) == (ev.UserRef("aliceId"), None, ours.control)
    assert (both.served_by, both.reported, both.control) == (ALICE, ALICE, ours.control)


def test_router_empties_both_when_who_serves_leaves() -> None:
    served = story(ev.AgentAssigned(ALICE, at=1000))
    left = story(ev.AgentUnassigned(ALICE, 1500), state=served)

    assert (served.served_by, served.reported) == (ALICE, ALICE)
    assert (left.served_by, left.reported, left.vacated, left.service_at) == (None, None, True, 1500)


def test_a_move_to_the_bot_or_back_to_the_queue_waits_for_its_report() -> None:
    """Who serves is known from the answer; what the events told last stays, so that a report can tell the rest."""
    to_bot = story(ev.ConversationStarted(), MoveSucceeded(1, "bot", "botId"))
    served = story(ev.AgentAssigned(ALICE, at=1000))
    back = story(MoveSucceeded(1, "stray", "aliceId"), state=served)
    other = story(MoveSucceeded(1, "stray", "bobId"), state=served)

    assert (to_bot.served_by, to_bot.reported) == (ev.UserRef("botId"), None)
    assert (back.served_by, back.reported) == (None, ALICE)
    assert (other.served_by, other.reported) == (ALICE, ALICE)
