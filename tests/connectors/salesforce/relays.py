"""A world with a bot that hands over to a simulated desk of Salesforce, and looks into both ledgers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec
import pytest

from omnibridge.engine import plugins
from omnibridge.identity.requests import Sync
from omnibridge.sandbox.visitor import Visitor
from tests.acceptance.test_agents import with_provisioner
from tests.conftest import MakeWorld, World, until
from tests.connectors.salesforce.running import Running
from tests.integration import test_desks
from tests.integration.test_desks import said
from tests.scripted import ScriptedConnector

ALEX, BEA = "005SM0000001Alx", "005SM0000002BeaYAE"
"""As the API may tell them: 15 characters, or 18."""
QUICK = "reorder_window_ms = 50"
"""The hub of these tests swaps nothing: every word of a visitor would wait the whole window for nothing."""


class Relay(ABC):
    """One world and one desk. KIND: of the connection. CONNECTOR: its class. ADDRESS: TOML of where the desk is."""

    KIND: ClassVar[str]
    CONNECTOR: ClassVar[type]
    ADDRESS: ClassVar[str]

    def __init__(self, world: World, sf: Any) -> None:
        self.world, self.sf = world, sf

    @property
    @abstractmethod
    def chat(self) -> str:
        """The desk's id of the last one there."""

    @property
    def desk(self) -> Any:
        return self.sf.desk

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        """What reached the agents."""
        return [each for each in self.sf.vendor.desk if each["kind"] in kinds]

    def heard(self) -> list[str]:
        """What agents read, in order, without what was said before them."""
        rows = [each["text"] for each in self.of_kind("message", "file") if "text" in each]
        return [each for each in rows if not each.startswith("Conversation so far:")]

    def seen(self, visitor: Visitor) -> list[tuple[str, str]]:
        return said(self.world, visitor.rid)

    def words(self, visitor: Visitor) -> list[str]:
        return [text for _, text in self.seen(visitor)]

    def agents_words(self, visitor: Visitor) -> list[str]:
        """Of those that are `a0`, `a1`, …"""
        return [each for each in self.words(visitor) if each[0] == "a" and each[1:].isdigit()]

    async def until(self, holds: Callable[[], object]) -> None:
        await test_desks.until(self.world, holds)

    async def handed_over(self, *, waits: bool = True) -> Visitor:
        visitor = await self.world.visitor()
        await visitor.say("where is my order A1")
        await self.world.answered()
        await visitor.say("talk to a human")
        await until(lambda: any(each.startswith("One moment") for each in self.words(visitor)))
        if waits:
            await self.until(lambda: self.desk.waiting())
        return visitor

    async def with_agent(self) -> Visitor:
        visitor = await self.handed_over()
        self.desk.accept(self.chat, ALEX, "Alex Agent")
        self.desk.say(self.chat, "Hello, I am Alex.")
        await self.until(lambda: "Hello, I am Alex." in self.words(visitor))
        return visitor

    async def exchange(self, visitor: Visitor, n: int = 4, before: Callable[[], object] = lambda: None) -> list[str]:
        """Both say so many things, one after the other. What agents said."""
        for at in range(n):
            before()
            await visitor.say(f"v{at}")
            await self.until(lambda at=at: f"v{at}" in self.heard())
            self.desk.say(self.chat, f"a{at}")
        await self.until(lambda: f"a{n - 1}" in self.words(visitor))
        return [f"a{at}" for at in range(n)]


MakeRelay = Callable[..., Awaitable[Any]]


def installed(monkeypatch: pytest.MonkeyPatch, relay: type[Relay]) -> str:
    """The bot of such worlds, for a fixture `bot_kind`."""
    kinds = {"scripted": ScriptedConnector, relay.KIND: relay.CONNECTOR}
    monkeypatch.setattr(plugins, "load_connector", lambda kind: kinds[kind])
    return "scripted"


def relay_maker(make_world: MakeWorld, sf: Running, relay: type[Relay]) -> MakeRelay:
    """`await make_relay(settings="…", agents="…", **make_world's)`: TOML of the desk's connection; DEPARTMENT in it is
    the id of the hub's."""

    async def make(*, settings: str = "", agents: str = "creation = true", engine: str = "", **options: Any) -> Relay:
        window = "" if "reorder_window_ms" in engine else QUICK
        world = await make_world(engine=f"{window}\n{engine}", **options)
        hub = world.sandbox.hub
        user = hub.add_user("desk", "secret", {"bot", "livechat-agent"}, "Our team")
        token = hub.accounts.issue_access_token(user, "omnibridge", bypasses_two_factor=True).token
        path = world.folder / "omnibridge.toml"
        text = path.read_text("utf-8").replace("fallbacks = 2", 'fallbacks = 2\nhands_to = "sales"')
        connection = f"""
            [[connection]]
            name = "sales"
            kind = "{relay.KIND}"
            {relay.ADDRESS.format(sf.url)}
            {sf.SETTINGS}
            rocketchat_user = "desk"
            rocketchat_token = "{token}"
            {settings.replace("DEPARTMENT", next(iter(hub.departments), ""))}
        """
        path.write_text(f"{text}\n{connection}\n", "utf-8")
        await with_provisioner(world, agents)
        reply = await world.node.service._agents.answer(msgspec.json.encode(Sync(workspace="main", by="test")))
        assert msgspec.json.decode(reply).get("problem", "") == "", reply
        return relay(world, sf)

    return make
