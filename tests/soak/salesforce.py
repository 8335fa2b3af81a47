"""Chats with Salesforce agents while the bridge is killed: `make soak ARGS="--scenario salesforce --kills 20 --json"`.

Hub and org are in this process, over real sockets; the bridge is `omnibridge serve`, killed with SIGKILL again and
again, by the clock and at its fault points. Each visitor says numbered things, and the agent echoes each. Then both
ledgers are compared: each thing reached the agent once and in order, each echo was shown once and in order, no user
ever had two streams, and no chat was ended by anybody but its two sides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pysqlite3.dbapi2 as sqlite

from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID
from omnibridge.engine.faults import POINTS
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.command_line import omnibridge
from tests.connectors.salesforce_messaging.orgs import RunningOrg, org
from tests.integration.identity.conftest import DECLARED, KEYS, RIGHTS
from tests.soak.processes import Bridge
from tests.soak.verdict import SLACK_MS, WINDOW_MS, acknowledged

Excused = Callable[[str, str], bool]

MOST_SAID = 10
"""Of one visitor: below what Salesforce takes in a minute, so that a chat does not wait for that."""
HISTORY = "Conversation so far:"
POINT_LIMIT_S = 10.0


class SalesforceSoak:
    """chats: at a time. stop_s: before each fourth kill the process is stopped for so long, 0 = never."""

    def __init__(
        self, kills: int, seed: int, chats: int, folder: Path, *, wait_s: float = 60.0, stop_s: float = 0.0
    ) -> None:
        self._kills, self._chats, self._folder, self._wait_s, self._stop_s = kills, chats, folder, wait_s, stop_s
        self._random = random.Random(seed)
        self._stopping, self._n = False, 0
        self._rooms: dict[str, str] = {}
        self._ended: set[str] = set()
        self.failures: list[str] = []
        self.by_point: Counter[str] = Counter()
        self.recovery_s: list[float] = []
        self.stops = 0

    async def run(self) -> dict[str, Any]:
        began = time.monotonic()
        sandbox = await start(
            SandboxOptions(simulators=False, bot_first=True, duplicate_rate=0.05, swap_rate=0.05, http_timeout_ms=1200)
        )
        client = SandboxClient(sandbox.url)
        try:
            async with org() as salesforce, aiohttp.ClientSession() as session:
                salesforce.wish({"accepts": True, "echoes": True, "options": {"tokens_per_minute": 0}})
                bridge = Bridge(self._folder, {}, "", text=self._configuration(sandbox, salesforce))
                try:
                    await client.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main")
                    await bridge.start()
                    assert await bridge.ready(session) is not None, "the bridge did not start: see bridge.log"
                    synced = await omnibridge(self._folder, "agents", "sync")
                    assert synced.code == 0, synced.err
                    load = [asyncio.create_task(self._visit(client, salesforce)) for _ in range(self._chats)]
                    await self._kill_again_and_again(bridge, session)
                    self._stopping = True
                    await asyncio.gather(*load)
                    await client.settled(30_000)
                    await self._quiet(bridge.database)
                    await bridge.stop()
                finally:
                    await bridge.kill()
                excused = _excuses(await client.ledger(), bridge.database)
                verdict = self._judge(sandbox, salesforce, excused)
        finally:
            await client.aclose()
            await sandbox.stop()
        verdict |= _outbox(bridge.database)
        verdict["details"] = (self.failures + verdict["details"])[:40]
        return {
            **verdict,
            "kills": self.by_point.total(),
            "kills_by_point": dict(self.by_point),
            "stops": self.stops,
            "recovery_s_p99": round(sorted(self.recovery_s or [0.0])[int(len(self.recovery_s) * 0.99)], 3),
            "seconds": round(time.monotonic() - began, 1),
        }

    # -- the load -----------------------------------------------------------------------------------------

    async def _visit(self, client: SandboxClient, salesforce: RunningOrg) -> None:
        while not self._stopping:
            self._n += 1
            number = self._n
            try:
                await self._chat(client, salesforce, number)
            except TimeoutError:
                self.failures.append(f"chat {number} waited in vain")

    async def _chat(self, client: SandboxClient, salesforce: RunningOrg, number: int) -> None:
        visitor = Visitor(client, f"Visitor {number}")
        self._rooms[await visitor.open_room()] = f"c{number}"
        said = 0
        while said < MOST_SAID and not (self._stopping and said):
            for _ in range(self._random.choice((1, 1, 2, 3))):
                said += 1
                await visitor.say(f"c{number}-m{said:03}")
            await self._heard(visitor, {f"echo c{number}-m{each:03}" for each in range(1, said + 1)})
            await asyncio.sleep(self._random.random() * 0.5)
        self._ended.add(visitor.rid)
        mine = [each for each in salesforce.org.conversations.values() if self._room_of(each) == visitor.rid]
        if number % 2 and mine and mine[-1].session:
            salesforce.desk.end(mine[-1].id)
            await visitor.wait_event("closed", timeout_ms=int(self._wait_s * 1000))
        else:
            await visitor.close()

    async def _heard(self, visitor: Visitor, wanted: set[str]) -> None:
        """Until all of this was shown. It may be one message of several lines: found by the reconciler after a gap."""
        count, until = 1, time.monotonic() + self._wait_s
        while True:
            left_ms = int(max(0.1, until - time.monotonic()) * 1000)
            found = await visitor.wait_for("bot", count, timeout_ms=left_ms)
            lines = {line for each in found for line in _tags(each["text"])}
            if {each.removeprefix("echo ") for each in wanted} <= lines:
                return
            count = len(found) + 1

    # -- the trouble --------------------------------------------------------------------------------------

    async def _kill_again_and_again(self, bridge: Bridge, session: aiohttp.ClientSession) -> None:
        points = [each for each in POINTS if each != "start_up"]
        await asyncio.sleep(2.0)
        for n in range(self._kills):
            if self._stop_s and n % 4 == 1:
                await self._stop_for_a_while(bridge)
            at_point = points[n // 2 % len(points)] if n % 2 else ""
            if at_point and await bridge.died(POINT_LIMIT_S):
                self.by_point[at_point] += 1
            else:
                await bridge.kill()
                self.by_point["clock"] += 1
            following = points[(n + 1) // 2 % len(points)] if (n + 1) % 2 and n + 1 < self._kills else ""
            await bridge.start(f"{following}:{self._random.randint(20, 80)}" if following else "")
            took = await bridge.ready(session)
            if took is not None:
                self.recovery_s.append(took)
            if not following:
                await asyncio.sleep(1.0 + 2.0 * self._random.random())
        if not bridge.is_running:
            await bridge.start()
            await bridge.ready(session)

    async def _stop_for_a_while(self, bridge: Bridge) -> None:
        bridge.pause()
        await asyncio.sleep(self._stop_s)
        bridge.resume()
        self.stops += 1
        await asyncio.sleep(2.0)

    async def _quiet(self, database: Path) -> None:
        sql = (
            "SELECT 1 FROM deliveries WHERE state = 0 AND stream NOT LIKE 'timer:%' "
            "UNION ALL SELECT 1 FROM observations WHERE state = 0 LIMIT 1"
        )
        with contextlib.closing(sqlite.connect(str(database))) as reader, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30):
                while reader.execute(sql).fetchone():
                    await asyncio.sleep(0.1)

    # -- what came of it ----------------------------------------------------------------------------------

    def _judge(self, sandbox: RunningSandbox, salesforce: RunningOrg, excused: Excused) -> dict[str, Any]:
        org_, details = salesforce.org, list[str]()
        asked = self._said(sandbox)
        reached: defaultdict[str, list[str]] = defaultdict(list)
        echoed: defaultdict[str, list[str]] = defaultdict(list)
        for row in org_.desk:
            if row["kind"] == "message":
                lines = row["text"].splitlines()
                lines = [each.removeprefix("Visitor: ") for each in lines[1:]] if lines[:1] == [HISTORY] else lines
                reached[self._room_of(org_.conversations[row["conversation"]])] += _tags("\n".join(lines))
        for each in org_.conversations.values():
            for entry in each.entries:
                if entry["entryType"] == "Message" and entry["sender"]["role"] == "Agent":
                    text = entry["entryPayload"]["abstractMessage"]["staticContent"]["text"]
                    echoed[self._room_of(each)] += _tags(text)
        shown = self._shown(sandbox)
        counts = Counter[str]()
        for room in self._rooms:
            name = self._rooms[room]
            compare(f"{name} to the agent", asked[room], reached[room], counts, details, excused)
            compare(f"{name} to the visitor", echoed[room], shown[room], counts, details)
        ended = [each for each in org_.conversations.values() if each.is_closed or each.session is None]
        ended_by_us = [each for each in ended if self._room_of(each) not in self._ended]
        details += [f"ended by us: {self._rooms.get(self._room_of(each))}" for each in ended_by_us]
        several = Counter(self._room_of(each) for each in org_.conversations.values())
        counts["doubled"] += sum(count - 1 for count in several.values())
        feeds = org_.feeds.by_subject.values()
        return {
            "lost": counts["lost"],
            "doubled": counts["doubled"],
            "out_of_order": counts["out_of_order"],
            "duplicate_polls": sum(each.most_open > 1 for each in feeds),
            "ended_by_us": len(ended_by_us),
            "messages": sum(map(len, asked.values())),
            "echoes_told": sum(map(len, echoed.values())),
            "conversations": len(self._rooms),
            "streams": sum(each.opened for each in feeds),
            "repeats_folded": sum(each.get("repeats", 0) for each in org_.desk),
            "details": details,
        }

    def _said(self, sandbox: RunningSandbox) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for each in sorted(sandbox.hub.messages.values(), key=lambda message: message.seq):
            if each.kind == "visitor":
                found[each.rid] += _tags(each.text)
        return found

    def _shown(self, sandbox: RunningSandbox) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for each in sorted(sandbox.hub.messages.values(), key=lambda message: message.seq):
            if each.kind != "visitor" and "echo " in each.text:
                found[each.rid] += _tags(each.text.partition("echo ")[2])
        return found

    @staticmethod
    def _room_of(conversation: Any) -> str:
        return str(conversation.sessions[0].attributes.get("Room_Id", ""))

    # -- how it is set up ---------------------------------------------------------------------------------

    def _configuration(self, sandbox: RunningSandbox, salesforce: RunningOrg) -> str:
        hub, told = sandbox.hub, sandbox.description
        maker = hub.add_user("provisioner", "secret", {"bot", "provisioner"}, "Provisioner")
        for each in RIGHTS:
            hub.rules.permissions[each] |= {"provisioner"}
        maker_token = hub.accounts.issue_access_token(maker, "omnibridge", bypasses_two_factor=True).token
        hub.change_setting("Accounts_CustomFields", json.dumps(DECLARED))
        (self._folder / "keys").write_text(KEYS, "utf-8")
        (self._folder / "rules.toml").write_text('default = "bot:sales"\n', "utf-8")
        return f"""
[server]
port = PORT
log_level = "info"
[database]
url = "sqlite:///soak.db"
[agents]
token_keys_file = "keys"
creation = true
[rules]
file = "rules.toml"
[[workspace]]
name = "main"
url = "{sandbox.url}"
user_id = "{told["service_account"]["user_id"]}"
auth_token = "{told["service_account"]["auth_token"]}"
webhook_token = "{told["webhook_token"]}"
provisioner_user_id = "{maker.id}"
provisioner_token = "{maker_token}"
[[connection]]
name = "sales"
kind = "salesforce_messaging"
url = "{salesforce.url}"
org_id = "{ORG_ID}"
es_developer_name = "{DEVELOPER_NAME}"
rocketchat_user = "bot"
rocketchat_token = "{told["bot_account"]["auth_token"]}"
routing_attributes = {{ Room_Id = "room" }}
"""


def _tags(text: str) -> list[str]:
    """`c3-m001` of a line, with or without `echo` before it; a message of several lines has several."""
    found = (line.rpartition("echo ")[2].strip() for line in text.splitlines())
    return [each for each in found if each.startswith("c") and "-m" in each]


def _never(first: str, second: str) -> bool:
    return False


def compare(
    name: str,
    wanted: list[str],
    got: list[str],
    counts: Counter[str],
    details: list[str],
    excused: Excused = _never,
) -> None:
    """excused: (first, second) may have come the other way round."""
    times, place = Counter(got), {each: at for at, each in enumerate(got)}
    for each in wanted:
        counts["lost"] += times[each] == 0
        counts["doubled"] += times[each] > 1
        if times[each] != 1:
            details.append(f"{name}: {each} {times[each]} times")
    counts["doubled"] += sum(each not in wanted for each in got)
    once = [each for each in wanted if times[each] == 1]
    for at, first in enumerate(once):
        for second in once[at + 1 :]:
            if place[first] > place[second] and not excused(first, second):
                counts["out_of_order"] += 1
                details.append(f"{name}: {first} came after {second}")


def _excuses(hub: dict[str, Any], database: Path) -> Excused:
    """As verdict.py has it: the first of two was reported so much later than the second that nobody could know."""
    done, begun = acknowledged(hub), acknowledged(hub, also_cut=True)
    sql = "SELECT received_at, body FROM observations WHERE source = 'webhook' AND kind = 'Message' ORDER BY id DESC"
    with contextlib.closing(sqlite.connect(str(database))) as reader:
        received = {json.loads(body)["messages"][0]["_id"]: at for at, body in reader.execute(sql)}
    ids = {each["text"]: each["id"] for room in hub["rooms"] for each in room["messages"] if each["kind"] == "visitor"}

    def excused(first: str, second: str) -> bool:
        one, other = ids[first], ids[second]
        if one not in done or other not in begun:
            return one not in done  # found by the reconciler
        apart = [done[one] - begun[other]]
        if one in received and other in received:
            apart.append(received[one] - received[other])
        return max(apart) > WINDOW_MS - SLACK_MS

    return excused


def _outbox(database: Path) -> dict[str, int]:
    with contextlib.closing(sqlite.connect(str(database))) as reader:
        sql = (
            "SELECT sum(uncertain), sum(state = 3), sum(state = 0 AND stream NOT LIKE 'timer:%'), "
            "sum(state = 2 AND command = 'SendToParty') FROM deliveries"
        )
        uncertain, buried, due, refused = (int(each or 0) for each in reader.execute(sql).fetchone())
    return {"uncertain": uncertain, "buried": buried, "unsettled": due, "refused": refused}
