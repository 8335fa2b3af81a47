"""A relay of one protocol: `chats` is its module, with `Relay` and `running`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import MakeWorld
from tests.connectors.salesforce.relays import MakeRelay, installed, relay_maker


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
