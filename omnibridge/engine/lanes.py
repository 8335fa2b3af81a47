"""Lanes: one conversation at a time, in the order of the journal.

An observation reaches an idle lane together with its decision and outbox rows, in one commit; a busy lane
finds it in the journal. Visitor messages wait for the reorder window first.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from omnibridge.clock import Clock
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.doorbell import EmbeddedDoorbell
from omnibridge.engine.faults import Faults
from omnibridge.engine.processor import Lane, Processor, Work
from omnibridge.engine.reorder import release
from omnibridge.storage import conversations, journal
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.storage.writer import Unit

LaneKey = tuple[str, str]
"""(workspace, room)"""

BRIEFLY_S = 0.005
"""Pause before a lane looks again whether what is being taken in has been journalled."""

CACHED = 2_048
"""Lanes kept in memory; the others are read again when something happens in them."""


class Lanes:
    """windows: reorder window per workspace, ms. ring_stream: told (conversation id, stream) after a commit."""

    def __init__(
        self,
        database: Database,
        processor: Processor,
        clock: Clock,
        windows: Mapping[str, int],
        counters: Counters,
        faults: Faults,
        ring_stream: Callable[[int, str], None],
    ) -> None:
        self._database, self._processor, self._clock, self._windows = database, processor, clock, windows
        self._counters, self._faults, self._ring_stream = counters, faults, ring_stream
        self._lanes: OrderedDict[LaneKey, Lane] = OrderedDict()
        self._keys: dict[int, LaneKey] = {}
        self._incoming: Counter[LaneKey] = Counter()
        self._visible_at: dict[int, int] = {}
        self.doorbell: EmbeddedDoorbell[LaneKey] = EmbeddedDoorbell()
        self.doorbell.serve(self._drain)
        self._open = False

    def open(self) -> int:
        """Start handling: ring every lane that the journal says has work. Returns how many."""
        self._open = True
        waiting = journal.rooms_with_pending(self._database.reader)
        for key in waiting:
            self.doorbell.ring(key)
        return len(waiting)

    async def take_in(self, row: Observation) -> None:
        """Make an observation from outside durable. Returns after the commit: now 200 may be answered.

        Raises StorageError or sqlite's errors when the commit failed; nothing is kept then.
        """
        self._counters.add("observations", 1, row.source, row.kind)
        key = (row.workspace, row.room)
        self._incoming[key] += 1
        try:
            await self._take_in(key, row)
        finally:
            self._incoming[key] -= 1
            if not self._incoming[key]:
                del self._incoming[key]

    async def _take_in(self, key: LaneKey, row: Observation) -> None:
        window = self._windows.get(row.workspace, 0)
        held = window > 0 and self._processor.visitor_ts(row) is not None
        if not self._open or held or not await self._try_now(key, row, None, behind_pending=True):
            await self._journal(row, None)
            if self._open:
                self._visible_at[row.id] = self._clock.now_ms()
                if held:
                    self.doorbell.ring_at(key, window / 1000 + 0.001)
                else:
                    self.doorbell.ring(key)

    async def tell(self, row: Observation, settle: Unit | None) -> None:
        """Take in what the engine itself found out, with the settling of the delivery it came from.

        One commit holds both. An observation of the same dedupe key is not taken in twice.
        """
        key = (row.workspace, row.room)
        if row.dedupe and journal.has_observation(self._database.reader, row.dedupe):
            if settle:
                await self._database.writer.submit(settle)
            return
        if not await self._try_now(key, row, settle, behind_pending=False):
            await self._journal(row, settle)
            self.doorbell.ring(key)

    def conversation(self, conversation_id: int) -> tuple[LaneKey, Conversation] | None:
        """The committed state of a conversation."""
        key = self._keys.get(conversation_id) or conversations.room_of(self._database.reader, conversation_id)
        if key is None:
            return None
        return key, self._lane(key).state

    async def aclose(self) -> None:
        self._open = False
        await self.doorbell.aclose()

    async def _journal(self, row: Observation, settle: Unit | None) -> None:
        faults = self._faults

        def unit(cursor: Any) -> None:
            journal.append(cursor, row)
            if settle:
                settle(cursor)
            elif row.source == "webhook":
                faults.reach("before_journal_commit")

        await self._database.writer.submit(unit)

    async def _try_now(self, key: LaneKey, row: Observation, settle: Unit | None, *, behind_pending: bool) -> bool:
        """Decide at once if the lane is idle: arrival, decision and outbox in one commit."""
        if not self.doorbell.enter(key):
            return False
        try:
            others = self._incoming[key] > 1  # being journalled before this one
            if behind_pending and (others or journal.pending(self._database.reader, *key, limit=1)):
                self.doorbell.ring(key)
                return False
            work = self._processor.handle(self._lane(key), [row], frozenset({row.id}))
            if settle:
                work.writes.insert(0, settle)  # before a change of control refuses what is not settled
            if row.source == "webhook":
                work.writes.append(lambda _: self._faults.reach("before_journal_commit"))
            await self._commit(key, work)
            return True
        finally:
            self.doorbell.leave(key)

    async def _drain(self, key: LaneKey) -> None:
        if not self._open:
            return
        window = self._windows.get(key[0], 0)
        while rows := journal.pending(self._database.reader, *key):
            ready, wake_at = self._release(rows, window)
            if self._incoming[key] and any(self._processor.visitor_ts(row) is not None for row in ready):
                # What is being taken in may be older: it is journalled in a moment.
                self.doorbell.ring_at(key, BRIEFLY_S)
                return
            if wake_at is not None:
                self.doorbell.ring_at(key, max(0.0, (wake_at - self._clock.now_ms()) / 1000) + 0.001)
            if not ready:
                return
            self._faults.reach("200_to_route")
            await self._commit(key, self._processor.handle(self._lane(key), ready))
            for row in ready:
                self._visible_at.pop(row.id, None)

    def _release(self, rows: list[Observation], window: int) -> tuple[list[Observation], int | None]:
        now, visible_at = self._clock.now_ms(), self._visible_at
        return release(rows, self._processor.visitor_ts, now, window, lambda row: visible_at.setdefault(row.id, now))

    async def _commit(self, key: LaneKey, work: Work) -> None:
        try:
            # Not cancelled with its caller: a half-known commit would leave the cached lane behind the database.
            await asyncio.shield(self._database.writer.submit(work.write))
        except BaseException:
            self._forget(key)
            raise
        if work.changed:
            work.lane.version += 1
            self._remember(key, work.lane)
        for stream in work.streams:
            self._ring_stream(work.lane.id, stream)

    def _lane(self, key: LaneKey) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._processor.load(*key)
            if lane.version:
                self._remember(key, lane)
        else:
            self._lanes.move_to_end(key)
        return lane

    def _remember(self, key: LaneKey, lane: Lane) -> None:
        self._lanes[key] = lane
        self._lanes.move_to_end(key)
        self._keys[lane.id] = key
        while len(self._lanes) > CACHED:
            _, old = self._lanes.popitem(last=False)
            self._keys.pop(old.id, None)

    def _forget(self, key: LaneKey) -> None:
        lane = self._lanes.pop(key, None)
        if lane:
            self._keys.pop(lane.id, None)
