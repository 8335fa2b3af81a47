"""The reconciler: what no webhook told us is read from the hub (design, I8).

    room lists ──▶ written since the mark, or another state? ──▶ history, room ──▶ observation in the lane

The mark is the hub time up to which every room was compared; it is kept, so a start compares what happened while
we were down. A room that was silent since, and is as we know it, costs nothing but its line in a list. One call at
a time to a hub, so many a second; the relay does not wait for any of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.interpreter import HISTORY
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.told import ToldInJournal
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable
from omnibridge.rocketchat.client import PAGE, RocketChatClient
from omnibridge.rocketchat.reconcile import (
    Known,
    Missing,
    RoomHistory,
    differs,
    hub_clock_ms,
    is_before,
    missing,
    needs_history,
)
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.storage import conversations, instance, journal
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation

T = TypeVar("T")
_log = structlog.get_logger("omnibridge.reconciler")
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Conversation)

SETTLE_MS = 10_000
"""What is younger is left to its webhook: twice the longest reorder window, and the hub gives a webhook 5 s."""

MARGIN_MS = 3_000
"""Clocks that are taken for equal differ by as much, and the hub stores a message some time before it lists it."""

PACE_S = 0.1
"""Ten calls a second at most. The hub's own limit (10 a minute and route, 1.6) does not bind the relay account,
whose role bot passes it; this is a small part of what one busy supervisor's browser asks for."""

TRIES = 4
LONGEST_PAUSE_S = 60.0
GIVE_UP_AFTER = 5
"""Runs in a row in which one room could not be read, before the mark passes it."""


@dataclass
class Run:
    """What one comparison did. since_ms: the mark it began with. settled_ms: what is younger may still be told.
    Both in hub time. failed: rooms that could not be read, for which the mark stays. young: what was left to
    its webhook, and is looked for again soon."""

    since_ms: int
    settled_ms: int
    rooms: int = 0
    histories: int = 0
    appended: int = 0
    failed: int = 0
    young: int = 0


class Reconciler:
    """One workspace's. every_s: pause between two runs; 0 = one at start, and when somebody asks."""

    def __init__(
        self,
        workspace: str,
        client: RocketChatClient,
        database: Database,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        every_s: float,
    ) -> None:
        self._workspace, self._client, self._database, self._lanes = workspace, client, database, lanes
        self._ids, self._clock, self._counters, self._every_s = ids, clock, counters, every_s
        self._asked = asyncio.Event()
        self._settle_ms = SETTLE_MS
        self._next_call_at = 0.0
        self._failures: Counter[str] = Counter()
        self.succeeded_at_ms = 0

    def ask(self, settle_ms: int = SETTLE_MS) -> None:
        """Compare soon: somebody noticed a gap. settle_ms: what is younger is left to its webhook, if it has one."""
        self._settle_ms = min(settle_ms, self._settle_ms)
        self._asked.set()

    async def serve(self) -> None:
        """Compare now, then every `every_s`, and whenever asked; runs until cancelled."""
        failures, after_gap = 0, True
        while True:
            self._asked.clear()
            try:
                run = await self.run()
                failures, pause_s = 0, self._every_s or None
                self._counters.add("reconcile_runs", 1, "partly" if run.failed else "done")
                if run.failed:
                    pause_s = min(LONGEST_PAUSE_S, self._every_s or LONGEST_PAUSE_S)
                elif run.young and after_gap:  # only then: with many visitors something is always under way
                    soon_s = (self._settle_ms + MARGIN_MS) / 1000
                    pause_s = min(soon_s, self._every_s or soon_s)
                elif not self._asked.is_set():
                    self._settle_ms = SETTLE_MS
                after_gap = bool(run.failed)
            except DeliveryError as exc:
                failures += 1
                pause_s = _pause_s(exc, failures)
                self._note_failure(exc.code, str(exc), pause_s)
            except Exception as exc:  # a defect here must not end the repairs for good
                failures += 1
                pause_s = _pause_s(exc, failures)
                _log.exception("reconciler_failed", workspace=self._workspace)
                self._note_failure(type(exc).__name__, "", pause_s)
            try:
                await asyncio.wait_for(self._asked.wait(), pause_s)
                after_gap = True
            except TimeoutError:
                continue

    async def run(self) -> Run:
        """Compare everything once. Raises DeliveryError when the hub does not answer."""
        began = self._clock.monotonic()
        hub_ms = await self._hub_time()
        since_ms = await self._since(hub_ms)
        run = Run(since_ms, hub_ms - self._settle_ms)
        # In this order a room that is taken, returned or closed meanwhile is listed twice rather than never.
        can_wait: list[RoomInfo] = []
        queued: set[str] = set()
        for is_open, is_queued in ((True, True), (True, False), (True, True), (False, False)):
            async for room in self._listed(is_open, is_queued, since_ms):
                if is_queued and room.id in queued:
                    continue
                if is_queued:
                    queued.add(room.id)
                run.rooms += 1
                if self._is_urgent(room, run):
                    await self._compare(room, run)
                elif needs_history(room, since_ms):
                    can_wait.append(room)
        for room in can_wait:
            await self._compare(room, run)
        # What was stored while the lists were read, or was too young, is newer than this: the next run looks at it.
        mark = max(since_ms, hub_ms - SETTLE_MS - MARGIN_MS)
        if not run.failed:
            await self._keep_mark(mark)
            self._failures.clear()
            self.succeeded_at_ms = self._clock.now_ms()
        self._counters.add("reconcile_rooms", run.rooms)
        _log.info(
            "reconciled",
            workspace=self._workspace,
            rooms=run.rooms,
            histories=run.histories,
            appended=run.appended,
            failed=run.failed,
            gap_s=round((hub_ms - since_ms) / 1000),
            took_s=round(self._clock.monotonic() - began, 1),
        )
        return run

    async def _compare(self, room: RoomInfo, run: Run) -> None:
        try:
            await self._compare_one(room, run)
            self._failures.pop(room.id, None)
        except DeliveryRejected as exc:
            _log.warning("room_not_read", room=room.id, code=exc.code, reason=str(exc))
        except DeliveryError as exc:
            self._failures[room.id] += 1
            if self._failures[room.id] >= GIVE_UP_AFTER:
                _log.error("room_given_up", room=room.id, code=exc.code, reason=str(exc))
                return
            run.failed += 1
            _log.info("room_not_read", room=room.id, code=exc.code, reason=str(exc))
            if run.failed > 1:
                raise  # the hub rather than the room

    def _is_urgent(self, room: RoomInfo, run: Run) -> bool:
        """Whether the list alone shows that something is missing. Where only the middle may be, it can wait."""
        conversation_id, known = self._known(room.id)
        if known is None:
            return not is_before(room, run.since_ms)
        if differs(room, known, run.settled_ms):
            return True
        if not room.last_message_id or not room.open or room.last_message_at_ms > run.settled_ms:
            return False  # what is younger is left to its webhook; and nobody waits in a room that is closed, here too
        return not ToldInJournal(self._database.reader, conversation_id).knows(room.last_message_id)

    async def _compare_one(self, room: RoomInfo, run: Run) -> None:
        conversation_id, known = self._known(room.id)
        is_other = differs(room, known, run.settled_ms)
        is_young = not is_other and differs(room, known, sys.maxsize)
        run.young += is_young
        is_written = needs_history(room, run.since_ms) and not (is_young and known is None)
        if not is_written and not is_other:
            return
        lacking, deleted = Missing(), list[str]()
        if is_written:
            history, gone = await self._ask(partial(self._client.changes_since, room.id, run.since_ms))
            run.histories += 1
            self._counters.add("reconcile_histories")
            told = ToldInJournal(self._database.reader, conversation_id)
            lacking = missing(history, room, told, run.since_ms, run.settled_ms)
            deleted = [each for each in gone if told.lacks_deletion(each)]
            run.young += lacking.n_young
        if not lacking.messages and not deleted and not is_other:
            return
        # What the list said is some calls old by now. Again what we know, right before the hub is asked.
        _, known = self._known(room.id)
        fresh = await self._ask(partial(self._client.room, room.id))
        if not lacking.messages and not deleted and not differs(fresh, known, run.settled_ms):
            return
        server = known.server if known else ""
        changes = known.changes if known else -1
        read = RoomHistory(fresh, lacking.messages, lacking.answered_at_ms, server, tuple(deleted), changes)
        now = self._clock.now_ms()
        body = _encode(read)
        await self._lanes.take_in(
            Observation(self._ids.next(), self._workspace, room.id, "hub-read", HISTORY, now, body)
        )
        run.appended += 1

    async def _listed(self, is_open: bool, is_queued: bool, since_ms: int) -> AsyncIterator[RoomInfo]:
        """Rooms of one list, oldest first; closed ones since the mark.

        Each page begins at the time of the last room of the page before, so that a room that leaves the list
        meanwhile does not shift another one out of sight; `offset` only helps over rooms of one millisecond.
        """
        seen: set[str] = set()
        start, offset = (0 if is_open else since_ms), 0
        while True:
            page = await self._ask(partial(self._client.rooms, is_open, offset, PAGE, queued=is_queued, since_ms=start))
            for room in page:
                if room.id and room.id not in seen:
                    seen.add(room.id)
                    yield room
            if len(page) < PAGE:
                return
            last = page[-1].created_at_ms if is_open else page[-1].closed_at_ms
            start, offset = (start, offset + PAGE) if last <= start else (last, 0)

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """One call at the pace, tried again after a pause; reads may be repeated. Raises DeliveryError."""
        attempts = 0
        while True:
            now = self._clock.monotonic()
            self._next_call_at = max(now, self._next_call_at) + PACE_S
            await asyncio.sleep(max(0.0, self._next_call_at - PACE_S - now))
            try:
                return await call()
            except DeliveryRejected:
                raise
            except DeliveryError as exc:
                attempts += 1
                if attempts >= TRIES:
                    raise
                await asyncio.sleep(_pause_s(exc, attempts))

    async def _hub_time(self) -> int:
        """Now by the hub's clock: messages and rooms carry its time, not ours."""
        return hub_clock_ms(await self._ask(self._client.hub_time_ms), self._clock.now_ms())

    def _known(self, room: str) -> tuple[int, Known | None]:
        found = conversations.load(self._database.reader, self._workspace, room)
        if found is None:
            return 0, None
        state = _decoder.decode(found[2])
        server = state.served_by.id if state.served_by else ""
        return found[0], Known(state.closed, server, state.department, state.changes)

    @property
    def _mark_name(self) -> str:
        return f"reconciled:{self._workspace}"

    async def _since(self, hub_ms: int) -> int:
        """From the last complete run; else from the newest webhook of a release without a reconciler; else now.

        Kept at once: a process that dies before its first run ends must not begin later the next time.
        """
        found = instance.read(self._database.reader, self._mark_name)
        if found:
            return int(found)
        mark = max(0, journal.newest_webhook_at(self._database.reader, self._workspace) - 60_000)
        mark = mark or hub_ms - SETTLE_MS - MARGIN_MS
        await self._keep_mark(mark)
        return mark

    async def _keep_mark(self, mark: int) -> None:
        name = self._mark_name
        await self._database.writer.submit(lambda cursor: instance.write(cursor, name, str(mark)))

    def _note_failure(self, code: str, reason: str, pause_s: float) -> None:
        self._counters.add("reconcile_runs", 1, "failed")
        _log.warning(
            "not_reconciled", workspace=self._workspace, code=code, reason=reason, next_try_in_s=round(pause_s, 1)
        )


def _pause_s(exc: Exception, failures: int) -> float:
    """1 s, doubled up to a minute; at least as long as the hub asks for."""
    asked = exc.retry_after_s if isinstance(exc, DeliveryRetryable) else None
    return max(asked or 0.0, min(LONGEST_PAUSE_S, 2.0 ** min(failures - 1, 6)))
