"""kill -9 between each two steps of both directions: one routing for each question, one push for each serial."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from connectors.salesforce_crm.simulator import CLIENT_ID, CLIENT_SECRET
from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.connectors.salesforce_crm.omnis import Omni
from tests.soak.processes import Bridge

QUESTION = ("question_to_promise", "question_step:2", "asked_to_row", "answer_to_journal", "journal_to_row")
WORK = ("journal_to_push", "push_to_settle")
CASES = int(os.environ.get("OMNI_CASES", "4"))
"""Pieces of work at each kill."""

CONFIG = """
[server]
port = PORT
[database]
url = "sqlite:///soak.db"
[rules]
file = "rules.toml"
[[workspace]]
name = "main"
url = "{hub}"
user_id = "{relay[user_id]}"
auth_token = "{relay[auth_token]}"
webhook_token = "{token}"
[[router]]
name = "omni"
kind = "salesforce_omni"
url = "{url}"
client_id = "{client_id}"
client_secret = "{client_secret}"
system = "salesforce"
poll_s = 0.05
work_poll_s = 0.05
queue = "{chats}"
routes = ["{calls}"]
[assignment]
widget_listens_ms = 0
[assignment.agents.salesforce]
{agents}
"""


def journalled(database: Path, sql: str) -> list[Any]:
    """Read as another process does."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reader:
        return reader.execute(sql).fetchall()


async def test_killed_between_each_two_steps_asks_once_and_pushes_once(omni: Omni, tmp_path: Path) -> None:
    sandbox = await start(SandboxOptions(simulators=False, bot_first=False))
    org, description, client = omni.org, sandbox.description, SandboxClient(sandbox.url)
    sandbox.hub.add_user("bob", "secret", {"livechat-agent", "user"})
    chats, calls = org.queue("chats"), org.queue("calls", "ExternalRouting")
    for name in ("alice", "bob"):
        omni.person(name, capacity=900, answers=["accept", "decline"] * 200)
    omni.simulator.lock_rate = omni.simulator.cut_rate = 0.05
    (tmp_path / "rules.toml").write_text('default = "decider:omni"', "utf-8")
    text = CONFIG.format(
        hub=description["url"], relay=description["service_account"], token=description["webhook_token"],
        url=omni.url, chats=chats, calls=calls, client_id=CLIENT_ID, client_secret=CLIENT_SECRET,
        agents="\n".join(f'"{key}" = "{name}"' for name, key in omni.people.items()),
    )  # fmt: skip
    bridge, visitors, n_cases = Bridge(tmp_path, description, "", text=text), [], 0
    await client.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main", routing_method="Manual_Selection")
    try:
        async with aiohttp.ClientSession() as session:
            for point in (*QUESTION, *WORK):
                await bridge.start(point)
                await bridge.ready(session)
                if point in QUESTION:
                    visitors.append(Visitor(client, point))
                    await visitors[-1].open_room()
                else:
                    n_cases += CASES
                    for n in range(CASES):
                        org.create("Case", {"Subject": f"{point} {n}", "OwnerId": calls})
                assert await bridge.died(10), (point, (tmp_path / "bridge.log").read_text("utf-8")[-2000:])
            await bridge.start()
            assert await bridge.ready(session) is not None
            served = sandbox.hub.rooms
            await omni.until(lambda: all(served[each.rid].served_by for each in visitors), 15)
            await omni.until(lambda: not omni.all("PendingServiceRouting"), 30)
            left = "SELECT stage FROM routed_work WHERE stage <> 'pushed'"
            await omni.until(lambda: not journalled(bridge.database, left), 30)
        told = journalled(bridge.database, "SELECT count(*) FROM observations WHERE source = 'decision'")
        pushes = {row[0] for row in journalled(bridge.database, "SELECT push FROM routed_work")}
    finally:
        await bridge.kill()
        await bridge.stop()
        await client.aclose()
        await sandbox.stop()
    works = {each["Id"]: each for each in omni.all("AgentWork")}
    items = Counter(each["Subject"] if "Subject" in each else each["Id"] for each in omni.all("Case"))
    users = {key: name for name, key in omni.people.items()}
    of_case = {each["WorkItemId"]: users[each["UserId"]] for each in works.values() if each["Status"] == "Opened"}
    of_key = {
        each["Omnibridge_Key__c"]: of_case[each["Id"]] for each in omni.all("Case") if "Omnibridge_Key__c" in each
    }

    assert told == [(len(visitors),)]
    assert set(items.values()) == {1} and len(org.made) == len(visitors) + n_cases
    assert len(of_key) == len(visitors)
    assert Counter(of_key.values()) == Counter(
        each.served_by.username for room, each in sandbox.hub.rooms.items() if each.served_by
    )
    assert set(org.pushes.values()) == {1} and org.ledger()["double_pushes"] == 0
    external = {each["work"] for each in org.pushed_to if (each["routing"], each["serial"]) in org.pushes}

    assert pushes == external and len(external) > n_cases
