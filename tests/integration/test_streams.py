"""Streams on a real database, with a lane that learns of a commit a moment after the readers do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from omnibridge.clock import SystemClock
from omnibridge.domain.conversation import Control, Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.sender import Sent
from omnibridge.engine.streams import Streams
from omnibridge.storage import outbox
from omnibridge.storage.database import open_database
from omnibridge.storage.outbox import Delivery


class LateLanes:
    """Knows the epoch of the commit only from the third look on."""

    def __init__(self) -> None:
        self.looks = 0

    def conversation(self, _: int) -> tuple[tuple[str, str], Conversation]:
        self.looks += 1
        return ("w", "r"), Conversation("w", "r", control=Control("queue", 2 if self.looks > 2 else 1))


class Recorder:
    def __init__(self) -> None:
        self.sent: list[int] = []

    async def send(self, row: Delivery, *_: Any, maybe_sent: bool) -> Sent:
        self.sent.append(row.id)
        return Sent()

    def wait_until(self, row: Delivery, now_ms: int) -> int:
        return 0

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        return None


async def test_row_of_a_decision_that_the_lane_does_not_know_yet_is_not_refused(tmp_path: Path) -> None:
    """A stream that is being drained sees a row as soon as it is committed, the lane only after that."""
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    clock, lanes, sender, counters = SystemClock(), LateLanes(), Recorder(), Counters()
    streams = Streams(database, clock, IdSequence(clock), "b", counters, Faults(), 5_000)
    far = clock.now_ms() + 60_000
    rows = [Delivery(n, 1, 1, "hub", "ListAgents", "", n, None, b"{}", 0, 0, "b", 0, far, 0) for n in (1, 2)]
    for row in rows:
        await database.writer.submit(lambda cursor, row=row: outbox.enqueue(cursor, row))
    streams.open(cast(Lanes, lanes), lambda _: sender)
    async with asyncio.timeout(30):
        while len(sender.sent) < 2:
            await asyncio.sleep(0.005)

    assert sender.sent == [1, 2]
    assert counters.value("deliveries_refused") == 0
    await streams.aclose()
    await database.aclose()
