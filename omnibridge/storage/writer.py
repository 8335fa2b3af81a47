"""The one writer: a thread that commits units of work in groups.

A unit is a function of a DBAPI cursor; it runs inside the group's transaction. One bad unit fails alone:
the group is run again with a savepoint per unit. Measured (spine-performance): a commit per event costs
20 times the CPU of grouped commits, and pacing (a batch that held several units lets about 2 ms pass
before the next) lowers latency as well, because it halves the thread switches.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

Unit = Callable[[Any], object]
"""Writes with the cursor it is given; what it returns is ignored. Raises to fail; nothing of it stays then."""

BATCH = 256
PACE_S = 0.002
LAZY_S = 0.05


class Writer:
    """Owns the only connection that writes and checkpoints."""

    def __init__(self, connection: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._wake = threading.Condition()
        self._hot: deque[tuple[Unit, asyncio.Future[None]]] = deque()
        self._lazy: deque[tuple[Unit, asyncio.Future[None]]] = deque()
        self._bulk: deque[tuple[Unit, asyncio.Future[None]]] = deque()
        self._lazy_since = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self.commits = 0
        self.units = 0
        self.commit_s = 0.0
        self._thread.start()

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        """Run a unit soon. The future is done when it is durable, or has the unit's exception."""
        return self._put(self._hot, unit)

    def submit_lazily(self, unit: Unit) -> asyncio.Future[None]:
        """Run a unit with the next commit, at most 50 ms later: for what a crash may forget."""
        if not self._lazy:
            self._lazy_since = time.monotonic()
        return self._put(self._lazy, unit)

    def submit_bulk(self, unit: Unit) -> asyncio.Future[None]:
        """Run a unit when nothing hot waits. Keep each one under 5 ms."""
        return self._put(self._bulk, unit)

    async def aclose(self) -> None:
        """Write what is queued, then stop the thread and close the connection."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _put(self, queue: deque[tuple[Unit, asyncio.Future[None]]], unit: Unit) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            if self._stopping:
                raise RuntimeError("the writer is closed")
            queue.append((unit, future))
            # The thread looks at its queues before it waits, so only an empty one needs a wake-up.
            self._wake.notify()
        return future

    def _run(self) -> None:
        while batch := self._next_batch():
            began = time.monotonic()
            outcomes = self._write(batch)
            self.commit_s += time.monotonic() - began
            self.commits += 1
            self.units += len(batch)
            self._loop.call_soon_threadsafe(_resolve, outcomes)
            rest = PACE_S - (time.monotonic() - began)
            if len(batch) > 1 and rest > 0 and not self._stopping:
                time.sleep(rest)  # pacing: let the next commit carry more; see above

    def _next_batch(self) -> list[tuple[Unit, asyncio.Future[None]]]:
        with self._wake:
            while True:
                overdue = bool(self._lazy) and time.monotonic() - self._lazy_since >= LAZY_S
                if self._hot or overdue or (self._stopping and self._lazy):
                    batch = [self._hot.popleft() for _ in range(min(len(self._hot), BATCH))]
                    while self._lazy and len(batch) < 2 * BATCH:
                        batch.append(self._lazy.popleft())
                    self._lazy_since = time.monotonic()
                    return batch
                if self._bulk:
                    return [self._bulk.popleft()]
                if self._stopping:
                    return []
                self._wake.wait(LAZY_S if self._lazy else None)

    def _write(
        self, batch: list[tuple[Unit, asyncio.Future[None]]]
    ) -> list[tuple[asyncio.Future[None], BaseException | None]]:
        cursor = self._connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for unit, _ in batch:
                unit(cursor)
            cursor.execute("COMMIT")
            return [(future, None) for _, future in batch]
        except Exception as exc:
            self._roll_back(cursor)
            if len(batch) == 1:
                return [(batch[0][1], exc)]
            return self._write_each_alone(cursor, batch)
        finally:
            cursor.close()

    def _write_each_alone(
        self, cursor: Any, batch: list[tuple[Unit, asyncio.Future[None]]]
    ) -> list[tuple[asyncio.Future[None], BaseException | None]]:
        outcomes: list[tuple[asyncio.Future[None], BaseException | None]] = []
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for unit, future in batch:
                cursor.execute("SAVEPOINT unit")
                try:
                    unit(cursor)
                    outcomes.append((future, None))
                except Exception as exc:
                    cursor.execute("ROLLBACK TO unit")
                    outcomes.append((future, exc))
                cursor.execute("RELEASE unit")
            cursor.execute("COMMIT")
            return outcomes
        except Exception as exc:
            self._roll_back(cursor)
            return [(future, exc) for _, future in batch]

    def _roll_back(self, cursor: Any) -> None:
        if self._connection.in_transaction:
            cursor.execute("ROLLBACK")


def _resolve(outcomes: list[tuple[asyncio.Future[None], BaseException | None]]) -> None:
    for future, exc in outcomes:
        if future.done():
            continue  # the caller stopped waiting
        if exc is None:
            future.set_result(None)
        else:
            future.set_exception(exc)
