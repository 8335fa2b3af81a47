"""`make soak ARGS="--kills 40 --seed 1 --json"`: exit 0 when nothing was lost, doubled or out of order."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pysqlite3.dbapi2 as sqlite

from omnibridge.engine.faults import POINTS
from omnibridge.sandbox.visitor import SandboxClient, Staff, Visitor
from tests.soak import salesforce
from tests.soak.processes import Bridge, Sandbox, folder_of, tell
from tests.soak.races import CLOSE, TAKEOVER, judge_races, race_of
from tests.soak.trouble import ENGINE, KINDS, TURN_TIMEOUT_S, Trouble
from tests.soak.verdict import GAVE_WAY, judge, rooms_given_up, tags_of

FAULT_LIMIT_S = 60.0
"""A fault point must be reached within this time, else the run fails."""


GIVES_UP = ("dialogflow",)
"""Kinds whose backend cannot tell what it had answered: people take over then."""

GIVEN_UP = ("answer-lost", "uncertain", "not-known-yet")
"""Codes of turns that were given up for that."""


class Soak:
    """visitors: conversations at a time. Everything random comes from the seed.

    messages: after the kills, go on until so many were written. wait_ms: how long a visitor waits for an answer.
    troubles: backend and hub fail in turn (trouble.py), and some conversations end in a race (races.py).
    points: where the bridge dies, in turn.
    control: name of the guard that is switched off (tests/soak/crippled.py), empty for none.
    """

    def __init__(
        self,
        kills: int,
        seed: int,
        visitors: int,
        hub_version: str,
        kind: str,
        folder: Path,
        *,
        messages: int = 0,
        wait_ms: int = 60_000,
        control: str = "",
        troubles: bool = True,
        points: tuple[str, ...] = POINTS,
    ) -> None:
        self._troubles, self._points = troubles, points
        self._messages, self._wait_ms, self._control = messages, wait_ms, control
        self._kills, self._seed, self._visitors, self._kind, self._folder = kills, seed, visitors, kind, folder
        self._hub_version, self._gives_up = hub_version, kind in GIVES_UP
        self._random = random.Random(seed)
        self._stopping = False
        self._n = self._said = 0
        self.recovery_s: list[float] = []
        self.kills_by_point: Counter[str] = Counter()
        self.failures: list[str] = []

    async def run(self) -> dict[str, Any]:
        sandbox = Sandbox(
            "--hub-version", self._hub_version, "--duplicate-rate", "0.07", "--swap-rate", "0.08",
            "--http-timeout-ms", "1200", "--seed", str(self._seed),
        )  # fmt: skip
        description = await sandbox.start()
        options = f"turn_timeout_s = {TURN_TIMEOUT_S}" if self._troubles else ""
        settings = ENGINE if self._troubles else ""
        bridge = Bridge(
            self._folder, description, self._kind, control=self._control, options=options, settings=settings
        )
        client = SandboxClient(description["url"])
        trouble = Trouble(client, description[f"{self._kind}_url"])
        began = time.monotonic()
        try:
            await client.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak")
            alice = Staff(client, description["agent_account"])
            self._relay = Staff(client, description["service_account"])
            async with aiohttp.ClientSession() as session:
                load = [asyncio.create_task(self._converse(client, alice)) for _ in range(self._visitors)]
                if self._troubles:
                    load.append(asyncio.create_task(trouble.make(lambda: self._stopping)))
                await self._crash_again_and_again(bridge, session)
                self._stopping = True
                await asyncio.gather(*load)
                await client.settled(30_000)
                await bridge.stop()
                async with session.get(f"{description[f'{self._kind}_url']}/_sandbox/ledger") as answer:
                    bot = await answer.json()
            hub = await client.ledger()
        finally:
            await bridge.kill()
            await client.aclose()
            await sandbox.stop()
        verdict = judge(hub, bot, self._received(bridge.database), gives_up=self._gives_up)
        raced = {room["rid"] for room in hub["rooms"] if race_of(room)}  # the visitor may have left before people came
        told = rooms_given_up(hub) if self._gives_up else {}
        given_up = {rid: count for rid, count in told.items() if rid not in raced}
        verdict["doubled"] += sum(count > 1 for count in given_up.values())
        verdict["lost"] += sum(count < 1 for count in given_up.values())
        verdict |= self._outbox(bridge.database, raced | set(given_up))
        verdict |= judge_races(hub, bot)
        verdict["doubled"] += verdict["race_doubled"]
        verdict["lost"] += verdict["buried"] + verdict["refused"]
        verdict["details"] += self.failures
        return {
            **verdict,
            "kills": self.kills_by_point.total(),
            "kills_by_point": {point: self.kills_by_point[point] for point in POINTS},
            "troubles": {kind: trouble.count[kind] for kind in KINDS} if self._troubles else {},
            "recovery_s_p99": round(sorted(self.recovery_s)[int(len(self.recovery_s) * 0.99)], 3),
            "seconds": round(time.monotonic() - began, 1),
        }

    async def _crash_again_and_again(self, bridge: Bridge, session: aiohttp.ClientSession) -> None:
        for n in range(self._kills):
            point = self._points[n % len(self._points)]
            # More visitors come by a point more often: so many messages for each kill, however many they are.
            count = 1 if point == "start_up" else self._random.randint(80, 240) * self._visitors // 12 + 1
            await bridge.start(f"{point}:{count}")
            if point != "start_up":
                took = await bridge.ready(session)
                if took is not None:
                    self.recovery_s.append(took)
            if await bridge.died(FAULT_LIMIT_S):
                self.kills_by_point[point] += 1
            else:
                self.failures.append(f"{point} was not reached within {FAULT_LIMIT_S:g} s")
                await bridge.kill()
        await bridge.start()
        self.recovery_s.append(await bridge.ready(session) or 99.0)
        while self._said < self._messages and bridge.is_running:
            await asyncio.sleep(0.2)

    async def _converse(self, client: SandboxClient, alice: Staff) -> None:
        """One visitor after the other, until told to stop."""
        races = {3: self._race_takeover, 6: self._race_close} if self._troubles else {}
        while not self._stopping:
            self._n += 1
            number, wants_person = self._n, self._n % 5 == 0
            try:
                if race := races.get(number % 10):
                    await race(client, alice, number)
                else:
                    await self._conversation(client, alice, number, wants_person)
            except TimeoutError as exc:
                # Only the ledgers say whether it was lost: the hub may have given up before the bridge was back.
                self.failures.append(f"conversation {number} waited in vain: {exc}"[:160])

    async def _conversation(self, client: SandboxClient, alice: Staff, number: int, wants_person: bool) -> None:
        visitor = Visitor(client, f"Visitor {number}")
        await visitor.open_room()
        said = 0
        for _ in range(self._random.randint(2, 5)):
            for _ in range(self._random.choice((1, 1, 2, 3))):
                said += 1
                self._said += 1
                await visitor.say(f"echo c{number}-m{said:03}")
            if not await self._answered(visitor, {f"c{number}-m{n:03}" for n in range(1, said + 1)}):
                await self._with_people(visitor, alice)
                return
        if wants_person:
            await visitor.say("talk to a human")
            await visitor.wait_event("assigned", "alice", timeout_ms=self._wait_ms)
            await alice.close(visitor.rid)
        else:
            await visitor.close()

    async def _with_people(self, visitor: Visitor, alice: Staff) -> None:
        await visitor.wait_event("assigned", "alice", timeout_ms=self._wait_ms)
        await alice.close(visitor.rid)

    async def _answered(self, visitor: Visitor, wanted: set[str]) -> bool:
        """Until the bot has said all of this; it says other things as well, such as that it is slow. False = it gave
        way to people.

        Messages that were found after a gap are answered as one, a line each.
        """
        count = 1
        while True:
            found = await visitor.wait_for("bot", count, timeout_ms=self._wait_ms)
            if wanted <= {line for each in found for line in tags_of(each["text"])}:
                return True
            if self._gives_up and any(each["text"] == GAVE_WAY for each in found):
                return False
            count = len(found) + 1

    async def _race_takeover(self, client: SandboxClient, alice: Staff, number: int) -> None:
        """Somebody gives the room to a person while the bot answers."""
        visitor = await self._racing(client, alice, TAKEOVER, number)
        if visitor is None:
            return
        answer = await self._relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": alice.user_id})
        assert answer.get("success"), answer
        await visitor.wait_event("assigned", "alice", timeout_ms=self._wait_ms)
        await visitor.say("thank you")
        await alice.close(visitor.rid)

    async def _race_close(self, client: SandboxClient, alice: Staff, number: int) -> None:
        """The visitor leaves while the bot answers."""
        visitor = await self._racing(client, alice, CLOSE, number)
        if visitor is not None:
            await visitor.close()

    async def _racing(self, client: SandboxClient, alice: Staff, kind: str, number: int) -> Visitor | None:
        """None = the bot gave way before it began."""
        visitor = Visitor(client, f"Racer {number}")
        await visitor.open_room()
        await visitor.say(f"echo {kind}{number}-m000")
        if not await self._answered(visitor, {f"{kind}{number}-m000"}):
            await self._with_people(visitor, alice)
            return None
        for n in range(1, 4):
            await visitor.say(f"echo {kind}{number}-m{n:03}")
        # So that it falls before, into and after the answers: the window of reordering is 150 ms.
        await asyncio.sleep(self._random.random() * 0.3)
        return visitor

    def _received(self, database: Path) -> dict[str, int]:
        """Message id -> when its first webhook was received, by the journal."""
        sql = (
            "SELECT received_at, body FROM observations WHERE source = 'webhook' AND kind = 'Message' ORDER BY id DESC"
        )
        with contextlib.closing(sqlite.connect(str(database))) as reader:
            return {json.loads(body)["messages"][0]["_id"]: at for at, body in reader.execute(sql)}

    def _outbox(self, database: Path, races: set[str]) -> dict[str, int]:
        """Counts of the outbox. What was refused in a race is as it should be."""
        own = "SELECT count(*) FROM events WHERE kind = 'MessagePosted' AND data LIKE '%\"author\":\"bot\"%'"
        with contextlib.closing(sqlite.connect(str(database))) as reader:
            gave_up = f"AND code NOT IN {GIVEN_UP}" if self._gives_up else ""
            row = reader.execute(
                f"SELECT sum(uncertain), sum(state = 3 {gave_up}), sum(state = 0) FROM deliveries"  # noqa: S608
            ).fetchone()
            rooms = "SELECT c.room FROM deliveries d JOIN conversations c ON c.id = d.conversation_id WHERE d.state = 2"
            refused = sum(found[0] not in races for found in reader.execute(rooms))
            echoes = reader.execute(own).fetchone()[0]
        uncertain, buried, due = (int(each or 0) for each in row)
        return {"uncertain": uncertain, "buried": buried, "refused": refused, "unsettled": due, "echoes": echoes}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak ARGS=…", description=__doc__)
    parser.add_argument("--kills", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=0, help="at least so many, also after the last kill")
    parser.add_argument("--visitors", type=int, default=12, help="conversations at a time")
    parser.add_argument("--hub-version", default="8.3")
    parser.add_argument("--kind", default="rasa", help="connector whose simulator plays the bot")
    parser.add_argument("--scenario", choices=("bot", "salesforce"), default="bot", help="who is spoken to")
    parser.add_argument("--protocol", choices=tuple(salesforce.SIDES), help="salesforce: only this one, else both")
    parser.add_argument("--stop-s", type=float, default=0.0, help="salesforce: also stop the process for so long")
    parser.add_argument(
        "--vendor-faults",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="salesforce: its servers fail now and then",
    )
    parser.add_argument("--keep", type=Path, help="folder for configuration, database and log")
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args()
    with folder_of(wish.keep) as folder:
        if wish.scenario == "salesforce":
            protocols = [wish.protocol] if wish.protocol else list(salesforce.SIDES)
            found = asyncio.run(
                salesforce.run(
                    protocols,
                    folder,
                    kills=wish.kills,
                    seed=wish.seed,
                    visitors=wish.visitors,
                    stop_s=wish.stop_s,
                    vendor_faults=wish.vendor_faults,
                )
            )
            return _told(found, salesforce.WRONG, as_json=wish.json)
        soak = Soak(
            wish.kills,
            wish.seed,
            wish.visitors,
            wish.hub_version,
            wish.kind,
            folder,
            messages=wish.messages,
        )
        result = asyncio.run(soak.run())
    missing = [f"not hit: {point}" for point in POINTS[: wish.kills] if not result["kills_by_point"][point]]
    raced = result["max_overlap_per_race"] > 1 or result["max_posts_after_close"] > 1
    return _told(result, WRONG, *missing, *(["a race"] if raced else []), as_json=wish.json)


WRONG = ("lost", "doubled", "out_of_order", "unsettled", "echoes")


def _told(result: dict[str, Any], wrong: tuple[str, ...], *more: str, as_json: bool) -> int:
    found = [f"{each}: {result[each]}" for each in wrong if result[each]] + list(more)
    return tell(result, found, "the crash test failed", as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
