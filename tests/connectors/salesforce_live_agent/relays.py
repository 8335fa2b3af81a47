"""A world with a bot that hands over to the simulated service, and looks into both ledgers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from connectors.salesforce_live_agent.connector import SalesforceLiveAgentConnector
from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID, ORG_ID
from omnibridge.engine import plugins
from omnibridge.sandbox.visitor import Visitor
from tests.acceptance.test_agents import with_provisioner
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World
from tests.connectors.salesforce_live_agent.services import RunningService, eventually, service
from tests.integration.test_desks import said, until
from tests.scripted import ScriptedConnector

ALEX, BEA = "005SM0000001Alx", "005SM0000002BeaYAE"
"""As the API may tell them: 15 characters, or 18."""


@pytest.fixture
def bot_kind(monkeypatch: pytest.MonkeyPatch) -> str:
    kinds = {"scripted": ScriptedConnector, "salesforce_live_agent": SalesforceLiveAgentConnector}
    monkeypatch.setattr(plugins, "load_connector", lambda kind: kinds[kind])
    return "scripted"


class Relay:
    """One world and one service. sid: the last session there."""

    def __init__(self, world: World, sf: RunningService) -> None:
        self.world, self.sf = world, sf

    @property
    def sid(self) -> str:
        return list(self.sf.service.sessions)[-1]

    @property
    def desk(self) -> Any:
        return self.sf.desk

    @property
    def counts(self) -> dict[str, int]:
        return self.sf.service.counts

    def session(self) -> Any:
        return self.sf.service.sessions[self.sid]

    def heard(self) -> list[str]:
        """What agents read, in order, without what was said before them."""
        rows = [each["text"] for each in self.sf.service.desk if each["kind"] == "message"]
        return [each for each in rows if not each.startswith("Conversation so far:")]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.sf.service.desk if each["kind"] == kind]

    def seen(self, visitor: Visitor) -> list[tuple[str, str]]:
        return said(self.world, visitor.rid)

    def words(self, visitor: Visitor) -> list[str]:
        return [text for _, text in self.seen(visitor)]

    async def until(self, holds: Callable[[], object]) -> None:
        await until(self.world, holds)

    async def handed_over(self, *, waits: bool = True) -> Visitor:
        visitor = await self.world.visitor()
        await visitor.say("where is my order A1")
        await self.world.answered()
        await visitor.say("talk to a human")
        await eventually(lambda: "One moment, a colleague takes over." in self.words(visitor))
        if waits:
            await self.until(lambda: self.desk.waiting())
        return visitor

    async def with_agent(self) -> Visitor:
        visitor = await self.handed_over()
        self.desk.accept(self.sid, ALEX, "Alex Agent")
        self.desk.say(self.sid, "Hello, I am Alex.")
        await self.until(lambda: "Hello, I am Alex." in self.words(visitor))
        return visitor


MakeRelay = Callable[..., Awaitable[Relay]]


@pytest_asyncio.fixture
async def sf() -> AsyncIterator[RunningService]:
    async with service() as found:
        yield found
        ledger = found.ledger()
        assert (ledger["duplicate_polls"], ledger["sequence_gaps"], ledger["early_posts"]) == (0, 0, 0)


@pytest.fixture
def make_relay(make_world: MakeWorld, bot_kind: str, sf: RunningService) -> MakeRelay:
    """`await make_relay(settings="…", agents="…", **make_world's)`: TOML of the desk's connection;
    DEPARTMENT in it is the id of the hub's."""

    async def make(*, settings: str = "", agents: str = "creation = true", **options: Any) -> Relay:
        world = await make_world(**options)
        hub = world.sandbox.hub
        user = hub.add_user("desk", "secret", {"bot", "livechat-agent"}, "Our team")
        token = hub.accounts.issue_access_token(user, "omnibridge", bypasses_two_factor=True).token
        path = world.folder / "omnibridge.toml"
        text = path.read_text("utf-8").replace("fallbacks = 2", 'fallbacks = 2\nhands_to = "sales"')
        connection = f"""
            [[connection]]
            name = "sales"
            kind = "salesforce_live_agent"
            endpoint = "{sf.url}/chat/rest/"
            org_id = "{ORG_ID}"
            deployment_id = "{DEPLOYMENT_ID}"
            button_id = "{BUTTON_ID}"
            rocketchat_user = "desk"
            rocketchat_token = "{token}"

            {settings.replace("DEPARTMENT", next(iter(hub.departments), ""))}
        """
        path.write_text(f"{text}\n{connection}\n", "utf-8")
        await with_provisioner(world, agents)
        await omnibridge(world.folder, "agents", "sync")
        return Relay(world, sf)

    return make
