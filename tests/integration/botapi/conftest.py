"""A whole world whose bot talks to us over the bot API: `world.bots` is the bridge's own address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from omnibridge.botapi.orders import BotOrder, write_order
from omnibridge.storage.bots import Bot, new_token
from tests.conftest import MakeWorld, World

KEY = "whsec_" + "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"
CONNECTION = f'allow_private = true\nsigning_secret = "{KEY}"'


@dataclass
class Api:
    """The bot's side: calls with its token."""

    world: World
    session: aiohttp.ClientSession
    token: str

    async def raw(self, method: str, token: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The envelope, whatever its status; `_status` holds that."""
        url = f"{self.world.node.url}/bot{self.token if token is None else token}/{method}"
        async with self.session.post(url, json=parameters) as answer:
            return {**await answer.json(), "_status": answer.status}

    async def call(self, method: str, **parameters: Any) -> Any:
        found = await self.raw(method, **parameters)
        assert found["ok"], found
        return found["result"]

    async def updates(self, count: int, offset: int = 0) -> list[dict[str, Any]]:
        """The first so many, unconfirmed, once they are there."""
        async with asyncio.timeout(30):
            while True:
                found: list[dict[str, Any]] = await self.call("getUpdates", offset=offset, timeout=1)
                if len(found) >= count:
                    return found


MakeApi = Callable[..., Awaitable[Api]]


@pytest.fixture
def bot_kind() -> str:
    return "bot_api"


@pytest_asyncio.fixture
async def make_api(make_world: MakeWorld) -> AsyncIterator[MakeApi]:
    sessions: list[aiohttp.ClientSession] = []

    async def make(connection: str = CONNECTION, **options: Any) -> Api:
        world = await make_world(connection=connection, **options)
        bot_id, token, digest = new_token()
        database = world.node.service._database
        assert database
        order = BotOrder("create", Bot("helper", bot_id, 1, "test"), digest)
        await database.writer.submit(lambda cursor: write_order(cursor, order, 1))
        sessions.append(aiohttp.ClientSession())
        return Api(world, sessions[-1], token)

    yield make
    for each in sessions:
        await each.close()
