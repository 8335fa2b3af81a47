"""A bridge beside a simulated org with Omni-Channel, over sockets, for the tests here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.salesforce_crm.omni.org import OmniOrg
from connectors.salesforce_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from omnibridge.sandbox.server import Socket
from tests.conftest import MakeWorld, World

DECIDES = """
[[router]]
name = "omni"
kind = "salesforce_omni"
url = "{url}"
client_id = "{client_id}"
client_secret = "{client_secret}"
system = "salesforce"
poll_s = 0.05
work_poll_s = 0.05
read_timeout_s = 2
{more}
[assignment]
widget_listens_ms = 0
[assignment.agents.salesforce]
{agents}
"""
FIELDS = """
[router.fields]
Subject = {{ template = "Chat with {{visitor_name|a visitor}}" }}
Origin = "Chat"
[router.close]
Status = "Closed"
""".replace("{{", "{").replace("}}", "}")


@dataclass
class Omni:
    """simulator: the org. people: name of the hub's user -> id of the Salesforce user."""

    simulator: Simulator
    url: str
    world: World | None = None
    people: dict[str, str] = field(default_factory=dict)

    @property
    def org(self) -> OmniOrg:
        return self.simulator.org

    def all(self, name: str) -> list[dict[str, Any]]:
        return list(self.org.of(name).values())

    def person(self, username: str, **how: Any) -> str:
        self.people[username] = self.org.person(username.title(), **how)
        return self.people[username]

    async def bridge(self, make_world: MakeWorld, more: str, rules: str = 'default = "decider:omni"') -> World:
        """The relay, with a router of these lines."""
        world = await make_world(simulators=False, bot_first=False)
        await world.node.stop()
        for username in sorted(set(self.people) - set(world.sandbox.hub.by_name)):
            world.sandbox.hub.add_user(username, "secret", {"livechat-agent", "user"})
        given = {"url": self.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "more": more}
        agents = "\n".join(f'"{key}" = "{name}"' for name, key in self.people.items())
        path = world.folder / "omnibridge.toml"
        text = DECIDES.format(**given, agents=agents)
        for key in ("poll_s", "work_poll_s"):  # what a test says counts
            if f"\n{key} = " in f"\n{more}":
                text = text.replace(f"\n{key} = 0.05", "", 1)
        path.write_text(path.read_text("utf-8") + text, "utf-8")
        (world.folder / "rules.toml").write_text(rules, "utf-8")
        await world.hub.control(routing_method="Manual_Selection")
        await world.begin()
        self.world = world
        return world

    async def until(self, what: Callable[[], Any], timeout_s: float = 10.0) -> Any:
        async with asyncio.timeout(timeout_s):
            while not (found := what()):
                await asyncio.sleep(0.02)
        return found

    def reasons(self, room: str) -> list[str]:
        """Of every decision in a room, the oldest first."""
        assert self.world
        sql = (
            "SELECT e.reason FROM events e JOIN conversations c ON c.id = e.conversation_id "
            "WHERE c.room = ? ORDER BY e.id"
        )
        return [row[0] for row in self.world.rows(sql, room)]

    async def decided(self, room: str, words: str) -> str:
        """Until a decision's reason has these words; returns it."""
        return str(await self.until(lambda: next((each for each in self.reasons(room) if words in each), "")))

    async def served(self, room: str, by: str) -> None:
        assert self.world
        async with asyncio.timeout(30):
            while (await self.world.room(room))["served_by"] != by:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def omni_org() -> AsyncIterator[Omni]:
    simulator = Simulator()
    socket = Socket(simulator.app(), "127.0.0.1", 0)
    await socket.start()
    try:
        yield Omni(simulator, socket.url)
    finally:
        await socket.stop()
