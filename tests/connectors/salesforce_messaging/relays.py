"""A world with a bot that hands over to the simulated org, and looks into both ledgers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from connectors.salesforce_messaging.connector import SalesforceMessagingConnector
from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID
from omnibridge.engine import plugins
from omnibridge.identity.requests import Sync
from omnibridge.sandbox.visitor import Visitor
from tests.acceptance.test_agents import with_provisioner
from tests.conftest import MakeWorld, World
from tests.connectors.salesforce_messaging.orgs import RunningOrg, org
from tests.integration.test_desks import said, until
from tests.scripted import ScriptedConnector

ALEX, BEA = "005SM0000001Alx", "005SM0000002BeaYAE"
"""As the API may tell them: 15 characters, or 18."""
TOLD = 'facts = ["workspace", "room", "visitor.*", "room.*", "bot.*", "department"]'


@pytest.fixture
def bot_kind(monkeypatch: pytest.MonkeyPatch) -> str:
    kinds = {"scripted": ScriptedConnector, "salesforce_messaging": SalesforceMessagingConnector}
    monkeypatch.setattr(plugins, "load_connector", lambda kind: kinds[kind])
    return "scripted"


class Relay:
    """One world and one org. chat: the only conversation there."""

    def __init__(self, world: World, sf: RunningOrg) -> None:
        self.world, self.sf = world, sf

    @property
    def cid(self) -> str:
        (found,) = self.sf.org.conversations
        return found

    @property
    def desk(self) -> Any:
        return self.sf.desk

    def heard(self) -> list[str]:
        """What the agent read, in order, without what was said before him."""
        rows = [each for each in self.sf.org.desk if each["kind"] in ("message", "file")]
        return [each["text"] for each in rows if not each["text"].startswith("Conversation so far:")]

    def repeats(self) -> int:
        return sum(each.get("repeats", 0) for each in self.sf.org.desk)

    def streams(self) -> int:
        """The most that one user had at a time."""
        return max((each.most_open for each in self.sf.org.feeds.by_subject.values()), default=0)

    def session(self) -> Any:
        return self.sf.org.conversations[self.cid].sessions[-1]

    def seen(self, visitor: Visitor) -> list[tuple[str, str]]:
        return said(self.world, visitor.rid)

    def words(self, visitor: Visitor) -> list[str]:
        return [text for _, text in self.seen(visitor)]

    async def until(self, holds: Callable[[], object]) -> None:
        await until(self.world, holds)

    async def handed_over(self) -> Visitor:
        visitor = await self.world.visitor()
        await visitor.say("where is my order A1")
        await self.world.answered()
        await visitor.say("talk to a human")
        await self.until(lambda: self.desk.waiting())
        return visitor

    async def with_agent(self) -> Visitor:
        visitor = await self.handed_over()
        self.desk.accept(self.cid, ALEX, "Alex Agent")
        self.desk.say(self.cid, "Hello, I am Alex.")
        await self.until(lambda: "Hello, I am Alex." in self.words(visitor))
        return visitor


MakeRelay = Callable[..., Awaitable[Relay]]


@pytest_asyncio.fixture
async def sf() -> AsyncIterator[RunningOrg]:
    async with org() as found:
        yield found


@pytest.fixture
def make_relay(make_world: MakeWorld, bot_kind: str, sf: RunningOrg) -> MakeRelay:
    """`await make_relay(terms="…", settings="…", agents="…", **make_world's)`: TOML of the desk's connection."""

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
            kind = "salesforce_messaging"
            url = "{sf.url}"
            org_id = "{ORG_ID}"
            es_developer_name = "{DEVELOPER_NAME}"
            rocketchat_user = "desk"
            rocketchat_token = "{token}"
            {TOLD}
            {settings}
        """
        path.write_text(f"{text}\n{connection}\n", "utf-8")
        await with_provisioner(world, agents)
        reply = await world.node.service._agents.answer(msgspec.json.encode(Sync(workspace="main", by="test")))
        assert msgspec.json.decode(reply).get("problem", "") == "", reply
        return Relay(world, sf)

    return make
