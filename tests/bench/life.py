"""The bridge over its life: memory of idle conversations, a restart with much to do, the cost as it goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from pathlib import Path

from omnibridge.domain.conversation import Control, Conversation
from omnibridge.domain.events import UserRef
from omnibridge.engine.ids import message_id
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.routing.facts import start_facts
from omnibridge.storage import conversations, outbox
from omnibridge.storage.database import connect, migrate
from omnibridge.storage.outbox import Delivery
from tests.bench.outside import Caller, Outside, encode, webhook
from tests.bench.relay import ENGINE, Target, Visitor, at_rate, closed_loop

CALLERS = 16


async def idle_bytes(outside: Outside, folder: Path, n: int) -> float:
    """Resident memory per open conversation in which nothing happens, beyond those that are cached anyway."""
    target = Target("bridge", outside, folder)
    await target.start()
    try:
        await _open_rooms(target, "warm", 6_000)
        before = target.rss()
        await _open_rooms(target, "idle", n)
        return (target.rss() - before) / n
    finally:
        await target.stop()


async def _open_rooms(target: Target, prefix: str, n: int) -> None:
    """Rooms that the bot serves, one message answered in none of them; waits until nothing is due."""
    loop = asyncio.get_running_loop()
    numbers = iter(range(n))

    async def open_some() -> None:
        _, caller = await loop.create_connection(Caller, "127.0.0.1", target.port)
        for at in numbers:
            assert await caller.post(webhook("LivechatSessionTaken", f"{prefix}{at:06d}")) == 200
        caller.close()

    await asyncio.gather(*(open_some() for _ in range(CALLERS)))
    async with asyncio.timeout(60):
        while await target.gauge("deliveries_due") or await target.gauge("observations_due"):
            await asyncio.sleep(0.05)


async def restart_s(outside: Outside, folder: Path, n_open: int, n_due: int) -> float:
    """From the start of the process until a fresh message was relayed, with open conversations and due rows."""
    _fill(folder / "bench.db", n_open, n_due)
    target = Target("bridge", outside, folder)
    began = time.monotonic()
    await target.start()
    try:
        visitor = await Visitor.come(outside, target)
        await visitor.write()
        took = time.monotonic() - began
        async with asyncio.timeout(60):
            while await target.gauge("deliveries_due"):
                await asyncio.sleep(0.05)
        missing = [n for n in range(n_due) if f"due {n}" not in outside.posted]
        assert not missing and not outside.doubled, (len(missing), outside.doubled)
        return took
    finally:
        await target.stop()


def _fill(path: Path, n_open: int, n_due: int) -> None:
    """A database as a killed process leaves it: each due row may have been sent already."""
    migrate(path)
    connection = connect(path)
    secret = bytes(32)
    connection.execute("INSERT INTO instance (name, value) VALUES ('secret', ?)", (secret.hex(),))
    cursor, now = connection.cursor(), int(time.time() * 1000)
    cursor.execute("BEGIN IMMEDIATE")
    for n in range(n_open):
        room, identity = f"open{n:06d}", (now - 60_000 << 20) + n
        state = Conversation(
            "bench", room, True, control=Control("connection:assistant", 1), served_by=UserRef("botId", "assistant"),
            facts=start_facts_of(room), session="assistant",
        )  # fmt: skip
        conversations.save(cursor, identity, "bench", room, 0, closed=False, state=encode(state), at=now)
        if n < n_due:
            row = (now - 30_000 << 20) + n
            outbox.enqueue(
                cursor,
                Delivery(
                    row,
                    identity,
                    0,
                    "hub",
                    "SendToVisitor",
                    "assistant",
                    1,
                    message_id(secret, "bench", room, row),
                    encode(OutgoingMessage(f"due {n}")),
                    0,
                    0,
                    "another",
                    0,
                    now + 600_000,
                    now,
                ),
            )
    cursor.execute("COMMIT")
    connection.close()


def start_facts_of(room: str) -> dict[str, object]:
    from omnibridge.domain.events import ConversationStarted

    return start_facts(ConversationStarted(f"v-{room}", "Vera Visitor", f"guest-{room}", "vera@example.test"))


async def drift(outside: Outside, folder: Path, seconds: float, turns: int) -> float:
    """CPU per message of a process that worked for so long, in its old conversations, by that of a fresh one.

    In turns, pair by pair: what the machine does in two minutes is more than what we look for.
    """
    targets = [Target("bridge", outside, folder / age) for age in ("old", "fresh")]
    try:
        visitors = []
        for each, warm_s in zip(targets, (seconds, 3.0), strict=True):
            await each.start()
            visitors.append([await Visitor.come(outside, each) for _ in range(16)])
            await closed_loop(outside, each, visitors[-1], warm_s)
        for visitor in visitors[0]:
            await visitor.come_back(targets[0])
        pairs = []
        for _ in range(turns):
            old, fresh = [await closed_loop(outside, *each, 0.5) for each in zip(targets, visitors, strict=True)]
            pairs.append(old.cpu_per_1000 / fresh.cpu_per_1000)
    finally:
        for each in targets:
            await each.stop()
    return statistics.median(pairs)


RETAINING = (
    ENGINE
    + """
[retention]
observations_days = 0.00002
deliveries_days = 0.00002
conversations_days = 0.00002
every_s = 0.2
"""
)


async def ack_ms_p99(outside: Outside, folder: Path, per_second: float, seconds: float) -> tuple[float, int]:
    """Until a webhook is answered, while old rows are being purged all the time. Also how many were purged."""
    target = Target("bridge", outside, folder, RETAINING)
    await target.start()
    try:
        visitors = [await Visitor.come(outside, target) for _ in range(100)]
        await closed_loop(outside, target, visitors, 2.0)  # something to purge, 2 s later
        figures = await at_rate(outside, target, visitors, per_second, seconds)
        for each in visitors:
            each.leave()
    finally:
        await target.stop()
    left = sqlite3.connect(folder / "bench.db").execute("SELECT count(*) FROM observations").fetchone()[0]
    return statistics.quantiles(figures.acks, n=100)[98], len(outside.posted) - left
