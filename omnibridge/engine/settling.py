"""What became of a row is written down, and told to its conversation where a decision could follow from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.domain.events import Event, kind_of
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.queues import Queues, StreamKey
from omnibridge.engine.sender import Sender, Sent
from omnibridge.errors import DeliveryError
from omnibridge.storage import outbox
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import DONE, Delivery
from omnibridge.storage.writer import Unit

_log = structlog.get_logger("omnibridge.streams")
_encode = msgspec.json.Encoder(order="deterministic").encode

LOOK_BACK_MS = 600_000
"""How far back a start looks for words that were refused while they were under way."""


class Settling:
    """lanes: set before the first row is settled. ring: have a stream read from the outbox again.

    floor: stream -> its last row that is settled, and not durably yet. begun: rows that were sent and of which the
    outbox does not know it: if its commit fails, they may have arrived.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: IdSequence,
        faults: Faults,
        queues: Queues,
        ring: Callable[[int, str], None],
    ) -> None:
        self.database, self.clock = database, clock
        self._ids, self._faults, self._queues, self._ring = ids, faults, queues, ring
        self.lanes: Lanes | None = None
        self.floor: dict[StreamKey, int] = {}
        self.begun: set[int] = set()

    async def settle(
        self, key: StreamKey, row: Delivery, state: int, code: str, workspace: str, room: str, sent: Sent
    ) -> None:
        """Settle a row; together with the observation that follows from it, in one commit, if there is one."""
        self._queues.drop(key, row)
        dedupe = f"settled:{row.id}"
        if sent.event is not None:
            self._faults.reach("bot_answer_to_journal")
            await self.tell(workspace, room, sent.event, dedupe, self.unit(row, state, code))
        elif sent.raw is not None:
            settle, now = self.unit(row, state, code), self.clock.now_ms()
            observation = Observation(self._ids.next(), workspace, room, sent.source, sent.kind, now, sent.raw, dedupe)
            await self._take_in(observation, settle)
        else:
            self.lazily(key, row, state, code)
            return
        self.begun.discard(row.id)

    def lazily(self, key: StreamKey, row: Delivery, state: int, code: str) -> None:
        """Until the settle is durable, the floor keeps this row from being read as due."""
        self.floor[key] = row.id
        future = self.database.writer.submit_lazily(self.unit(row, state, code))
        future.add_done_callback(lambda done: self._lazily_settled(key, row.id, done))

    def _lazily_settled(self, key: StreamKey, row_id: int, done: asyncio.Future[None]) -> None:
        if self.floor.get(key) == row_id:
            del self.floor[key]
        if not done.cancelled() and done.exception():
            _log.error("settle_failed", delivery=row_id, reason=str(done.exception()))
            self._ring(*key)
        else:
            self.begun.discard(row_id)

    def unit(self, row: Delivery, state: int, code: str) -> Unit:
        """For the writer."""
        now, attempts = self.clock.now_ms(), row.attempts + 1
        return lambda cursor: outbox.settle(cursor, row.id, state, code, attempts, now)

    async def tell(self, workspace: str, room: str, event: Event, dedupe: str, settle: Unit | None = None) -> None:
        """An event of our own, to its conversation. settle: written in the same commit."""
        now, body = self.clock.now_ms(), _encode(event)
        observation = Observation(self._ids.next(), workspace, room, "engine", kind_of(event), now, body, dedupe, event)
        await self._take_in(observation, settle)

    async def _take_in(self, observation: Observation, settle: Unit | None) -> None:
        assert self.lanes is not None
        await self.lanes.tell(observation, settle)


async def settle_arrived(
    settling: Settling, lanes: Lanes, sender_for: Callable[[str], Sender], at_a_time: int = 32
) -> int:
    """Before anything is decided: settle what arrived although the process died before it knew.

    Otherwise a change of control handled first would refuse words that were said. Only one row of a stream
    was under way, but settles in front of it may be lost: up to the first that has not arrived they are
    looked up. What cannot be found out now is found out when it is sent.
    Words that were refused while they were under way, and arrived, become `overlap`.
    """
    slots = asyncio.Semaphore(at_a_time)
    reader, since = settling.database.reader, (settling.clock.now_ms() - LOOK_BACK_MS) << 20
    heads = [outbox.next_due(reader, *key) for key in outbox.streams_due(reader)]
    refused = outbox.refused_lately(reader, since)

    async def settle(row: Delivery) -> bool:
        found = lanes.conversation(row.conversation_id)
        if found is None:
            return False
        try:
            async with slots:
                sent = await sender_for(row.stream).find_arrived(row, found[1])
        except DeliveryError as exc:
            _log.info("not_known_whether_arrived", delivery=row.id, code=exc.code)
            return False
        if sent is None:
            return False
        if sent.event is None:  # durable at once: the floor of a lazy settle would hide lower rows
            await settling.database.writer.submit(settling.unit(row, DONE, ""))
        else:
            await settling.settle((row.conversation_id, row.stream), row, DONE, "", *found[0], sent)
        return True

    def next_due(row: Delivery) -> Delivery | None:
        return outbox.next_due(reader, row.conversation_id, row.stream, after=row.id)

    def next_refused(row: Delivery) -> Delivery | None:
        return outbox.refused_next(reader, row)

    async def settle_from(row: Delivery | None, behind: Callable[[Delivery], Delivery | None]) -> int:
        n = 0
        while row is not None and await settle(row):
            n, row = n + 1, behind(row)
        return n

    due = [settle_from(row, next_due) for row in heads]
    return sum(await asyncio.gather(*due, *(settle_from(row, next_refused) for row in refused)))
