"""The seed's events (start, assigned, unassigned, close) from three sources: webhook, realtime, a read of the room."""

from __future__ import annotations

import itertools

import pytest

from omnibridge.domain import events as ev
from omnibridge.rocketchat.reconcile import RoomHistory
from tests.unit.rocketchat.story import ROOM, Report, Story
from tests.unit.rocketchat.test_mixture import Bridge

SOURCES = ("webhook", "ddp", "read")


def told(bridge: Bridge) -> list[tuple[str, str]]:
    """(kind, who) of who came and who left, oldest first."""
    found = [each for each in bridge.events if isinstance(each, ev.AgentAssigned | ev.AgentUnassigned)]
    return [(ev.kind_of(each), each.agent.username) for each in found]


def hear(bridge: Bridge, source: str, reports: list[Report]) -> None:
    """What one source tells of these reports; where it is not enough, the room is read, as the engine does."""
    story = bridge.story
    if source == "read":
        bridge.read(RoomHistory(story.at(story.now).room, (), known_server=bridge.server()))
        return
    for report in reports:
        if report.source == source and bridge.hear(report, story.now).needs_room_read:
            bridge.read(RoomHistory(story.at(story.now).room, (), known_server=bridge.server()))


def begun() -> tuple[Story, Bridge]:
    story = Story()
    story.begin()
    bridge = Bridge(story)
    hear(bridge, "webhook", story.reports)
    return story, bridge


@pytest.mark.parametrize("order", list(itertools.permutations(SOURCES)), ids="-".join)
def test_s2_14_one_assigned_whichever_source_tells_it_and_however_many(order: tuple[str, ...]) -> None:
    for n in (1, 2, 3):
        story, bridge = begun()
        story.act("assign", 1, 10)
        for source in order[:n]:
            hear(bridge, source, story.reports[3:])

        assert told(bridge) == [("AgentAssigned", "alice")], order[:n]
        [assigned] = [each for each in bridge.events if isinstance(each, ev.AgentAssigned)]
        assert (assigned.agent.id, assigned.is_bot, bridge.state.room) == ("aliceId", False, ROOM)


@pytest.mark.parametrize("source", ["webhook", "ddp", "read"])
@pytest.mark.parametrize("is_swapped", [False, True], ids=["in_order", "swapped"])
def test_s2_15_transfer_gives_unassigned_then_assigned_also_when_reports_are_swapped(
    source: str, is_swapped: bool
) -> None:
    story, bridge = begun()
    story.act("assign", 1, 10)
    hear(bridge, source, story.reports[3:])
    before = len(story.reports)
    story.act("assign", 2, 10)
    reports = story.reports[before:]
    hear(bridge, source, reports[::-1] if is_swapped else reports)

    assert told(bridge) == [("AgentAssigned", "alice"), ("AgentUnassigned", "alice"), ("AgentAssigned", "bob")]


def test_s2_15_back_in_the_queue_is_unassigned_without_a_successor() -> None:
    for source in SOURCES:
        story, bridge = begun()
        for what in ("assign", "requeue"):
            before = len(story.reports)
            story.act(what, 1, 10)
            hear(bridge, source, story.reports[before:])

        assert told(bridge) == [("AgentAssigned", "alice"), ("AgentUnassigned", "alice")], source


@pytest.mark.parametrize("source", SOURCES)
def test_s2_17_a_conversation_starts_before_anybody_serves_it(source: str) -> None:
    story = Story()
    story.begin()
    bridge = Bridge(story)
    hear(bridge, source, story.reports)
    first = bridge.events[0]

    assert isinstance(first, ev.ConversationStarted)
    assert (first.visitor_id, bridge.state.served_by, bridge.state.started) == ("v1", None, True)
    assert told(bridge) == []


def test_s2_19_one_close_is_one_event_however_often_it_is_told() -> None:
    for order in itertools.permutations(SOURCES):
        story, bridge = begun()
        before = len(story.reports)
        story.act("close", 0, 10)
        for source in (*order, *order):
            hear(bridge, source, story.reports[before:])

        assert [ev.kind_of(each) for each in bridge.events].count("ConversationClosed") == 1, order
        assert bridge.state.closed
