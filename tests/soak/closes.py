"""Many conversations closed at once and written to a CRM by the whole bridge: `make crm-closes ARGS="--closes 1000"`.

Hub, bot and org are in this process, over real sockets; the bridge is `omnibridge serve`, killed with SIGKILL while it
writes. The org locks rows, cuts answers after their effect, answers slowly, and refuses for a while because its limit
is spent. Then its ledger is compared with the hub's: of each conversation one case, at the right contact, with each
part of its transcript once and word for word; who was known is no second contact. At last every conversation is synced
again as `omnibridge crm sync` does it, and the org must not change.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pysqlite3.dbapi2 as sqlite

from connectors.salesforce_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from omnibridge.bootstrap_records import CrmOrder, CrmReply
from omnibridge.engine.records_sender import conversation_key
from omnibridge.operator import local_socket
from omnibridge.sandbox.configured import bot_user, workspace
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, Socket, start
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from tests.command_line import omnibridge
from tests.connectors.salesforce_crm.orgs import SAMPLE
from tests.soak.processes import Bridge, folder_of, tell

AT_A_TIME = 24
"""Conversations that are being begun."""
KEY = "Omnibridge_Key__c"
CALLS = 5
"""Of a close, about: how far the org's limit reaches."""
EVERY_OTHER = 2
"""Of the visitors are known: their contact is there before they come."""
REFILL_S = 3.0

WRONG = (
    "missing", "doubled", "wrong_text", "wrong_record", "contacts_doubled", "buried", "unsettled",
    "changes_of_a_repeat", "writes_of_a_repeat",
)  # fmt: skip
FAULTS = ("UNABLE_TO_LOCK_ROW", "cut", "REQUEST_LIMIT_EXCEEDED", "slow")


class Closes:
    """kills: while it is written. limit: whether the org's calls run out once; a bridge that is told so waits for a
    minute, unless it is killed, which makes it forget."""

    def __init__(self, closes: int, kills: int, seed: int, folder: Path, *, limit: bool = True) -> None:
        self._closes, self._kills, self._folder, self._limit = closes, kills, folder, limit
        self._random = random.Random(seed)
        self._wait_s = 150 + closes * 0.6
        self.org = Simulator()
        self.rooms: dict[str, int] = {}
        self._known: dict[int, str] = {}
        self._slow = 0

    async def run(self) -> dict[str, Any]:
        began = time.monotonic()
        socket = Socket(self.org.app(), "127.0.0.1", 0)
        await socket.start()
        sandbox = await start(SandboxOptions(http_timeout_ms=1200))
        client = SandboxClient(sandbox.url)
        self._bridge = Bridge(self._folder, {}, "", text=self._configuration(sandbox, socket.url))
        try:
            await client.control(
                webhook_url=f"{self._bridge.url}/webhooks/rocketchat/main", custom_fields={"chat_key": "visitor"}
            )
            async with aiohttp.ClientSession() as self._session:
                await self._start()
                visitors = await self._converse(sandbox, client)
                opened_s = time.monotonic() - began
                await self._close(client, visitors)
                closed_s = time.monotonic() - began - opened_s
                verdict = self._judge(sandbox) | self._outbox()
                verdict |= await self._repeat()
            await self._bridge.stop()
        finally:
            await self._bridge.kill()
            await client.aclose()
            await sandbox.stop()
            await socket.stop()
        return {
            **verdict,
            "closes": len(self.rooms),
            "kills": self._kills,
            "faults": {**{each: self.org.failures[each] for each in FAULTS}, "slow": self._slow},
            "calls": sum(self.org.calls.values()),
            "opened_s": round(opened_s, 1),
            "written_s": round(closed_s, 1),
            "seconds": round(time.monotonic() - began, 1),
        }

    async def _start(self) -> None:
        await self._bridge.start()
        assert await self._bridge.ready(self._session) is not None, "the bridge did not start: see bridge.log"

    # -- the conversations --------------------------------------------------------------------------------

    async def _converse(self, sandbox: RunningSandbox, client: SandboxClient) -> list[Visitor]:
        """All of them with a person, and a few words on both sides."""
        alice = Staff(client, sandbox.description["agent_account"])
        slots = asyncio.Semaphore(AT_A_TIME)

        async def converse(n: int) -> Visitor:
            key = f"shop-key-{n:06}"
            if n % EVERY_OTHER == 0:
                self._known[n] = self.org.org.create("Contact", {"LastName": f"Known {n}", "Chat_Key__c": key})
            async with slots:
                visitor = Visitor(client, f"Visitor {n}")
                await visitor.open_room(
                    email=f"visitor{n}@example.com", customFields=[{"key": "chat_key", "value": key, "overwrite": True}]
                )
                self.rooms[visitor.rid] = n
                await visitor.say(f"echo c{n} one")
                await visitor.wait_for("bot", 1, timeout_ms=60_000)
                await visitor.say(f"c{n} two{', a rather long line' * (1 + n % 12)}")
                await visitor.wait_for("bot", 2, timeout_ms=60_000)
                await visitor.say("talk to a human")
                await visitor.wait_event("assigned", "alice", timeout_ms=60_000)
                await alice.say(visitor.rid, f"c{n}, I am Alice")
                await visitor.say(f"c{n} thank you")
                return visitor

        visitors = await asyncio.gather(*(converse(n) for n in range(self._closes)))
        await client.settled(60_000)
        return visitors

    async def _close(self, client: SandboxClient, visitors: list[Visitor]) -> None:
        """All at once, with all faults, until everything is written."""
        org = self.org
        org.lock_rate, org.cut_rate = 0.1, 0.05
        org.limit = self._closes * CALLS // 2 if self._limit else None
        faults = [asyncio.create_task(self._slow_down()), asyncio.create_task(self._refill())]
        try:
            closing = [asyncio.create_task(each.close()) for each in visitors]
            for kill in range(self._kills):
                await self._reaches((kill + 1) / (self._kills + 2))
                await self._bridge.kill()
                await self._start()
            await asyncio.gather(*closing)
            await client.settled(60_000)
            await self._until(lambda: self._n_synced() >= 2 * self._closes and not self._n_due(), "all is written")
        finally:
            for each in faults:
                each.cancel()
            await asyncio.gather(*faults, return_exceptions=True)
        org.lock_rate = org.cut_rate = 0.0
        org.limit, org.delay_ms = None, 0

    async def _reaches(self, share: float) -> None:
        """Until so much of the transcripts is there, or the org refuses because of its limit, or nothing moves."""
        wanted, until = share * self._closes, time.monotonic() + 20
        while len(self.org.org.of("Task")) < wanted and time.monotonic() < until:
            if self.org.limit == 0 and self._random.random() < 0.05:
                return
            await asyncio.sleep(0.02)

    async def _slow_down(self) -> None:
        """Now and then answers take long."""
        while True:
            await asyncio.sleep(self._random.random())
            self.org.delay_ms = self._random.choice((0, 0, 50, 300))
            self._slow += self.org.delay_ms > 0

    async def _refill(self) -> None:
        """The org's limit is spent once; after a while there are calls again."""
        while self.org.limit != 0 or not self.org.failures["REQUEST_LIMIT_EXCEEDED"]:
            await asyncio.sleep(0.05)
        await asyncio.sleep(REFILL_S)
        self.org.limit = None

    async def _repeat(self) -> dict[str, int]:
        """Every conversation once more: nothing in the org may change."""
        before, writes, synced = len(self.org.org.changes), self._n_writes(), self._n_synced()
        done = await omnibridge(self._folder, "crm", "sync", next(iter(self.rooms)), "--json")
        assert done.code == 0, done.err
        path = local_socket.socket_path(self._bridge.database)
        for room in list(self.rooms)[1:]:
            order = msgspec.json.encode(CrmOrder("sync", "soak", "main", room=room))
            answer = await asyncio.to_thread(local_socket.exchange, path, "crm", order)
            reply = msgspec.json.decode(answer, type=CrmReply)
            assert reply.deliveries, reply.problem
        await self._until(lambda: self._n_synced() >= synced + self._closes and not self._n_due(), "all is repeated")
        return {
            "changes_of_a_repeat": len(self.org.org.changes) - before,
            "writes_of_a_repeat": self._n_writes() - writes,
        }

    def _n_writes(self) -> int:
        return sum(n for call, n in self.org.calls.items() if not call.startswith("GET"))

    # -- what came of it ----------------------------------------------------------------------------------

    def _judge(self, sandbox: RunningSandbox) -> dict[str, Any]:
        contacts, cases, tasks = (list(self.org.org.of(each).values()) for each in ("Contact", "Case", "Task"))
        by_key = {each[KEY]: each for each in [*contacts, *cases, *tasks] if KEY in each}
        times = Counter(each[KEY] for each in [*contacts, *cases, *tasks] if KEY in each)
        persons = {each["Id"]: each for each in contacts}
        said = self._said(sandbox)
        keys = {room: conversation_key(self._secret(), "main", room) for room in self.rooms}
        counts, details = Counter[str](), list[str]()

        def wrong(what: str, room: str, why: str) -> None:
            counts[what] += 1
            details.append(f"c{self.rooms[room]}: {why}")

        for room, key in keys.items():
            n, case = self.rooms[room], by_key.get(f"{key}-case")
            parts = sorted(
                (each for each in tasks if str(each.get(KEY, "")).startswith(f"{key}-transcript-")),
                key=lambda each: int(each[KEY].rpartition("-")[2]),
            )
            if case is None or not parts:
                wrong("missing", room, "no case" if case is None else "no transcript")
                continue
            lines = [line.split(": ", 1)[1] for each in parts for line in each["Description"].split("\n")]
            if lines != said[room]:
                differ = str(set(lines) ^ set(said[room]))[:200]
                wrong("wrong_text", room, f"{len(lines)} lines for {len(said[room])}: {differ}")
            person = persons.get(case.get("ContactId", ""), {})
            is_right = person["Id"] == self._known[n] if n in self._known else person.get(KEY)
            if not is_right or person.get("Email") != f"visitor{n}@example.com":
                wrong("wrong_record", room, f"the case is of {person or 'nobody'}")
            if any(each["WhatId"] != case["Id"] for each in parts) or case["Status"] != "Closed":
                wrong("wrong_record", room, f"the case is {case['Status']}; {[each.get('WhatId') for each in parts]}")
        ours = {f"{key}-" for key in keys.values()}
        foreign = [each for each in [*cases, *tasks] if not str(each.get(KEY, "")).startswith(tuple(ours))]
        return {
            "missing": counts["missing"],
            "doubled": sum(n - 1 for n in times.values()) + len(foreign) + abs(len(cases) - len(keys)),
            "wrong_text": counts["wrong_text"],
            "wrong_record": counts["wrong_record"],
            "contacts_doubled": len(contacts) - len(keys),
            "parts": len(tasks),
            "details": details[:20],
        }

    def _said(self, sandbox: RunningSandbox) -> dict[str, list[str]]:
        """What the hub has of each room, in order."""
        found: dict[str, list[str]] = {each: [] for each in self.rooms}
        for each in sorted(sandbox.hub.messages.values(), key=lambda message: message.seq):
            if each.kind != "system" and not each.system_type and each.rid in found:
                found[each.rid].append(each.text)
        return found

    def _outbox(self) -> dict[str, int]:
        return {"buried": self._count("SELECT count(*) FROM deliveries WHERE state = 3"), "unsettled": self._n_due()}

    def _n_synced(self) -> int:
        return self._count("SELECT count(*) FROM deliveries WHERE command = 'SyncRecords' AND state = 1")

    def _n_due(self) -> int:
        return self._count(
            "SELECT (SELECT count(*) FROM deliveries WHERE state = 0 AND stream NOT LIKE 'timer:%') + "
            "(SELECT count(*) FROM observations WHERE state = 0)"
        )

    def _count(self, sql: str) -> int:
        with contextlib.closing(sqlite.connect(str(self._bridge.database))) as reader:
            return int(reader.execute(sql).fetchone()[0])

    def _secret(self) -> bytes:
        with contextlib.closing(sqlite.connect(str(self._bridge.database))) as reader:
            return bytes.fromhex(reader.execute("SELECT value FROM instance WHERE name = 'secret'").fetchone()[0])

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + self._wait_s
        while not holds():
            if time.monotonic() > until:
                raise TimeoutError(f"in vain: {what}; {self._n_synced()} synced, {self._n_due()} due")
            await asyncio.sleep(0.1)

    def _configuration(self, sandbox: RunningSandbox, org: str) -> str:
        told = sandbox.description
        (self._folder / "crm.toml").write_text(SAMPLE, "utf-8")
        return f"""
[server]
port = PORT
log_level = "info"
[database]
url = "sqlite:///soak.db"
{workspace(told)}
[[connection]]
name = "assistant"
kind = "rasa"
{told["rasa_connection"]}
{bot_user(told)}
[[crm]]
name = "sales"
kind = "salesforce_crm"
url = "{org}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
mapping_file = "crm.toml"
on = ["handover", "close"]
read_timeout_s = 5
"""


def problems(result: dict[str, Any], wanted: tuple[str, ...] = FAULTS) -> list[str]:
    found = [f"{each}: {result[each]}" for each in WRONG if result[each]]
    return found + [f"never happened: {each}" for each in wanted if not result["faults"][each]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make crm-closes ARGS=…", description=__doc__)
    parser.add_argument("--closes", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for configuration, database and log")
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args()
    with folder_of(wish.keep) as folder:
        result = asyncio.run(Closes(wish.closes, wish.kills, wish.seed, folder).run())
    return tell(result, problems(result), "the closes went wrong", as_json=wish.json, width=20)


if __name__ == "__main__":
    sys.exit(main())
