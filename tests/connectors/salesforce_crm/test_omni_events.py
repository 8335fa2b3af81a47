"""Events of the Pub/Sub API around a bridge: it looks by them, and by the clock as soon as they do not come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connectors.salesforce_crm.omni.events.simulator import CHANNEL, PubSub
from omnibridge.connector import bell
from omnibridge.connector.bell import Bell
from tests.conftest import MakeWorld
from tests.connectors.salesforce_crm.ears import hurry
from tests.connectors.salesforce_crm.omnis import Omni
from tests.connectors.salesforce_crm.test_omni_work import all_taken, cases, rows
from tests.ports import free_port

SELDOM = "poll_s = 60\nwork_poll_s = 300\nsweep_s = 600\n"
"""Nothing that a test waits for comes by the clock."""


@pytest_asyncio.fixture(autouse=True)
async def pubsub(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PubSub]:
    hurry(monkeypatch)
    await omni.simulator.events.start(free_port())
    yield omni.simulator.events


def lines(omni: Omni, clock: str = SELDOM) -> str:
    """Of the router."""
    return f'events = "pubsub"\npubsub_address = "{omni.simulator.events.address}"\n{clock}'


async def listens(omni: Omni, *, is_routed: bool) -> Bell:
    """When the looks that come with the streams are over."""
    assert omni.world
    router = omni.world.node.service._routers._bells["omni"]
    side = router.work if is_routed else router.answers
    await omni.until(lambda: router.is_live and not side.rung.is_set() and not side._is_late)
    await omni.world.quiet()
    return router


async def routes(omni: Omni, make_world: MakeWorld, clock: str = SELDOM) -> str:
    """The queue that is routed by a bridge which listens."""
    queue = omni.org.queue("calls", "ExternalRouting")
    await omni.bridge(make_world, f'routes = ["{queue}"]\n{lines(omni, clock)}', rules="")
    await listens(omni, is_routed=True)
    return queue


@pytest.mark.parametrize("topics", ["", f'pubsub_topics = ["{CHANNEL}"]\n'], ids=["objects", "channel"])
async def test_work_is_given_by_the_event_and_not_by_the_clock(
    omni: Omni, make_world: MakeWorld, pubsub: PubSub, topics: str
) -> None:
    omni.person("alice", capacity=1, answers=["decline"]), omni.person("bob", capacity=1, answers=["decline"])
    queue = await routes(omni, make_world, SELDOM + topics)
    began = time.monotonic()
    cases(omni, queue, 1)
    await all_taken(omni, 1)

    assert time.monotonic() - began < 50
    assert [each["serial"] for each in omni.org.pushed_to] == [1, 2, 3]  # a decline is an event as well
    assert omni.org.ledger()["double_pushes"] == 0 == pubsub.n_over


async def test_conversation_is_given_to_who_accepts_by_the_event(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("chats")
    omni.person("alice", then="decline", capacity=9), omni.person("bob", after_s=0.1)
    world = await omni.bridge(make_world, f'queue = "{queue}"\n{lines(omni)}')
    await listens(omni, is_routed=False)
    visitor = await world.visitor()
    await omni.served(visitor.rid, "bob")

    assert len(omni.org.made) == 1


async def test_events_that_come_twice_or_have_a_gap_give_work_once(
    omni: Omni, make_world: MakeWorld, pubsub: PubSub
) -> None:
    for name in ("alice", "bob", "carol"):
        omni.person(name, capacity=40, answers=["accept", "decline", "timeout", "accept"] * 9)
    queue = await routes(omni, make_world)
    pubsub.copies = 3
    cases(omni, queue, 15)
    await all_taken(omni, 15)
    pubsub.gaps = True
    cases(omni, queue, 15)
    await all_taken(omni, 30)

    assert set(omni.org.pushes.values()) == {1}
    given = Counter((each["routing"], each["serial"]) for each in omni.org.pushed_to)
    assert set(given.values()) == {1} and len(given) > 30
    assert pubsub.n_sent >= 3 * 15


async def test_what_came_while_nobody_listened_is_found_when_it_is_taken_up_again(
    omni: Omni, make_world: MakeWorld, pubsub: PubSub
) -> None:
    omni.person("alice")
    queue = await routes(omni, make_world)
    refusals = {"code": "UNAVAILABLE", "match": "Subscribe", "count": 6}
    pubsub.fail_next, pubsub.losing = [refusals], 1_000_000
    pubsub.cut()
    await omni.until(lambda: not pubsub.listening and refusals["count"] == 2)
    cases(omni, queue, 1)
    await all_taken(omni, 1)

    assert pubsub.n_sent == 0


async def test_events_that_are_all_lost_are_made_up_for_by_the_sweep(
    omni: Omni, make_world: MakeWorld, pubsub: PubSub
) -> None:
    omni.person("alice")
    queue = await routes(omni, make_world, "sweep_s = 0.3\n")
    pubsub.losing = 1_000_000
    cases(omni, queue, 2)
    await all_taken(omni, 2)

    assert pubsub.n_sent == 0 and pubsub.n_lost >= 2


async def test_stream_that_stands_and_tells_nothing_is_not_waited_for(
    omni: Omni, make_world: MakeWorld, pubsub: PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody selected the objects: the topics can be subscribed all the same. Only the first of it takes a sweep."""
    monkeypatch.setattr(bell, "GRACE_S", 0.02)
    omni.person("alice", capacity=40)
    queue = await routes(omni, make_world, "sweep_s = 0.3\n")
    router = await listens(omni, is_routed=True)
    pubsub.losing = 1_000_000
    n = 0
    while not router.work.is_deaf and n < 5:  # a look that was under way may find the first
        cases(omni, queue, 1)
        await all_taken(omni, n := n + 1)
    assert router.work.is_deaf and router.is_live and not router.answers.is_deaf and pubsub.n_sent == 0
    pubsub.losing = 0
    cases(omni, queue, 1)
    await omni.until(lambda: not router.work.is_deaf)
    await all_taken(omni, n + 1)


async def test_what_no_event_tells_of_is_not_left_to_the_sweep(omni: Omni, make_world: MakeWorld) -> None:
    """Somebody comes online: that is no object of Change Data Capture."""
    alice = omni.person("alice", online=False)
    queue = await routes(omni, make_world, "sweep_s = 600\n")
    cases(omni, queue, 1)
    assert omni.world
    world = omni.world
    await omni.until(lambda: rows(world, "1", "stage = 'nobody'"))
    omni.org.create(
        "UserServicePresence", {"UserId": alice, "IsCurrentState": True, "IsAway": False, "ConfiguredCapacity": 5}
    )
    for each in omni.all("UserServicePresence"):
        each.setdefault("ServicePresenceStatusId", None), each.setdefault("StatusStartDate", None)
    await all_taken(omni, 1)


async def test_step_of_ours_that_failed_is_not_left_to_the_sweep(omni: Omni, make_world: MakeWorld) -> None:
    queue = omni.org.queue("chats")
    omni.person("bob")
    world = await omni.bridge(make_world, f'queue = "{queue}"\n{lines(omni, "sweep_s = 600")}')
    await listens(omni, is_routed=False)
    omni.simulator.fail_next = [{"status": 400, "code": "UNABLE_TO_LOCK_ROW", "match": "PATCH Case"}]
    visitor = await world.visitor()
    await omni.served(visitor.rid, "bob")

    assert omni.simulator.failures["UNABLE_TO_LOCK_ROW"] == 1


async def test_without_the_api_it_is_polled_as_before(omni: Omni, make_world: MakeWorld, pubsub: PubSub) -> None:
    omni.person("alice")
    queue = omni.org.queue("calls", "ExternalRouting")
    more = lines(omni, "sweep_s = 600\n")
    await pubsub.stop()
    await omni.bridge(make_world, f'routes = ["{queue}"]\n{more}', rules="")
    cases(omni, queue, 1)
    await all_taken(omni, 1)
