"""The database of a history: tables in memory, and the real writer in virtual time."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import create_engine

from omnibridge.storage.schema import metadata
from omnibridge.storage.writer import Unit, Writer

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.world import World

SECRET = b"simulation"
_Batch = list[tuple[Unit, "asyncio.Future[None]"]]
_Outcomes = list[tuple["asyncio.Future[None]", BaseException | None]]


@lru_cache
def _schema() -> str:
    connection = sqlite.connect(":memory:")
    metadata.create_all(create_engine("sqlite://", module=sqlite, creator=lambda: connection))
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    connection.close()
    return ";".join(row[0] for row in rows)


def empty_database() -> Any:
    """A connection for look-ups and for the writers of all lives."""
    connection = sqlite.connect(":memory:", isolation_level=None, cached_statements=256)
    connection.executescript(_schema())
    return connection


def database_of(world: World, life: Life) -> Any:
    """In the place of `open_database`: what a process has of the database. Outlives it."""
    writer = VirtualWriter(world, life)
    return SimpleNamespace(reader=world.database, writer=writer, secret=SECRET, aclose=writer.aclose)


class _Kept:
    """A connection that outlives who closes it."""

    def __init__(self, connection: Any) -> None:
        self._connection, self.cursor = connection, connection.cursor

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def close(self) -> None:
        """The next process goes on with it."""


class VirtualWriter(Writer):
    """The real writer, queues, groups, pacing and outcomes; only that its thread's jobs are carried out by the loop.

    A commit takes a while, and callers hear of it a moment later; a process may die before, between and after.
    The statements of a group run together with its COMMIT instead of right before it: reader and writer share
    one connection here, so nobody must look in between. Nobody else writes, so they find the same either way.
    """

    def __init__(self, world: World, life: Life) -> None:
        super().__init__(_Kept(world.database), life.loop)
        self._world, self._life, self._plan = world, life, ""
        jobs: Any = SimpleNamespace(put=self._job)
        self._jobs = jobs

    def _job(self, job: Any) -> None:
        if job:
            takes_ms, self._plan = self._world.disk.commit(self._world)
            self._loop.call_later(takes_ms / 1000, job)

    def _carry_out(self, batch: _Batch, began: float, *, alone: bool = False) -> None:
        self._jobs.put(lambda: self._all_at_once(batch, began))

    def _all_at_once(self, batch: _Batch, began: float) -> None:
        if self._life.dead:
            return
        self._cursor.execute("BEGIN IMMEDIATE")
        outcomes = self._execute(batch)
        if outcomes is None and not self._life.dead:
            self._cursor.execute("BEGIN IMMEDIATE")
            outcomes = self._execute_alone(batch)
        self._commit(outcomes or [], began)

    def _bulk_commit(self, unit: Unit, future: asyncio.Future[None]) -> None:
        if not self._life.dead:
            super()._bulk_commit(unit, future)

    def _commit(self, outcomes: _Outcomes, began: float) -> None:
        if self._life.dead:  # at a fault point inside a unit
            self._roll_back()
            return
        if self._plan in ("fail", "doubt"):
            if self._plan == "doubt" and self._connection.in_transaction:
                self._cursor.execute("COMMIT")
            self._roll_back()
            outcomes = [(future, sqlite.OperationalError("disk I/O error")) for future, _ in outcomes]
        super()._commit(outcomes, began)

    def _tell(self, outcomes: _Outcomes, took_s: float, began: float) -> None:
        heard_ms = self._world.rng.choice((0, 0, 0, 1, 3))
        self._loop.call_later(heard_ms / 1000, self._done, outcomes, took_s, began)

    def _done(self, outcomes: _Outcomes, took_s: float, began: float) -> None:
        if not self._life.dead:
            self._world.committed()
            super()._done(outcomes, took_s, began)
