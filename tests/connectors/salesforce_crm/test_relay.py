"""The whole relay with a CRM beside it: hub, bot, bridge and org, each on sockets. S2-04."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest_asyncio

from omnibridge.sandbox.visitor import SandboxClient
from tests.conftest import MakeWorld, World
from tests.connectors.salesforce_crm.orgs import SAMPLE


class Beside:
    """A world and the org's ledger."""

    def __init__(self, world: World, org: SandboxClient) -> None:
        self.world, self.org = world, org

    async def control(self, **wish: Any) -> list[str]:
        return list((await self.org.call("POST", "/_sandbox/control", wish))["ids"])

    async def records(self, name: str) -> list[dict[str, Any]]:
        return list((await self.org.call("GET", "/_sandbox/ledger"))["records"].get(name, []))

    async def ledger(self) -> dict[str, Any]:
        return dict(await self.org.call("GET", "/_sandbox/ledger"))

    async def synced(self, rows: int) -> None:
        """Until so many syncs are done."""
        async with asyncio.timeout(15):
            done = "SELECT count(*) FROM deliveries WHERE command IN ('SyncRecords', 'EraseRecords') AND state = 1"
            while self.world.rows(done)[0][0] < rows:
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def beside(make_world: MakeWorld, tmp_path: Path) -> Any:
    made: list[SandboxClient] = []

    async def make(mapping: str = SAMPLE, crm: str = "", rules: str = "") -> Beside:
        (tmp_path / "crm.toml").write_text(mapping, "utf-8")
        world = await make_world(rules=rules)
        await world.node.stop()
        told = world.sandbox.description
        configuration = (tmp_path / "omnibridge.toml").read_text("utf-8") + (
            f'[[crm]]\nname = "sales"\nkind = "salesforce_crm"\n{told["salesforce_crm_connection"]}\n'
            f'mapping_file = "crm.toml"\n{crm}\n'
        )
        (tmp_path / "omnibridge.toml").write_text(configuration, "utf-8")
        await world.begin()
        org = SandboxClient(told["salesforce_crm_url"])
        made.append(org)
        return Beside(world, org)

    yield make
    for each in made:
        await each.aclose()


async def test_s2_04_conversation_is_kept_from_start_to_close(beside: Any) -> None:
    at = await beside()
    visitor = await at.world.visitor("Vera", email="vera@example.com")
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await at.world.alice.say(visitor.rid, "I am Alice")
    await visitor.say("thank you")
    await at.world.hub.settled()
    await visitor.close()
    await at.synced(3)
    (contact,), (case,), tasks = [await at.records(each) for each in ("Contact", "Case", "Task")]
    words = "\n".join(each["Description"] for each in tasks)

    assert contact["Email"] == "vera@example.com" and case["ContactId"] == contact["Id"]
    assert case["Status"] == "Closed" and case["Subject"].startswith("Chat with Vera")
    said = ["echo hello", "hello", "talk to a human", "One moment, a colleague takes over.", "I am Alice", "thank you"]
    assert [line.split(": ", 1)[1] for line in words.split("\n")] == said
    assert [line.split("] ")[1].split(":")[0] for line in words.split("\n")] == [
        *("Visitor", "helper", "Visitor", "helper", "Alice Example", "Visitor")
    ]
