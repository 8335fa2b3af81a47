"""An external system names people whom the hub has never seen: `omnibridge serve`, the hub and the router for real."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from omnibridge.sandbox.configured import workspace
from omnibridge.sandbox.router_simulator import RouterSimulator
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, Socket, start
from omnibridge.sandbox.state import User
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from tests.command_line import omnibridge
from tests.conftest import until
from tests.integration.identity.conftest import configured_provisioner
from tests.soak.processes import Bridge

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Town:
    """hub, router and a bridge in a process of its own. url: of the bridge."""

    sandbox: RunningSandbox
    client: SandboxClient
    router: RouterSimulator
    folder: Path
    url: str
    faces: str

    def person(self, name: str, colour: str) -> dict[str, str]:
        return {"name": name, "avatar_url": f"{self.faces}/faces/{colour}.png"}

    async def server(self, rid: str) -> User | None:
        """Who serves, as the hub has him."""
        ledger = await self.client.call("GET", "/_sandbox/ledger", None, None, rid=rid)
        name = ledger["rooms"][0]["served_by"]
        return self.sandbox.hub.by_name[name] if name else None

    async def served(self, rid: str, by: str) -> User:
        """Until somebody of this name serves."""
        async with asyncio.timeout(30):
            while (user := await self.server(rid)) is None or user.name != by:
                await asyncio.sleep(0.05)
        return user

    async def push(self, rid: str, token: str, body: dict[str, Any]) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{self.url}/api/v1/conversations/{rid}/assignment"
        async with aiohttp.ClientSession() as session, session.post(address, json=body, headers=headers) as answer:
            return answer.status

    def rows(self, sql: str, *values: object) -> list[Any]:
        with sqlite3.connect(f"file:{self.folder}/test.db?mode=ro", uri=True) as database:
            return database.execute(sql, values).fetchall()


@asynccontextmanager
async def town(folder: Path, agents: str, **options: Any) -> AsyncIterator[Town]:
    """agents: TOML of [agents]. options: of the sandbox. Rooms go to the router, which has ids of its own."""
    sandbox = await start(SandboxOptions(simulators=False, bot_first=False, department="sales", **options))
    router = RouterSimulator(SECRET)
    outside = Socket(router.app(), "127.0.0.1", 0)
    await outside.start()
    maker = configured_provisioner(sandbox.hub, folder)
    (folder / "rules.toml").write_text('default = "decider:crm"', "utf-8")
    text = f"""
[server]
port = PORT
[database]
url = "sqlite:///test.db"
[rules]
file = "rules.toml"
{workspace(sandbox.description)}
{maker}
[[decider]]
name = "crm"
url = "{outside.url}/"
secret = "{SECRET}"
timeout_ms = 5000
[assignment]
look_again_s = 1
[agents]
creation = true
token_keys_file = "keys"
avatar_hosts = ["{outside.url.removeprefix("http://")}"]
{agents}
"""
    client, bridge = SandboxClient(sandbox.url), Bridge(folder, {}, "", text=text)
    try:
        await bridge.start()
        async with aiohttp.ClientSession() as session:
            assert await bridge.ready(session) is not None
        await client.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main", routing_method="Manual_Selection")
        assert (await omnibridge(folder, "agents", "sync")).code == 0
        yield Town(sandbox, client, router, folder, bridge.url, outside.url)
    finally:
        await bridge.stop()
        await client.aclose()
        await sandbox.stop()
        await outside.stop()


async def test_people_whom_the_hub_never_saw_serve_with_name_and_face_one_after_another(tmp_path: Path) -> None:
    async with town(tmp_path, "") as world:
        hub = world.sandbox.hub
        before = set(hub.users)
        world.router.agents, world.router.people = {"": ["0055gA"]}, {"0055gA": world.person("Maria Fox", "c81e1e")}
        visitor = Visitor(world.client, "Vera")
        await visitor.open_room()
        maria = await world.served(visitor.rid, "Maria Fox")
        face = await _bytes(f"{world.faces}/faces/c81e1e.png")
        assert maria.id not in before and maria.avatar and maria.avatar.content == face
        assert "livechat-agent" in maria.roles

        made = await omnibridge(world.folder, "tokens", "create", "router", "--system", "crm")
        body = {"external_system": "crm", "external_id": "0055gB", **world.person("Tom Grant", "14963c")}
        assert await world.push(visitor.rid, made.out.strip(), body) == 202
        tom = await world.served(visitor.rid, "Tom Grant")
        assert tom.id not in {*before, maria.id} and tom.avatar
        assert tom.avatar.content == await _bytes(f"{world.faces}/faces/14963c.png")

        await visitor.close()
        # Each keeps the role for 15 s after he was chosen, in case the take is on its way.
        async with asyncio.timeout(30):
            while {"livechat-agent"} & (maria.roles | tom.roles):
                await asyncio.sleep(0.1)
        replay = await omnibridge(world.folder, "replay", "--all", "--json")

    assert set(hub.users) == {*before, maria.id, tom.id}
    assert replay.code == 0 and replay.json["differing"] == 0, replay.out


async def test_room_waits_in_the_queue_until_there_is_a_seat(tmp_path: Path) -> None:
    async with town(tmp_path, 'seats = 1\nover_budget = "queue"') as world:
        world.router.people = {"1": world.person("Maria Fox", "c81e1e"), "2": world.person("Tom Grant", "14963c")}
        world.router.agents = {"": ["1"]}
        first, second = Visitor(world.client, "Vera"), Visitor(world.client, "Viktor")
        await first.open_room()
        maria = await world.served(first.rid, "Maria Fox")
        world.router.agents = {"": ["2"]}
        await second.open_room()
        asked = (
            "SELECT count(*) FROM events WHERE kind = 'AgentNotEnsured' AND CAST(data AS TEXT) LIKE '%waiting_seat%'"
        )
        await until(lambda: world.rows(asked)[0][0] >= 2, 15)
        assert await world.server(second.rid) is None
        assert len(world.router.questions) == 2  # one for each room: a seat is waited for without asking again

        await first.close()
        freed = await omnibridge(world.folder, "agents", "unlink", "crm", "1")
        tom = await world.served(second.rid, "Tom Grant")

    assert freed.code == 0 and tom.id != maria.id and not maria.active


async def test_s2_26_who_writes_somebodys_id_into_his_own_field_gets_neither_chat_nor_role(tmp_path: Path) -> None:
    """Before the first contact, and after it."""
    async with town(tmp_path, "") as world:
        hub = world.sandbox.hub
        hub.by_name["bot"].status_livechat = "not-available"  # it would be handed rooms while alice is busy
        mallory = hub.add_user("mallory", "secret", {"user"}, "Mallory")
        staff = await Staff.login(world.client, "mallory", "secret")
        world.router.people = {"1": world.person("Maria Fox", "c81e1e"), "2": world.person("Tom Grant", "14963c")}

        async def claim(value: str) -> None:
            answer = await staff.post(
                "users.updateOwnBasicInfo", {"data": {}, "customFields": {"externalAgentId": value}}
            )
            assert answer["success"], answer

        await claim("crm:1")
        world.router.agents = {"": ["1"]}
        first = Visitor(world.client, "Vera")
        await first.open_room()
        refused = "SELECT count(*) FROM events WHERE kind = 'AgentNotEnsured' AND CAST(data AS TEXT) LIKE '%conflict%'"
        await until(lambda: world.rows(refused)[0][0] >= 1, 15)
        await world.served(first.rid, "Alice Example")  # the next rung: people who are there

        world.router.agents = {"": ["2"]}
        second, third = Visitor(world.client, "Viktor"), Visitor(world.client, "Wanda")
        await second.open_room()
        tom = await world.served(second.rid, "Tom Grant")
        await claim("crm:2")
        await third.open_room()
        again = await world.served(third.rid, "Tom Grant")
        await omnibridge(world.folder, "agents", "sync")
        drift = await omnibridge(world.folder, "agents", "drift", "--json")

    said = [(each["kind"], each["who"]) for each in drift.json["drift"] if "mallory" in each["text"]]
    assert again is tom is not mallory
    assert mallory.roles == {"user"} and mallory.open_chats == 0
    assert drift.code == 1 and ("unconfirmed", "crm:2") in said and ("twins", "crm:2") in said
    assert ("conflict", "crm:1") in [(each["kind"], each["who"]) for each in drift.json["drift"]]


async def _bytes(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read()
