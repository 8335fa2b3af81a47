"""A whole world in one process, over real sockets: simulated hub, simulated bot, bridge."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

import omnibridge.sandbox.server
import omnibridge.server
from omnibridge.config_reader import load
from omnibridge.engine import plugins
from omnibridge.sandbox.configured import bot_user, workspace
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from omnibridge.server import Node
from tests import ports
from tests.scripted import ScriptedBot, ScriptedConnector

MEMORY, ENOUGH = Path("/dev/shm"), 2 << 30
if "PYTEST_DEBUG_TEMPROOT" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
    # A world starts three times as fast where a commit does not wait for the disk. What a lost power supply leaves on
    # one is for tests/soak/test_durability.py, which plays it.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)

# Who still calls a server that a test ended must not reach one that another worker has just begun.
omnibridge.server.listen = omnibridge.sandbox.server.listen = ports.listen  # type: ignore[attr-defined]

# Speed of a shared machine is not what these tests are about.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


class SimulatedBot:
    """The simulator of a vendor's connector, through its `/_sandbox/`."""

    def __init__(self, url: str) -> None:
        self._client = SandboxClient(url)

    async def control(self, **wish: Any) -> None:
        await self._client.call("POST", "/_sandbox/control", wish)

    async def turns(self) -> list[dict[str, Any]]:
        return list((await self._client.call("GET", "/_sandbox/ledger"))["turns"])

    async def aclose(self) -> None:
        await self._client.aclose()


async def until(holds: Callable[[], object], within_s: float = 30) -> None:
    """Poll with a deadline."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


@dataclass
class World:
    """hub: client of the simulated hub. bot: switches and ledger of the bot. folder: configuration and database."""

    hub: SandboxClient
    bot: ScriptedBot | SimulatedBot
    alice: Staff
    relay: Staff
    node: Node
    sandbox: RunningSandbox
    folder: Path
    webhook: bool = True

    async def visitor(self, name: str = "Vera", **profile: Any) -> Visitor:
        visitor = Visitor(self.hub, name)
        await visitor.open_room(**profile)
        return visitor

    def rows(self, sql: str, *values: object) -> list[Any]:
        """Look into the bridge's database."""
        database = self.node.service._database
        assert database
        return list(database.reader.execute(sql, values).fetchall())

    async def room(self, rid: str) -> dict[str, Any]:
        """One room of the hub's ledger."""
        ledger = await self.hub.call("GET", "/_sandbox/ledger", None, None, rid=rid)
        return dict(ledger["rooms"][0])

    async def bot_started(self, turns: int = 1) -> None:
        """Until the bot has begun so many turns."""
        await self._bot_until(lambda each: True, turns)

    async def answered(self, turns: int = 1) -> None:
        """Until the bot has ended so many turns, and the bridge has settled everything."""
        await self._bot_until(lambda each: each["outcome"] != "started", turns)
        await self.quiet()

    async def quiet(self) -> None:
        """Until the bridge relays, and nothing waits to be decided or sent."""
        async with asyncio.timeout(30):
            due = (
                "SELECT 1 FROM deliveries WHERE state = 0 UNION ALL SELECT 1 FROM observations WHERE state = 0 LIMIT 1"
            )
            while self.node.service._why_not_ready or self.rows(due):
                await asyncio.sleep(0.01)

    async def compared(self) -> None:
        """Until the bridge's first comparison with the hub is over, however it ended."""
        async with asyncio.timeout(30):
            while not self.node.service.counters.value("reconcile_runs"):
                await asyncio.sleep(0.01)

    async def _bot_until(self, matches: Callable[[dict[str, Any]], bool], turns: int) -> None:
        async with asyncio.timeout(30):
            while True:
                found = await self.bot.turns()
                if sum(matches(each) for each in found) >= turns:
                    return
                await asyncio.sleep(0.01)

    async def upload(
        self,
        visitor: Visitor,
        name: str = "cat.png",
        content: bytes = b"not really a picture",
        media_type: str = "application/octet-stream",
        text: str = "",
    ) -> None:
        await visitor.upload(name, content, media_type, text)

    async def restart(self) -> None:
        """Stop the bridge and start it again on the same database."""
        await self.node.stop()
        await self.begin()

    async def begin(self) -> None:
        """Start the bridge that was stopped, on the same database."""
        self.node = Node(load(self.folder / "omnibridge.toml", {}))
        await self.node.start()
        await self.listen()

    async def listen(self) -> None:
        """Let the hub's events come to the bridge."""
        if self.webhook:
            await self.hub.control(webhook_url=f"{self.node.url}/webhooks/rocketchat/main")

    async def live(self) -> None:
        """Until the realtime connection is live."""
        async with asyncio.timeout(30):
            while not any(each.is_live for each in self.node.service._sources._listeners):
                await asyncio.sleep(0.01)


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
def bot_kind(monkeypatch: pytest.MonkeyPatch) -> str:
    """Which bot the world has. Here the scripted one; a connector's own tests override this fixture."""
    monkeypatch.setattr(plugins, "load_connector", lambda _: ScriptedConnector)
    return "scripted"


@pytest_asyncio.fixture
async def make_world(tmp_path: Path, bot_kind: str) -> AsyncIterator[MakeWorld]:
    """`await make_world(hub_version=…, engine=…, rules=…, texts=…, connection=…, workspace=…, **sandbox options)`.

    webhook: whether the hub sends any."""
    made: list[World] = []

    async def make(
        *,
        engine: str = "",
        rules: str = "",
        texts: str = "",
        connection: str = "fallbacks = 2",
        workspace: str = "",
        webhook: bool = True,
        **options: Any,
    ) -> World:
        ScriptedConnector.bot = ScriptedBot()
        sandbox = await start(SandboxOptions(**options))
        told = sandbox.description
        (tmp_path / "rules.toml").write_text(rules, "utf-8")
        configuration = _configuration(told, bot_kind, engine, texts, connection, workspace)
        (tmp_path / "omnibridge.toml").write_text(configuration, "utf-8")
        node = Node(load(tmp_path / "omnibridge.toml", {}))
        await node.start()
        hub = SandboxClient(sandbox.url)
        has_simulator = f"{bot_kind}_url" in told  # not so: the scripted one, and a test's own bot that calls us
        bot = SimulatedBot(told[f"{bot_kind}_url"]) if has_simulator else ScriptedConnector.bot
        alice, relay = Staff(hub, told["agent_account"]), Staff(hub, told["service_account"])
        world = World(hub, bot, alice, relay, node, sandbox, tmp_path, webhook)
        await world.listen()
        made.append(world)
        return world

    yield make
    for world in made:
        await world.node.stop()
        await world.hub.aclose()
        if isinstance(world.bot, SimulatedBot):
            await world.bot.aclose()
        await world.sandbox.stop()


def _configuration(told: dict[str, Any], kind: str, engine: str, texts: str, connection: str, more: str) -> str:
    return f"""
[server]
port = 0
[database]
url = "sqlite:///test.db"
[engine]
{engine}
[rules]
file = "rules.toml"
[texts]
{texts}
{workspace(told)}
{more}
[[connection]]
name = "helper"
kind = "{kind}"
{told.get(f"{kind}_connection", "")}
{bot_user(told)}
{connection}
"""
