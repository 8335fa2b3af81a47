"""Tests of what is the same for both chats, each with its own simulator."""

from collections.abc import AsyncIterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import MakeWorld
from tests.connectors.salesforce.relays import MakeRelay, installed, relay_maker

KINDS = [each for each in ("salesforce_messaging", "salesforce_live_agent") if find_spec(f"connectors.{each}")]


@pytest.fixture(params=KINDS)
def chats(request: pytest.FixtureRequest) -> Any:
    """Of one protocol: `Relay`, `running`."""
    return import_module(f"tests.connectors.{request.param}.relays")


@pytest.fixture
def bot_kind(monkeypatch: pytest.MonkeyPatch, chats: Any) -> str:
    return installed(monkeypatch, chats.Relay)


@pytest_asyncio.fixture
async def sf(chats: Any) -> AsyncIterator[Any]:
    async with chats.running() as found:
        yield found


@pytest.fixture
def make_relay(make_world: MakeWorld, sf: Any, chats: Any) -> MakeRelay:
    return relay_maker(make_world, sf, chats.Relay)
