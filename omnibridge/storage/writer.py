"""The one writer: units of work, committed in groups. Statements run on the loop, the commit in a thread.

A unit is a function of a DBAPI cursor; it runs inside the group's transaction. One bad unit fails alone:
the group is run again with a savepoint per unit. Why this shape (figures: tests/bench/README.md):

- A commit per event costs 20 times the CPU of grouped commits. What comes while a commit is under way is
  the next group, so groups grow with the load by themselves; a pause after a group of several (pacing)
  lets the next one carry more.
- Another program that writes to the file (somebody repairs something by hand) holds us up: the thread waits until it is
  done, the loop goes on meanwhile, and no unit fails for it. Only who ends does not wait for ever.
- SQLite's driver lets go of the interpreter lock at each statement, and a thread that wants it back from a
  busy loop waits for the switch interval, each time. So the thread gets the one call that really waits,
  the commit with its fsync: two hand-overs a group, however many statements it has.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pysqlite3.dbapi2 as sqlite

Unit = Callable[[Any], object]
"""Writes with the cursor it is given; what it returns is ignored. Raises to fail; nothing of it stays then."""

_Queue = deque[tuple[Unit, "asyncio.Future[None]"]]
_Batch = list[tuple[Unit, "asyncio.Future[None]"]]
_Outcomes = list[tuple["asyncio.Future[None]", BaseException | None]]

BATCH = 256
PACE_S, LONGEST_PACE_S = 0.00025, 0.003
"""From the start of a group to the next: so long for each unit that it had. Hardly any at low load, when a
commit at once is what counts; 3 ms when a commit carries a dozen units or more."""

LAZY_S = 0.05
HOT_GROUPS = 4
"""Groups after which bulk work gets its turn although hot units wait."""

ASKS_AGAIN_S = 0.01
GIVES_UP_S = 5.0
"""Another program holds the file: how often it is asked for again; how long by who ends."""

REMEMBERED = 1024
"""Commits whose duration is kept, for the percentiles of /metrics."""


class Writer:
    """Owns the only connection that writes and checkpoints. All methods are for the loop's thread."""

    def __init__(self, connection: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._connection, self._loop = connection, loop
        self._cursor = connection.cursor()
        self._hot: _Queue = deque()
        self._lazy: _Queue = deque()
        self._bulk: _Queue = deque()
        self._is_busy = False
        self._is_due: asyncio.Handle | None = None
        self._lazy_timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._since_bulk = 0
        self._stopping = False
        self._idle = asyncio.Event()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="storage-writer", daemon=True)
        self.commits = 0
        self.units = 0
        self.commit_s = 0.0
        self.durations: deque[float] = deque(maxlen=REMEMBERED)
        self._locked_since = 0.0
        self._cursor.execute("PRAGMA busy_timeout=0")  # the loop must not wait; the thread asks again
        self._thread.start()

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Run a unit soon. The future is done when it is durable, or has the unit's exception."""
        future = self._put(self._hot, unit)
        self._schedule()
        return future

    def submit_lazily(self, unit: Unit) -> asyncio.Future[None]:
        """Run a unit with the next commit, at most 50 ms later: for what a crash may forget."""
        future = self._put(self._lazy, unit)
        if self._lazy_timer is None:
            self._lazy_timer = self._loop.call_later(LAZY_S, self._lazy_is_due)
        return future

    def submit_bulk(self, unit: Unit) -> asyncio.Future[None]:
        """Run a unit in the thread when nothing hot waits, or after some groups. Keep each under 5 ms."""
        future = self._put(self._bulk, unit)
        self._schedule()
        return future

    @property
    def locked_s(self) -> float:
        """How long another program has been holding the file; 0 = none does."""
        since = self._locked_since
        return time.monotonic() - since if since else 0.0

    def commit_ms(self, percent: int) -> float:
        """A percentile of the last commits, their fsync included."""
        found = sorted(self.durations)
        return found[min(len(found) - 1, len(found) * percent // 100)] * 1000 if found else 0.0

    async def aclose(self) -> None:
        """Write what is queued, then stop the thread and close the connection."""
        self._stopping = True
        while self._is_busy or self._hot or self._lazy or self._bulk:
            self._idle.clear()
            self._not_before = 0.0
            if not self._is_busy:
                self._start()
            await self._idle.wait()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    # -- on the loop ------------------------------------------------------------------------------------

    def _put(self, queue: _Queue, unit: Unit) -> asyncio.Future[None]:
        if self._stopping:
            raise RuntimeError("the writer is closed")
        future: asyncio.Future[None] = self._loop.create_future()
        queue.append((unit, future))
        return future

    def _schedule(self) -> None:
        """Start a group at the end of this turn of the loop: all that the turn brings goes into it."""
        if self._is_busy or self._is_due is not None:
            return
        wait = self._not_before - self._loop.time()
        self._is_due = self._loop.call_later(wait, self._start) if wait > 0 else self._loop.call_soon(self._start)

    def _lazy_is_due(self) -> None:
        self._lazy_timer = None
        self._schedule()

    def _start(self) -> None:
        if self._is_due is not None:
            self._is_due.cancel()
            self._is_due = None
        if self._is_busy:
            return
        is_bulks_turn = bool(self._bulk) and (not self._hot or self._since_bulk >= HOT_GROUPS)
        self._since_bulk = 0 if is_bulks_turn else self._since_bulk + 1
        if is_bulks_turn:
            unit, future = self._bulk.popleft()
            self._is_busy = True
            self._jobs.put(lambda: self._bulk_commit(unit, future))
            return
        batch = [self._hot.popleft() for _ in range(min(len(self._hot), BATCH))]
        while self._lazy and len(batch) < 2 * BATCH:
            batch.append(self._lazy.popleft())
        if not batch:
            return
        if self._lazy_timer is not None and not self._lazy:
            self._lazy_timer.cancel()
            self._lazy_timer = None
        self._is_busy = True
        began = time.perf_counter()
        self._carry_out(batch, began)

    def _carry_out(self, batch: _Batch, began: float, *, alone: bool = False) -> None:
        """alone: each unit in a savepoint, so that only a bad one fails."""
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite.OperationalError:
            self._jobs.put(lambda: self._begin(batch, began, alone))
        else:
            self._go_on(batch, began, alone)

    def _go_on(self, batch: _Batch, began: float, alone: bool) -> None:
        """The transaction is begun."""
        outcomes = self._execute_alone(batch) if alone else self._execute(batch)
        if outcomes is None:
            self._carry_out(batch, began, alone=True)
        else:
            self._jobs.put(lambda: self._commit(outcomes, began))

    def _execute(self, batch: _Batch) -> _Outcomes | None:
        """None = a unit of several failed, and nothing stays."""
        try:
            for unit, _ in batch:
                unit(self._cursor)
            return [(future, None) for _, future in batch]
        except Exception as exc:
            self._roll_back()
            return [(batch[0][1], exc)] if len(batch) == 1 else None

    def _execute_alone(self, batch: _Batch) -> _Outcomes:
        cursor, outcomes = self._cursor, _Outcomes()
        try:
            for unit, future in batch:
                cursor.execute("SAVEPOINT unit")
                try:
                    unit(cursor)
                    outcomes.append((future, None))
                except Exception as exc:
                    if not self._connection.in_transaction:
                        raise  # a full disk ends the whole transaction
                    cursor.execute("ROLLBACK TO unit")
                    outcomes.append((future, exc))
                cursor.execute("RELEASE unit")
            return outcomes
        except Exception as exc:
            self._roll_back()
            return [(future, exc) for _, future in batch]

    def _done(self, outcomes: _Outcomes, took_s: float, began: float) -> None:
        self._is_busy = False
        self.commits += 1
        self.units += len(outcomes)
        self.commit_s += took_s
        self.durations.append(took_s)
        if len(outcomes) > 1:
            pace = min(PACE_S * len(outcomes), LONGEST_PACE_S)
            self._not_before = self._loop.time() + pace - (time.perf_counter() - began)
        for future, exc in outcomes:
            if future.done():
                continue  # the caller stopped waiting
            if exc is None:
                future.set_result(None)
            else:
                future.set_exception(exc)
        self._idle.set()
        if self._hot or self._bulk or (self._lazy and self._lazy_timer is None):
            self._schedule()

    # -- in the thread ----------------------------------------------------------------------------------

    def _work(self) -> None:
        while job := self._jobs.get():
            job()

    def _begin(self, batch: _Batch, began: float, alone: bool) -> None:
        """Wait for the file as long as another program has it; then the loop goes on."""
        try:
            self._insist("BEGIN IMMEDIATE")
        except Exception as exc:
            self._tell([(future, exc) for _, future in batch], 0.0, began)
        else:
            self._loop.call_soon_threadsafe(self._go_on, batch, began, alone)

    def _insist(self, statement: str) -> None:
        """Raises what is no matter of waiting, and of waiting too when we end."""
        try:
            while True:
                try:
                    self._cursor.execute(statement)
                    return
                except sqlite.OperationalError as exc:
                    if exc.sqlite_errorcode & 0xFF not in (sqlite.SQLITE_BUSY, sqlite.SQLITE_LOCKED):
                        raise
                    self._locked_since = self._locked_since or time.monotonic()
                    if self._stopping and self.locked_s > GIVES_UP_S:
                        raise
                time.sleep(ASKS_AGAIN_S)
        finally:
            self._locked_since = 0.0

    def _commit(self, outcomes: _Outcomes, began: float) -> None:
        started = time.perf_counter()
        try:
            if self._connection.in_transaction:
                self._insist("COMMIT")
        except Exception as exc:
            self._roll_back()
            outcomes = [(future, exc) for future, _ in outcomes]
        self._tell(outcomes, time.perf_counter() - started, began)

    def _bulk_commit(self, unit: Unit, future: asyncio.Future[None]) -> None:
        started = time.perf_counter()
        try:
            self._insist("BEGIN IMMEDIATE")
        except Exception as exc:
            self._tell([(future, exc)], 0.0, started)
        else:
            self._commit(self._execute([(unit, future)]) or [], started)

    def _tell(self, outcomes: _Outcomes, took_s: float, began: float) -> None:
        self._loop.call_soon_threadsafe(self._done, outcomes, took_s, began)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._cursor.execute("ROLLBACK")
