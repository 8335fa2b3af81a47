"""Events of the Pub/Sub API: looks go by them, and by the clock as soon as they do not come."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connectors.salesforce_crm.omni.events import line, listener
from omnibridge.connector import bell
from tests.conftest import MakeWorld
from tests.connectors.salesforce_crm.omnis import Omni
from tests.connectors.salesforce_crm.test_omni_work import all_taken, cases

SELDOM = "poll_s = 60\nwork_poll_s = 300\nsweep_s = 600\n"
"""Nothing that a test waits for comes by the clock."""


@pytest_asyncio.fixture(autouse=True)
async def events(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Lines of the router that listens to the simulator, with pauses that suit a test."""
    monkeypatch.setattr(line, "SETTLED_S", 0.05)
    monkeypatch.setattr(listener, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(bell, "GAP_S", 0.05)
    address = await omni.simulator.events.start()
    yield f'events = "pubsub"\npubsub_address = "{address}"\n{SELDOM}'


async def listened(omni: Omni, n: int = 2) -> None:
    await omni.until(lambda: len(omni.simulator.events.listening) == n)


async def test_work_is_given_by_the_event_and_not_by_the_clock(omni: Omni, make_world: MakeWorld, events: str) -> None:
    queue = omni.org.queue("calls", "ExternalRouting")
    omni.person("alice")
    await omni.bridge(make_world, f'routes = ["{queue}"]\n{events}', rules="")
    await listened(omni)
    began = time.monotonic()
    cases(omni, queue, 1)
    await all_taken(omni, 1)

    assert time.monotonic() - began < 5
    assert omni.org.ledger()["double_pushes"] == 0


async def test_conversation_is_given_to_who_accepts_by_the_event(
    omni: Omni, make_world: MakeWorld, events: str
) -> None:
    queue = omni.org.queue("chats")
    omni.person("alice", then="decline", capacity=9), omni.person("bob", after_s=0.1)
    world = await omni.bridge(make_world, f'queue = "{queue}"\n{events}')
    await listened(omni)
    visitor = await world.visitor()
    await omni.served(visitor.rid, "bob")

    assert len(omni.org.made) == 1
