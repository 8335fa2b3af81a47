"""A world in which an external system decides: simulated hub, simulated router, bridge, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from omnibridge.config_reader import load
from omnibridge.engine import plugins
from omnibridge.sandbox.configured import bot_user, workspace
from omnibridge.sandbox.lifecycle import MANUAL
from omnibridge.sandbox.router_simulator import RouterSimulator
from omnibridge.sandbox.server import SandboxOptions, Socket, start
from omnibridge.sandbox.visitor import SandboxClient, Staff
from omnibridge.server import Node
from omnibridge.storage import api_tokens
from omnibridge.storage.api_tokens import ApiToken
from tests.conftest import World
from tests.scripted import ScriptedBot, ScriptedConnector

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
HUB_TOKEN = "token-of-the-hub"


@dataclass
class Decided(World):
    """router: the external system, with its ledger. agents: external id -> user name."""

    router: RouterSimulator = field(default_factory=lambda: RouterSimulator(SECRET))
    agents: dict[str, str] = field(default_factory=dict)

    async def push(
        self, room: str, external_id: str, token: str, *, key: str = "", system: str = "crm", **more: Any
    ) -> tuple[int, dict[str, Any]]:
        body = {"external_system": system, "external_id": external_id, **more}
        return await self.request("POST", f"/api/v1/conversations/{room}/assignment", token, body, key)

    async def request(
        self, method: str, path: str, token: str = "", body: Any = None, key: str = "", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """(status, JSON) of a call to the bridge."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.node.url + path, json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def token(self, *scopes: str, system: str = "crm", workspace: str = "main") -> str:
        identity, token, digest = api_tokens.new_token()
        row = ApiToken(identity, "router", " ".join(scopes or ("assign", "read")), workspace, system, 1, "test")
        database = self.node.service._database
        assert database
        await database.writer.submit(lambda cursor: api_tokens.add(cursor, row, digest))
        return token

    async def served(self, room: str, by: str) -> None:
        """Until the hub says that he serves."""
        async with asyncio.timeout(30):
            while (await self.room(room))["served_by"] != by:
                await asyncio.sleep(0.02)

    def reasons(self, room: str) -> list[str]:
        """Of every decision in a room, the oldest first."""
        sql = (
            "SELECT e.reason FROM events e JOIN conversations c ON c.id = e.conversation_id "
            "WHERE c.room = ? ORDER BY e.id"
        )
        return [row[0] for row in self.rows(sql, room)]

    async def until(self, room: str, words: str) -> str:
        """Until a decision's reason has these words; returns it."""
        async with asyncio.timeout(30):
            while not (found := [each for each in self.reasons(room) if words in each]):
                await asyncio.sleep(0.02)
        return found[-1]


MakeDecided = Callable[..., Awaitable[Decided]]


@pytest_asyncio.fixture
async def make_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeDecided]:
    """`await make_decided(...)`, as `world_of`."""
    monkeypatch.setattr(plugins, "load_connector", lambda _: ScriptedConnector)
    async with AsyncExitStack() as stack:
        yield lambda **options: stack.enter_async_context(world_of(tmp_path, **options))


@asynccontextmanager
async def world_of(
    folder: Path,
    *,
    decider: str = "",
    rules: str = 'default = "decider:crm"',
    agents: dict[str, str] | None = None,
    departments: dict[str, list[str]] | None = None,
    external: bool = False,
    bot: bool = False,
    assignment: str = "",
    engine: str = "",
    **options: Any,
) -> AsyncIterator[Decided]:
    """agents: external id -> user name, made in the hub. departments: name -> user names. bot: a connection.
    external: the routing method, with a holding bot. decider, assignment, engine: lines of these tables."""
    ScriptedConnector.bot = ScriptedBot()
    sandbox = await start(
        SandboxOptions(simulators=False, licence="enterprise", bot_first=bot and not external, **options)
    )
    told, hub = sandbox.description, sandbox.hub
    router, agents = RouterSimulator(SECRET), agents or {"0055": "alice"}
    socket = Socket(router.app(), "127.0.0.1", 0)
    await socket.start()
    for username in sorted({*agents.values(), *(["holding"] if external else [])} - set(hub.by_name)):
        hub.add_user(username, "secret", {"livechat-agent", "bot" if username == "holding" else "user"})
    for name, members in (departments or {}).items():
        hub.add_department(name, {hub.by_name[each].id for each in members})
    table = "\n".join(f'"{key}" = "{value}"' for key, value in agents.items())
    (folder / "rules.toml").write_text(rules, "utf-8")
    (folder / "omnibridge.toml").write_text(
        f"""
[server]
port = 0
[database]
url = "sqlite:///test.db"
[engine]
{engine}
[rules]
file = "rules.toml"
{workspace(told)}
holding_bot = "{"holding" if external else ""}"
external_token = "{HUB_TOKEN if external else ""}"
{_bot(told) if bot else ""}
[[decider]]
name = "crm"
url = "{socket.url}/"
secret = "{SECRET}"
{decider}
[assignment]
{assignment}
[assignment.agents.crm]
{table}
""",
        "utf-8",
    )
    sandbox.life.routing_method = MANUAL  # before it is asked for
    node = Node(load(folder / "omnibridge.toml", {}))
    await node.start()
    client = SandboxClient(sandbox.url)
    await client.control(webhook_url=f"{node.url}/webhooks/rocketchat/main")
    if external:
        url = f"{node.url}/external/main"
        await client.control(routing_method="External", external_url=url, external_token=HUB_TOKEN)
    router.bridge_url = node.url
    alice, relay = Staff(client, told["agent_account"]), Staff(client, told["service_account"])
    world = Decided(client, ScriptedConnector.bot, alice, relay, node, sandbox, folder, router=router, agents=agents)
    try:
        await world.quiet()
        yield world
    finally:
        await world.node.stop()
        await client.aclose()
        await sandbox.stop()
        await socket.stop()


def _bot(told: dict[str, Any]) -> str:
    return f"""[[connection]]
name = "helper"
kind = "scripted"
{bot_user(told)}
"""
