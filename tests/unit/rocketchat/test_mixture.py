"""Webhook and realtime connection in any mixture, late, overtaken, doubled and lost: one and the same history."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibridge.domain import events as ev
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.directory import Directory
from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.app_events import read_app
from omnibridge.rocketchat.derive import Derivation, DerivedEvent, View, derive
from omnibridge.rocketchat.derive_app import derive_app
from omnibridge.rocketchat.derive_live import derive_live
from omnibridge.rocketchat.derive_read import derive_history
from omnibridge.rocketchat.realtime.frames import Change, read_frame
from omnibridge.rocketchat.realtime.translate import read_live
from omnibridge.rocketchat.reconcile import Known, RoomHistory, differs, missing
from omnibridge.rocketchat.rooms import HubMessage
from omnibridge.rocketchat.webhook import read_webhook
from omnibridge.routing.router import route
from omnibridge.routing.rules import RuleSet
from tests.unit.rocketchat.story import BEGAN, ROOM, Report, Story

LATEST = 10**12
SERVICE = ("AgentAssigned", "AgentUnassigned", "ConversationQueued", "ConversationTransferred")
ACTS = ["visitor"] * 4 + ["staff", "edit", "delete"] + ["assign"] * 3 + ["requeue", "requeue", "department"]
WHAT = st.sampled_from([*ACTS, "close"])
STORIES = st.lists(st.tuples(WHAT, st.integers(0, 5), st.integers(3, 4_000)), min_size=1, max_size=25)


def told(actions: list[tuple[str, int, int]]) -> Story:
    story = Story()
    story.begin()
    for what, which, pause_ms in actions:
        story.act(what, which, pause_ms)
    return story


@dataclass
class Bridge:
    """The lane as the processor keeps it, with reads of the room that take their time."""

    story: Story
    state: Conversation = field(default_factory=lambda: Conversation("w", ROOM))
    events: list[ev.Event] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    reads: int = 0
    told: dict[str, Any] = field(default_factory=dict)

    def view(self) -> View:
        state = self.state
        return View(
            known=state.started,
            closed=state.closed,
            served_by=state.served_by,
            department=state.department,
            bot_users={"botId": "helper", "bot": "helper"},
            is_ours=lambda _: False,
            seen=lambda message: f"msg:{message}" in self.keys,
            emptied=state.vacated and state.served_by is None,
            service_at=state.service_at,
            queued=state.queued,
            reported=state.reported,
            changes=self.state.changes,
            unreported=self.server() != (state.reported.id if state.reported else ""),
        )

    def server(self) -> str:
        return self.state.served_by.id if self.state.served_by else ""

    def carry_out(self) -> None:
        """What the hub just did was a move of ours, and its answer comes before any report."""
        server = self.story.moments[-1].room.served_by
        if (server.id if server else "") != self.server():
            self.state = msgspec.structs.replace(self.state, served_by=UserRef(server.id) if server else None)

    def hear(self, report: Report, now: int) -> Derivation:
        """A report, as lane and live intake handle it."""
        if report.source == "webhook":
            return self.follow(derive(read_webhook(report.body), self.view()))
        if report.source == "app":
            return self.follow(derive_app(read_app(report.body), self.view()))
        frame = read_frame(report.body)
        assert isinstance(frame, Change)
        if not self.state.started and frame.kind in ("message", "inquiry", "room"):
            self.read(RoomHistory(self.story.at(now).room, ()))
        return self.follow(derive_live(read_live(frame.kind, frame.room, frame.raw), self.view()))

    def read(self, history: RoomHistory) -> Derivation:
        return self.follow(derive_history(history, self.view()))

    def follow(self, derivation: Derivation) -> Derivation:
        for each in derivation.events:
            self._one(each)
        self.reads += derivation.needs_room_read
        return derivation

    def _one(self, each: DerivedEvent) -> None:
        if each.key and each.key in self.keys:
            return
        self.keys.add(each.key)
        self.events.append(each.event)
        self.state = route(self.state, each.event, RuleSet(), Directory(), 0).after

    def reconcile(self) -> None:
        """One pass of the reconciler's comparison, after everything has come."""
        for _ in range(3):
            last = self.story.moments[-1]
            known = Known(self.state.closed, self.server(), self.state.department) if self.state.started else None
            lacking = missing(last.messages, last.room, self, 0, LATEST)
            deleted = tuple(each for each in last.deleted if self.lacks_deletion(each))
            if not (lacking.messages or deleted or differs(last.room, known, LATEST)):
                return
            server = known.server if known else ""
            found = RoomHistory(last.room, lacking.messages, lacking.answered_at_ms, server, deleted)
            if not self.read(found).needs_room_read:
                return

    # -- Told ---------------------------------------------------------------------------------------------

    def is_posted(self, message: HubMessage) -> bool:
        return f"msg:{message.id}" in self.keys

    def is_edited(self, message: HubMessage) -> bool:
        return f"edit:{message.id}:{message.edited_at_ms}" in self.keys

    def lacks_deletion(self, message_id: str) -> bool:
        return f"msg:{message_id}" in self.keys and f"del:{message_id}" not in self.keys

    def answers(self, message_id: str) -> str | None:
        return None


def carried(story: Story, sources: set[str], chance: random.Random, drop: float, twice: float) -> Bridge:
    """What comes of the reports of these sources: webhooks up to 25 s late, frames in order but for a moment, what the
    app tells late but in order: it sends one event of a room after the other. Its repeats end at the door."""
    bridge = Bridge(story)
    app_told_at = 0
    due: list[tuple[int, int, Any]] = []
    number = 0

    def push(at: int, what: Any) -> None:
        nonlocal number
        number += 1
        heapq.heappush(due, (at, number, what))

    for report in story.reports:
        if report.source not in sources:
            continue
        if chance.random() < drop:
            continue
        for _ in range(2 if chance.random() < twice and report.source != "app" else 1):
            longest = (
                chance.choice((0, 50, 300, 25_000)) if report.source == "webhook" else chance.choice((0, 0, 30, 2_000))
            )
            at = report.at + chance.randint(0, longest)
            if report.source == "app":
                at = app_told_at = max(at, app_told_at)
            push(at, report)
    while due:
        now, _, what = heapq.heappop(due)
        found = bridge.hear(what, now) if isinstance(what, Report) else bridge.read(what)
        if found.needs_room_read:
            known, changes = bridge.server(), bridge.state.changes
            asked, answered = sorted(chance.randint(0, 200) for _ in range(2))
            push(now + answered, RoomHistory(story.at(now + asked).room, (), 0, known, (), changes))
    bridge.told = history(bridge)
    bridge.reconcile()
    return bridge


def history(bridge: Bridge) -> dict[str, Any]:
    """The core events, without what no source can tell once it is lost: words that were deleted before anybody read
    them, an edit that another followed, somebody who served and left meanwhile."""
    story, final = bridge.story, bridge.state
    texts: dict[str, tuple[int, str]] = {}
    authors: dict[str, str] = {}
    for event in bridge.events:
        if isinstance(event, ev.MessagePosted):
            authors[event.message_id] = event.author
            texts[event.message_id] = max(texts.get(event.message_id, (0, "")), (1, event.text))
        elif isinstance(event, ev.MessageEdited):
            texts[event.message_id] = max(texts.get(event.message_id, (0, "")), (event.edited_at, event.text))
    kept = set(authors) - set(story.deleted)
    return {
        "authors": {each: authors[each] for each in kept},
        "texts": {each: texts[each][1] for each in kept},
        "closed": final.closed,
        "server": "" if final.closed else bridge.server(),
        "department": "" if final.closed else final.department,
    }


def truth(story: Story) -> dict[str, Any]:
    last = story.moments[-1]
    authors = {"v1": "visitor", "botId": "bot"}
    return {
        "authors": {each.id: authors.get(each.author_id, "agent") for each in last.messages},
        "texts": {each.id: each.text for each in last.messages},
        "closed": not last.room.open,
        "server": last.room.served_by.id if last.room.open and last.room.served_by else "",
        "department": last.room.department if last.room.open else "",
    }


def check_order(bridge: Bridge) -> None:
    """Begins once and ends once; nobody leaves who did not serve, nobody comes while another serves; each transfer is
    from where the one before led; each edit is one that was made; nothing twice."""
    kinds = Counter(ev.kind_of(each) for each in bridge.events)
    assert isinstance(bridge.events[0], ev.ConversationStarted)
    assert kinds["ConversationStarted"] == 1
    assert kinds["ConversationClosed"] == bool(bridge.story.closed_at)
    server, waits, deleted = "", "", set[str]()
    posted: Counter[str] = Counter()
    edits: Counter[tuple[str, int]] = Counter()
    departments: list[str] = []
    for event in bridge.events:
        if isinstance(event, ev.AgentAssigned):
            assert (server, event.agent.id) != ("", "")
            assert server == "", f"{event.agent.id} came while {server} served"
            server, waits = event.agent.id, ""
        elif isinstance(event, ev.AgentUnassigned):
            assert server == event.agent.id
            server = ""
        elif isinstance(event, ev.ConversationQueued):
            assert server == ""
            assert waits != (event.department or "-"), "waits, and is told again that it waits"
            waits = event.department or "-"
        elif isinstance(event, ev.MessagePosted):
            posted[event.message_id] += 1
        elif isinstance(event, ev.MessageEdited):
            edits[event.message_id, event.edited_at] += 1
            assert event.text == f"edited at {event.edited_at}"
        elif isinstance(event, ev.ConversationTransferred):
            assert event.to_department != event.from_department
            assert not departments or event.from_department == departments[-1]
            departments.append(event.to_department)
        elif isinstance(event, ev.MessageDeleted):
            assert event.message_id not in deleted
            deleted.add(event.message_id)
    assert all(n == 1 for n in (*posted.values(), *edits.values()))
    if departments and not bridge.story.closed_at:
        assert departments[-1] == bridge.story.department
    assert set(posted) & set(bridge.story.deleted) <= deleted <= set(bridge.story.deleted)


def check_nothing_is_made_up(bridge: Bridge) -> None:
    """Nobody comes or leaves more often than he did."""
    truly = Counter(each for each in bridge.story.truth if each[0] in ("AgentAssigned", "AgentUnassigned"))
    found = Counter(
        (ev.kind_of(each), each.agent.username)
        for each in bridge.events
        if isinstance(each, ev.AgentAssigned | ev.AgentUnassigned)
    )
    assert found <= truly, (found - truly, bridge.events)


@settings(max_examples=500, derandomize=True)
@given(STORIES, st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.4, 0.9]), st.sampled_from([0.0, 0.3]))
def test_any_mixture_is_each_alone_and_one_pass(
    actions: list[tuple[str, int, int]], seed: int, drop: float, twice: float
) -> None:
    story = told(actions)
    chance = random.Random(seed)
    found = [
        carried(story, sources, chance, drop, twice) for sources in ({"webhook", "ddp"}, {"webhook"}, {"ddp"}, set())
    ]
    for bridge in found:
        check_order(bridge)
        if bridge is not found[1]:  # a webhook alone may name, too late, who served: believed until the next pass
            check_nothing_is_made_up(bridge)
        assert history(bridge) == truth(story)
    if not drop:
        assert [each.told for each in (found[0], found[2])] == [truth(story)] * 2


@settings(max_examples=300, derandomize=True)
@given(STORIES, st.integers(0, 2**32), st.sampled_from([{"webhook", "ddp"}, {"ddp"}, {"webhook"}]))
def test_what_comes_in_time_is_the_history_itself(
    actions: list[tuple[str, int, int]], seed: int, sources: set[str]
) -> None:
    """Reports of one act before those of the next, in the order of their source: nothing is left out, nothing added.

    Whoever made the move: it may have been us."""
    story, chance = Story(), random.Random(seed)
    bridge = Bridge(story)
    acts: list[Any] = [story.begin, *(lambda each=each: story.act(*each) for each in actions)]
    ours: set[int] = set()
    for act in acts:
        n_before, n_truth = len(story.reports), len(story.truth)
        act()
        if bridge.state.started and chance.random() < 0.3:
            bridge.carry_out()
            ours |= {*range(n_truth, len(story.truth))}
        by_source = {name: [each for each in story.reports[n_before:] if each.source == name] for name in sources}
        while any(by_source.values()):
            name = chance.choice(sorted(each for each in by_source if by_source[each]))
            report = by_source[name].pop(0)
            for _ in range(chance.choice((1, 1, 2))):
                found = bridge.hear(report, story.now)
                while found.needs_room_read:
                    found = bridge.read(RoomHistory(story.at(story.now).room, (), known_server=bridge.server()))
    told_of = [each for n, each in enumerate(story.truth) if is_told(each, sources)]
    known = {m for m, n in enumerate(n for n, each in enumerate(story.truth) if is_told(each, sources)) if n in ours}
    assert agrees(shown(bridge), told_of, known), (shown(bridge), story.truth)


def shown(bridge: Bridge) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for event in bridge.events:
        who = getattr(event, "agent", None)
        which = who.username if who else getattr(event, "message_id", getattr(event, "to_department", ""))
        found.append((ev.kind_of(event), which))
    return found


def is_told(event: tuple[str, str], sources: set[str]) -> bool:
    """Webhooks tell nothing of deletions."""
    return "ddp" in sources or event[0] != "MessageDeleted"


def agrees(found: list[tuple[str, str]], truth: list[tuple[str, str]], ours: set[int]) -> bool:
    """Whether these are the events as they happened. That nobody serves is waiting, and may be said where the hub says
    nothing; but who was put back into the queue must be told to wait, unless we put him there (ours: places in the
    truth)."""
    rest = list(found)
    for place, each in enumerate(truth):
        while rest and rest[0] != each and rest[0][0] == "ConversationQueued":
            rest.pop(0)
        if rest and rest[0] == each:
            rest.pop(0)
        elif each[0] != "ConversationQueued" or place not in ours:
            return False
    return all(kind == "ConversationQueued" for kind, _ in rest)


def test_stories_are_rich_enough() -> None:
    """A guard of the two above: reads, every kind of event and every order of them come about."""
    seen: Counter[str] = Counter()
    chance = random.Random(5)
    for _ in range(100):
        story = told([(chance.choice(ACTS), chance.randint(0, 5), chance.randint(3, 4000)) for _ in range(14)])
        bridge = carried(story, {"webhook", "ddp"}, chance, 0.4, 0.3)
        seen.update(ev.kind_of(each) for each in bridge.events)
        seen["reads"] += bridge.reads
    for kind in (*SERVICE, "MessagePosted", "MessageEdited", "MessageDeleted", "MessagesRecovered", "reads"):
        assert seen[kind] > 20, (kind, seen)
    assert BEGAN > 0
