"""`omnibridge agents …` in a process of its own: beside a running server through its socket, and without one."""

from __future__ import annotations

import aiohttp

from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.sandbox.visitor import Staff
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World
from tests.integration.identity.conftest import KEYS, configured_provisioner

FILE = """system,external_id,name,departments
crm,1,Ann,sales
crm,2,\x1b[31mBob,
"""


async def test_directory_goes_in_and_out_beside_a_server_and_without_one(make_world: MakeWorld) -> None:
    world = await make_world()
    file = world.folder / "agents.csv"
    file.write_text(FILE, "utf-8")
    wrong = await omnibridge(world.folder, "agents", "import", str(file))
    file.write_text(FILE.replace("\x1b[31m", ""), "utf-8")
    after_wrong = world.rows("SELECT count(*) FROM agents")
    done = await omnibridge(world.folder, "agents", "import", str(file), "--json")
    linked = await omnibridge(world.folder, "agents", "link", "crm", "1", "alice")
    rows = world.rows("SELECT external_id, username FROM agents ORDER BY external_id")
    await world.node.stop()
    without = await omnibridge(world.folder, "agents", "unlink", "crm", "1")
    audit = await omnibridge(world.folder, "agents", "list", "--audit")

    assert wrong.code == 1 and "row 3: name holds control characters" in wrong.err and "\x1b" not in wrong.err
    assert after_wrong == [(0,)]
    assert done.code == 0 and done.json["added"] == 2 and done.json["written"]
    assert linked.code == 0 and "crm:1 is alice" in linked.out
    assert rows == [("1", "alice"), ("2", "")]
    assert without.code == 0, without.err
    assert [each.split()[4] for each in audit.out.splitlines()] == ["unlink", "link", "import"]


async def with_provisioner(world: World, agents: str) -> None:
    """Restart the bridge with an account that may make users. agents: TOML of [agents]."""
    file = world.folder / "omnibridge.toml"
    maker = configured_provisioner(world.sandbox.hub, world.folder)
    text = file.read_text("utf-8").replace("[[workspace]]", f"[[workspace]]\n{maker}")
    file.write_text(f'{text}\n[agents]\ntoken_keys_file = "keys"\n{agents}\n', "utf-8")
    await world.restart()
    await world.quiet()


async def test_from_sync_over_approval_to_a_user_and_drift_beside_a_running_server(make_world: MakeWorld) -> None:
    world = await make_world(department="sales")
    await with_provisioner(world, "creation = true\napproval = true")
    agent = ExternalAgent("crm", "0055g", "Ann", departments=("sales",))

    async def ensure() -> AgentFound | AgentRefused:
        return await world.node.service.identity().ensure("main", agent, "room 1")

    synced = await omnibridge(world.folder, "agents", "sync", "--json")
    waits = await ensure()
    approved = await omnibridge(world.folder, "agents", "approve", "crm:0055g")
    found = await ensure()
    mallory = world.sandbox.hub.add_user("mallory", "secret", {"user"}, "Mallory\x1b[31m")
    staff = await Staff.login(world.hub, "mallory", "secret")
    await staff.post("users.updateOwnBasicInfo", {"data": {}, "customFields": {"externalAgentId": "crm:0055g"}})
    await world.node.service.commands()["agents"](b'{"do":"Sync","by":"me","workspace":"main"}')
    drift = await omnibridge(world.folder, "agents", "drift", "--json")
    async with aiohttp.ClientSession() as session, session.get(f"{world.node.url}/metrics") as answer:
        metrics = await answer.text()

    assert synced.code == 0 and synced.json["users"] == 5
    assert isinstance(waits, AgentRefused) and waits.reason == "waiting_approval"
    assert approved.code == 0 and "crm:0055g: approved" in approved.out
    assert isinstance(found, AgentFound) and world.sandbox.hub.users[found.user_id].name == "Ann"
    assert drift.code == 1 and {each["kind"] for each in drift.json["drift"]} == {"twins", "unconfirmed"}
    assert mallory.roles == {"user"}
    assert 'omnibridge_agents_total{outcome="provisioned"} 1.0' in metrics
    assert "omnibridge_agents_seats 1.0" in metrics
    assert "secret" not in metrics and KEYS not in metrics
