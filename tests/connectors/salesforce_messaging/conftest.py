from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import MakeWorld
from tests.connectors.salesforce.relays import MakeRelay, installed, relay_maker
from tests.connectors.salesforce_messaging.relays import Relay, running


@pytest.fixture
def bot_kind(monkeypatch: pytest.MonkeyPatch) -> str:
    return installed(monkeypatch, Relay)


@pytest_asyncio.fixture
async def sf() -> AsyncIterator[Any]:
    async with running() as found:
        yield found


@pytest.fixture
def make_relay(make_world: MakeWorld, sf: Any) -> MakeRelay:
    return relay_maker(make_world, sf, Relay)
