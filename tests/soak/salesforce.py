"""Chats with Salesforce agents while the bridge is killed: `make soak ARGS="--scenario salesforce --kills 20 --json"`.

Hub and desk are in this process, over real sockets; the bridge is `omnibridge serve`, killed with SIGKILL again and
again, by the clock and at its fault points. So many visitors chat at a time (desk_load.py), each chat over many kills,
and the vendor fails a little as well (`trouble` of each side). Then the ledgers of both sides are compared
(desk_verdict.py, which says what is excused): each thing reached the agent once and in order, each echo was shown once
and in order, nobody ever asked for news of one chat twice at a time, and no chat was ended by us.

Both protocols are run, one after the other, or one of them. What differs is in messaging.py and live_agent.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pysqlite3.dbapi2 as sqlite

from omnibridge.engine.faults import POINTS
from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient
from tests.command_line import omnibridge
from tests.soak.desk_configuration import configuration
from tests.soak.desk_load import COMING_A_SECOND, Load
from tests.soak.desk_side import DeskSide
from tests.soak.desk_verdict import WRONG, judge, left_open, unread
from tests.soak.desk_watch import Watch, p99
from tests.soak.live_agent import LiveAgentSide
from tests.soak.messaging import MessagingSide
from tests.soak.processes import Bridge

SIDES: dict[str, type[DeskSide]] = {each.name: each for each in (MessagingSide, LiveAgentSide)}
POINT_LIMIT_S = 10.0
FAULT_EVERY_S = 0.5
"""A fault of the vendor's: at a low rate, as all chats share it."""
RAMP_LIMIT_S = 300.0
MANY = 60
"""Visitors who pass a fault point 80 times in some seconds."""
MOST_DETAILS = 40


async def run(protocols: Iterable[str], folder: Path, **wish: Any) -> dict[str, Any]:
    """Each protocol under its name, and the sums of what has to be 0. wish: of `DeskSoak`."""
    # A simulated stream that writes to a killed process is told so by asyncio, a line for each time.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    found = {}
    for each in protocols:
        place = folder / each
        place.mkdir()
        found[each] = await DeskSoak(SIDES[each](wish.get("seed", 1)), place, **wish).run()
        wrong = ", ".join(f"{name} {found[each][name]}" for name in WRONG)
        print(f"{each}: {wrong}", file=sys.stderr)  # the next one takes as long again
    return {name: sum(each[name] for each in found.values()) for name in WRONG} | found


class DeskSoak:
    """visitors: chats at a time. stop_s: before each fourth kill the process is stopped for so long, 0 = never.

    wait_s: patience of a visitor, 0 = by their number: what the hub gave up telling is found by the reconciler, which
    reads ten rooms a second and begins anew with each process. life_s: how long a chat lives. vendor_faults: the desk's
    servers fail now and then. gap_s: from a start of the process to the next kill by the clock.
    """

    def __init__(
        self,
        side: DeskSide,
        folder: Path,
        *,
        kills: int,
        seed: int = 1,
        visitors: int = 12,
        wait_s: float = 0.0,
        stop_s: float = 0.0,
        life_s: tuple[float, float] = (20.0, 60.0),
        vendor_faults: bool = True,
        gap_s: tuple[float, float] = (1.0, 4.0),
    ) -> None:
        self._side, self._folder, self._kills, self._seed = side, folder, kills, seed
        self._visitors, self._stop_s, self._life_s = visitors, stop_s, life_s
        self._wait_s = wait_s or 120.0 + visitors
        self._vendor_faults, self._gap_s, self._random = vendor_faults, gap_s, random.Random(seed)
        self.by_point: Counter[str] = Counter()
        self.recovery_s: list[float] = []
        self.stops, self._is_up = 0, True

    async def run(self) -> dict[str, Any]:
        began = time.monotonic()
        sandbox = await start(
            SandboxOptions(
                simulators=False,
                bot_first=True,
                duplicate_rate=0.05,
                swap_rate=0.05,
                http_timeout_ms=1500,
                seed=self._seed,
            )
        )
        client = SandboxClient(sandbox.url)
        await self._side.start()
        try:
            async with aiohttp.ClientSession() as session:
                bridge = Bridge(
                    self._folder, {}, "", text=configuration(sandbox, self._folder, self._side.connection())
                )
                try:
                    await client.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/main")
                    found = await self._run(sandbox, client, bridge, session)
                finally:
                    await bridge.kill()
        finally:
            await client.aclose()
            await self._side.stop()
            await sandbox.stop()
        return found | {"seconds": round(time.monotonic() - began, 1)}

    async def _run(
        self, sandbox: RunningSandbox, client: SandboxClient, bridge: Bridge, session: aiohttp.ClientSession
    ) -> dict[str, Any]:
        await bridge.start()
        assert await bridge.ready(session) is not None, "the bridge did not start: see bridge.log"
        synced = await omnibridge(self._folder, "agents", "sync")
        assert synced.code == 0, synced.err
        side, hub = self._side, sandbox.hub
        load = Load(client, hub, side, self._visitors, self._life_s, self._wait_s, self._seed)
        watch = self._watch = Watch(side, load.ended)
        chats = load.start()
        around = [asyncio.create_task(watch.run()), *chats]
        try:
            ramp_s = await self._all_chat(load)
            if self._vendor_faults:
                around.append(asyncio.create_task(self._trouble(bridge)))
            await self._kill_again_and_again(bridge, session)
            side.calm()
            load.stop()
            await asyncio.gather(*chats)
            await client.settled(30_000)
            await self._quiet(bridge.database, hub, load)
            rss_mb = bridge.rss_mb()
            await bridge.stop()
        finally:
            for each in around:
                each.cancel()
            await asyncio.gather(*around, return_exceptions=True)
        away_s = max(self.recovery_s, default=0.0) + self._stop_s
        verdict = judge(side, hub, bridge.database, load.names, load.ended, away_s)
        details = (load.failures + verdict.pop("details"))[:MOST_DETAILS]
        return {
            **verdict,
            "visitors": self._visitors,
            "waited_in_vain": len(load.failures),
            "slowest_echo_s": round(load.slowest_s, 3),
            "transfers": load.transfers,
            "vendor_faults": dict(sorted(side.faults.items())),
            "kills": self.by_point.total(),
            "kills_by_point": dict(self.by_point),
            "stops": self.stops,
            "recovery_s_p99": p99(self.recovery_s),
            "resumed": len(watch.resumed_s),
            "resumed_s_p99": p99(watch.resumed_s),
            "longest_alone_s": round(watch.longest_alone_s, 3),
            "longest_alone": load.names.get(watch.alone, ""),
            "ramp_s": round(ramp_s, 1),
            "rss_mb": rss_mb,
            "details": details,
        }

    async def _all_chat(self, load: Load) -> float:
        """Until every visitor was answered. How long that took."""
        began = time.monotonic()
        limit_s = RAMP_LIMIT_S + self._visitors / COMING_A_SECOND
        while len(load.answered) < self._visitors and time.monotonic() - began < limit_s:
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    # -- the trouble --------------------------------------------------------------------------------------

    async def _trouble(self, bridge: Bridge) -> None:
        """Not while nobody is there: each process would begin with it, and the same chat would have it each time."""
        while True:
            if self._is_up and bridge.is_running and (name := self._side.trouble()):
                self._side.faults[name] += 1
            await asyncio.sleep(FAULT_EVERY_S)

    async def _kill_again_and_again(self, bridge: Bridge, session: aiohttp.ClientSession) -> None:
        points = [each for each in POINTS if each != "start_up"]
        await asyncio.sleep(1.0)
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
            self._watch.started()
            self._is_up = False
            await bridge.start(f"{following}:{self._nth()}" if following else "")
            took = await bridge.ready(session)
            if took is not None:
                self.recovery_s.append(took)
            self._is_up = True
            if not following:
                # As long as it took besides: a machine that is slow has a bridge that works half of the time too.
                await asyncio.sleep(self._random.uniform(*self._gap_s) + (took or 0.0))
        if not bridge.is_running:
            self._watch.started()
            await bridge.start()
            await bridge.ready(session)

    def _nth(self) -> int:
        """Which visit of a fault point is the end: reached within some seconds, however many chat."""
        return max(3, round(self._random.randint(20, 80) * self._visitors / MANY))

    async def _stop_for_a_while(self, bridge: Bridge) -> None:
        if not bridge.is_running:  # its fault point was reached meanwhile
            return
        bridge.pause()
        await asyncio.sleep(self._stop_s)
        bridge.resume()
        self.stops += 1
        await asyncio.sleep(2.0)

    async def _quiet(self, database: Path, hub: SimulatedHub, load: Load) -> None:
        """Until nothing is on its way. What the hub gave up telling is found by the reconciler, the end of a chat too;
        it reads ten rooms a second. What is not done then, the verdict tells."""
        sql = (
            "SELECT 1 FROM deliveries WHERE state = 0 AND stream NOT LIKE 'timer:%' "
            "UNION ALL SELECT 1 FROM observations WHERE state = 0 LIMIT 1"
        )
        side, limit_s = self._side, 60.0 + 0.4 * len(load.names)
        with contextlib.closing(sqlite.connect(str(database))) as reader, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while reader.execute(sql).fetchone() or left_open(side, load.ended) or unread(side, hub):
                    await asyncio.sleep(0.5)
