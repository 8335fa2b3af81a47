"""Lanes: one conversation at a time, in the order of the journal.

An observation reaches an idle lane together with its decision and outbox rows, in one commit; a busy lane
waits in the journal. Visitor messages wait for the reorder window first.

What waits is known in memory as well, but for lanes with a backlog (from before the start), which are read
from the journal until it is empty. The journal stays the truth: memory only spares the look-up.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from omnibridge.clock import Clock
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.doorbell import EmbeddedDoorbell
from omnibridge.engine.faults import Faults
from omnibridge.engine.interpreter import ordered_ts
from omnibridge.engine.processor import Processor
from omnibridge.engine.reorder import release
from omnibridge.engine.work import Lane, Work
from omnibridge.errors import EventExists
from omnibridge.storage import conversations, journal
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.writer import Unit

LaneKey = tuple[str, str]
"""(workspace, room)"""

BRIEFLY_S = 0.005
"""Pause before a lane looks again whether what is being taken in has been journalled."""

CACHED = 2_048
"""Lanes kept in memory; the others are read again when something happens in them."""


class Outlet(Protocol):
    """Where deliveries go; told before and after the commit that holds them."""

    def announce(self, rows: Sequence[Delivery]) -> None:
        """These are about to be committed."""

    def committed(self, rows: Sequence[Delivery]) -> None:
        """They are durable: send them."""

    def failed(self, rows: Sequence[Delivery]) -> None:
        """They may be durable or not."""

    def ring(self, conversation_id: int, stream: str) -> None:
        """Rows of this stream were changed in the outbox."""


class Lanes:
    """windows: reorder window per workspace, ms."""

    def __init__(
        self,
        database: Database,
        processor: Processor,
        clock: Clock,
        windows: Mapping[str, int],
        counters: Counters,
        faults: Faults,
        outlet: Outlet,
    ) -> None:
        self._database, self._processor, self._clock, self._windows = database, processor, clock, windows
        self._counters, self._faults, self._outlet = counters, faults, outlet
        self._lanes: OrderedDict[LaneKey, Lane] = OrderedDict()
        self._keys: dict[int, LaneKey] = {}
        self._incoming: Counter[LaneKey] = Counter()
        self._pending: dict[LaneKey, list[Observation]] = {}
        self._journalling: Counter[LaneKey] = Counter()
        self._backlog: set[LaneKey] = set()
        self._visible_at: dict[int, int] = {}
        self.doorbell: EmbeddedDoorbell[LaneKey] = EmbeddedDoorbell()
        self.doorbell.serve(self._drain)
        self._open = False

    def open(self) -> int:
        """Start handling: ring every lane that the journal says has work. Returns how many."""
        self._open = True
        waiting = journal.rooms_with_pending(self._database.reader)
        for key in waiting:
            self.ring(key)
        return len(waiting)

    async def caught_up(self, limit_s: float) -> bool:
        """Wait until nothing waits to be decided. False when it took longer than the limit."""
        until = self._clock.monotonic() + limit_s
        while self._backlog or self._pending:
            if self._clock.monotonic() >= until:
                return False
            await asyncio.sleep(BRIEFLY_S)
        return True

    def ring(self, key: LaneKey) -> None:
        """The journal may hold work of this lane that was not taken in here."""
        if self._open:
            self._backlog.add(key)
            self._pending.pop(key, None)
            self.doorbell.ring(key)

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
            _count_down(self._incoming, key)

    async def _take_in(self, key: LaneKey, row: Observation) -> None:
        window = self._windows.get(row.workspace, 0)
        held = window > 0 and ordered_ts(row) is not None
        if not self._open or held or not await self._try_now(key, row, None, behind_pending=True):
            await self._journal(key, row, None)
            if self._open:
                self._visible_at[row.id] = self._clock.now_ms()
                if held:
                    self.doorbell.ring_at(key, window / 1000 + 0.001)
                else:
                    self.doorbell.ring(key)

    async def tell(self, row: Observation, settle: Unit | None) -> None:
        """Take in what the engine itself found out, with the settling of the delivery it came from.

        One commit holds both. An event of the same dedupe key does not follow twice.
        """
        key = (row.workspace, row.room)
        if not await self._try_now(key, row, settle, behind_pending=False):
            await self._journal(key, row, settle)
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

    async def _journal(self, key: LaneKey, row: Observation, settle: Unit | None) -> None:
        faults = self._faults

        def unit(cursor: Any) -> None:
            journal.append(cursor, row)
            if settle:
                settle(cursor)
            elif row.source == "webhook":
                faults.reach("before_journal_commit")

        self._journalling[key] += 1
        try:
            await self._database.writer.submit(unit)
        except BaseException:
            self.ring(key)  # cancelled or failed, it may be in the journal
            raise
        finally:
            _count_down(self._journalling, key)
        if self._open and key not in self._backlog:
            self._pending.setdefault(key, []).append(row)

    async def _try_now(self, key: LaneKey, row: Observation, settle: Unit | None, *, behind_pending: bool) -> bool:
        """Decide at once if the lane is idle: arrival, decision and outbox in one commit."""
        if not self.doorbell.enter(key):
            return False
        try:
            others = self._incoming[key] > 1  # being journalled before this one
            if behind_pending and (others or key in self._pending or key in self._backlog):
                self.doorbell.ring(key)
                return False
            if not behind_pending and self._told_before(key):
                # What a stream tells keeps its order: an earlier answer may have found the lane busy.
                self.doorbell.ring(key)
                return False
            await self._handle(key, [row], frozenset({row.id}), settle)
            return True
        finally:
            self.doorbell.leave(key)

    def _told_before(self, key: LaneKey) -> bool:
        """Whether something that the engine itself found out may wait in the journal, or is on its way there."""
        waits = any(row.source != "webhook" for row in self._pending.get(key, ()))
        return waits or key in self._backlog or key in self._journalling

    async def _drain(self, key: LaneKey) -> None:
        if not self._open:
            return
        window = self._windows.get(key[0], 0)
        while rows := self._waiting(key):
            ready, wake_at = self._release(rows, window)
            if self._incoming[key] and any(ordered_ts(row) is not None for row in ready):
                # What is being taken in may be older: it is journalled in a moment.
                self.doorbell.ring_at(key, BRIEFLY_S)
                return
            if wake_at is not None:
                self.doorbell.ring_at(key, max(0.0, (wake_at - self._clock.now_ms()) / 1000) + 0.001)
            if not ready:
                return
            self._faults.reach("200_to_route")
            await self._handle(key, ready)
            self._handled(key, ready)

    def _waiting(self, key: LaneKey) -> Sequence[Observation]:
        """Observations of a lane that wait, oldest first: some of them at least, none only when there is none."""
        if key in self._backlog:
            rows = journal.pending(self._database.reader, *key)
            if rows or self._journalling[key]:
                return rows
            self._backlog.discard(key)
        return self._pending.get(key, ())

    def _handled(self, key: LaneKey, rows: Sequence[Observation]) -> None:
        handled = {row.id for row in rows}
        for row_id in handled:
            self._visible_at.pop(row_id, None)
        if key in self._pending:
            rest = [row for row in self._pending[key] if row.id not in handled]
            if rest:
                self._pending[key] = rest
            else:
                del self._pending[key]

    def _release(self, rows: Sequence[Observation], window: int) -> tuple[list[Observation], int | None]:
        now, visible_at = self._clock.now_ms(), self._visible_at
        return release(rows, ordered_ts, now, window, lambda row: visible_at.setdefault(row.id, now))

    async def _handle(
        self,
        key: LaneKey,
        rows: Sequence[Observation],
        fresh: frozenset[int] = frozenset(),
        settle: Unit | None = None,
    ) -> None:
        """Decide and commit. First without looking up whether the events are new: they nearly always are."""
        try:
            await self._commit(key, self._processor.handle(self._lane(key), rows, fresh), rows, fresh, settle)
        except EventExists:
            work = self._processor.handle(self._lane(key), rows, fresh, sure=True)
            await self._commit(key, work, rows, fresh, settle)

    async def _commit(
        self, key: LaneKey, work: Work, rows: Sequence[Observation], fresh: frozenset[int], settle: Unit | None
    ) -> None:
        if settle:
            work.writes.insert(0, settle)  # before a change of control refuses what is not settled
        if fresh and rows[0].source == "webhook":
            work.writes.append(lambda _: self._faults.reach("before_journal_commit"))
        deliveries = work.deliveries
        self._outlet.announce(deliveries)
        try:
            await self._database.writer.submit(work.write)
        except BaseException:
            self._forget(key)  # cancelled or failed, it may be in the database: the cached lane is not to be believed
            self._outlet.failed(deliveries)
            for stream in work.resumed:
                self._outlet.ring(*stream)
            raise
        work.lane.remember(work.keys)
        if work.changed:
            work.lane.version += 1
            self._remember(key, work.lane)
        self._outlet.committed(deliveries)
        for stream in work.resumed:
            self._outlet.ring(*stream)

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


def _count_down(counter: Counter[LaneKey], key: LaneKey) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
