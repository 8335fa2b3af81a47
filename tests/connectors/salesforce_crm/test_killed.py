"""kill -9 of the whole process while many conversations are being written: each transcript is there once, whole."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.connectors.salesforce_crm.orgs import SAMPLE
from tests.soak.processes import Bridge, Sandbox

CHATS, KILLS = int(os.environ.get("CRM_CHATS", "12")), int(os.environ.get("CRM_KILLS", "2"))


def n_done(database: Path) -> int:
    """Closes that are written; read as another process does."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reader:
        sql = "SELECT CAST(body AS TEXT) FROM deliveries WHERE command = 'SyncRecords' AND state = 1"
        return sum("close" in row[0] for row in reader.execute(sql))


async def until(what: Any, wanted: Any, timeout_s: float = 20.0 + CHATS / 4) -> None:
    async with asyncio.timeout(timeout_s):
        while what() != wanted:
            await asyncio.sleep(0.05)


async def chat(hub: SandboxClient, number: int) -> Visitor:
    visitor = Visitor(hub, f"Visitor {number}")
    await visitor.open_room(email=f"v{number}@example.com")
    await visitor.say(f"echo first of {number}")
    await visitor.wait_for("bot", 1)
    await visitor.say(f"last of {number}")
    await visitor.wait_for("bot", 2)
    return visitor


async def test_killed_again_and_again_attaches_every_transcript_once(tmp_path: Path) -> None:
    dice = random.Random(11)
    sandbox = Sandbox()
    told = await sandbox.start()
    (tmp_path / "crm.toml").write_text(SAMPLE.replace('when = ["handover"]', 'when = ["start"]'), "utf-8")
    crm = '[[crm]]\nname = "sales"\nkind = "salesforce_crm"\nmapping_file = "crm.toml"\n'
    crm += f"{told['salesforce_crm_connection']}\n"
    bridge = Bridge(tmp_path, told, "webhook_bot", settings=crm)
    hub, org = SandboxClient(told["url"]), SandboxClient(told["salesforce_crm_url"])
    kills = 0
    try:
        async with aiohttp.ClientSession() as session:
            await bridge.start()
            assert await bridge.ready(session) is not None, (tmp_path / "bridge.log").read_text("utf-8")[-2000:]
            await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak")
            visitors = await asyncio.gather(*(chat(hub, number) for number in range(CHATS)))
            await org.call("POST", "/_sandbox/control", {"delay_ms": 60, "lock_rate": 0.1, "cut_rate": 0.05})
            await asyncio.gather(*(each.close() for each in visitors))
            await hub.settled()
            while kills < KILLS and n_done(bridge.database) < CHATS:
                await asyncio.sleep(dice.uniform(0.05, 0.6))
                await bridge.kill()
                kills += 1
                await bridge.start()
                assert await bridge.ready(session) is not None
            await until(lambda: n_done(bridge.database), CHATS)
            await bridge.stop()
        ledger = await org.call("GET", "/_sandbox/ledger")
    finally:
        await bridge.kill()
        await hub.aclose()
        await org.aclose()
        await sandbox.stop()
    records = ledger["records"]
    keys = Counter(each["Omnibridge_Key__c"] for name in ("Contact", "Case", "Task") for each in records[name])
    texts = Counter("\n".join(line.split("] ")[1] for line in each["Description"].split("\n"))
                    for each in records["Task"])  # fmt: skip

    assert kills >= 2
    assert set(keys.values()) == {1}
    assert [len(records[each]) for each in ("Case", "Task")] == [CHATS, CHATS]
    assert {each["Status"] for each in records["Case"]} == {"Closed"}
    assert set(texts.values()) == {1} and all(text.count("\n") == 3 for text in texts)
    assert all(any(f"Visitor: last of {n}\n" in text for text in texts) for n in range(CHATS))
