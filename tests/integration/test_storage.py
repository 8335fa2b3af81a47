"""Writer, schema and outbox on a real SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import create_engine

from omnibridge.errors import ConcurrentUpdate, ConfigError
from omnibridge.storage import conversations, findings, journal, outbox, routing, sessions
from omnibridge.storage import database as database_module
from omnibridge.storage import writer as writer_module
from omnibridge.storage.database import connect, database_path, migrate, open_database
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import BURIED, DONE, Delivery
from omnibridge.storage.schema import metadata
from tests.conftest import until


def observation(n: int, dedupe: str | None = None) -> Observation:
    return Observation(n, "w", "r", "webhook", "Message", n, b"{}", dedupe)


def delivery(n: int, stream: str = "hub", epoch: int | None = 1) -> Delivery:
    return Delivery(n, 1, 1, stream, "SendToVisitor", "", epoch, f"x{n}", b"{}", 0, 0, "b", 0, 10, 0)


async def test_units_of_a_batch_fail_alone(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")

    def bad(cursor: Any) -> None:
        journal.append(cursor, observation(99))
        raise ValueError("bad unit")

    units = [lambda cur, n=n: journal.append(cur, observation(n)) for n in range(1, 4)]
    futures = [database.writer.submit(each) for each in (units[0], bad, *units[1:])]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)

    assert [type(each) for each in outcomes] == [type(None), ValueError, type(None), type(None)]
    assert [each.id for each in journal.pending(database.reader, "w", "r")] == [1, 2, 3]
    await database.aclose()


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[Any]:
    """Another program is in the middle of a transaction."""
    other = connect(path)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


async def test_loop_goes_on_while_another_program_holds_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "TOLD_AFTER_S", 0.05)
    database = await open_database(f"sqlite:///{tmp_path}/a.db")

    def bad(cursor: Any) -> None:
        raise ValueError("bad unit")

    async with held(tmp_path / "a.db") as other:
        writing = asyncio.gather(
            *(database.writer.submit(lambda cur, n=n: journal.append(cur, observation(n))) for n in (1, 2)),
            database.writer.submit(bad),
            database.writer.submit_bulk(lambda cur: journal.append(cur, observation(3))),
            return_exceptions=True,
        )
        began = asyncio.get_running_loop().time()
        await until(lambda: database.writer.locked_s > 0.1)
        turns = 0
        while database.writer.locked_s < 0.2:
            turns += 1
            await asyncio.sleep(0.001)

        assert turns > 5
        assert asyncio.get_running_loop().time() - began < 5
        assert not writing.done()
        assert "another program has been writing to a.db" in database.why_not_written()
        other.execute("ROLLBACK")
        outcomes = await writing

    assert [type(each) for each in outcomes] == [type(None), type(None), ValueError, type(None)]
    assert [each.id for each in journal.pending(database.reader, "w", "r")] == [1, 2, 3]
    assert (database.writer.locked_s, database.why_not_written()) == (0.0, "")
    await database.aclose()


async def test_who_ends_does_not_wait_for_another_program_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "GIVES_UP_S", 0.05)
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    async with held(tmp_path / "a.db"):
        writing = [database.writer.submit(lambda cur: journal.append(cur, observation(1)))]
        writing.append(database.writer.submit_bulk(lambda cur: journal.append(cur, observation(2))))
        await database.aclose()
        for each in writing:
            with pytest.raises(sqlite.OperationalError, match="locked"):
                await each


async def test_full_disk_is_named_and_over_when_there_is_room(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    room: list[int] = []

    def limit(cursor: Any, pages: int = 0) -> None:
        room.append(cursor.execute("PRAGMA page_count").fetchone()[0])
        cursor.execute(f"PRAGMA max_page_count={pages or room[0]}")

    def both() -> list[asyncio.Future[None]]:
        big = Observation(2, "w", "r", "webhook", "Message", 2, bytes(20_000), None)
        return [database.writer.submit(lambda cur, row=row: journal.append(cur, row)) for row in (observation(1), big)]

    await database.writer.submit(limit)
    outcomes = await asyncio.gather(*both(), return_exceptions=True)
    assert [str(each) for each in outcomes] == ["database or disk is full"] * 2
    assert journal.pending(database.reader, "w", "r") == []

    await database.writer.submit(lambda cur: limit(cur, 1_000_000))
    await asyncio.gather(*both())
    assert [each.id for each in journal.pending(database.reader, "w", "r")] == [1, 2]
    await database.aclose()


async def test_lazy_units_are_written_soon_and_at_close(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    await database.writer.submit_lazily(lambda cur: journal.append(cur, observation(1)))
    pending = database.writer.submit_lazily(lambda cur: journal.append(cur, observation(2)))
    await database.aclose()
    await pending
    with sqlite.connect(tmp_path / "a.db") as reader:
        assert reader.execute("SELECT count(*) FROM observations").fetchone() == (2,)


async def test_observation_of_a_known_key_is_not_written_twice(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    written: list[bool] = []
    for n in (1, 2):
        await database.writer.submit(lambda cur, n=n: written.append(journal.append(cur, observation(n, "key"))))

    assert written == [True, False]
    await database.aclose()


async def test_conversation_saved_over_a_newer_one_is_refused(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")

    def save(version: int) -> Any:
        return lambda cur: conversations.save(cur, 1, "w", "r", version, closed=False, state=b"{}", at=1)

    await database.writer.submit(save(0))
    await database.writer.submit(save(1))
    with pytest.raises(ConcurrentUpdate):
        await database.writer.submit(save(1))
    await database.aclose()


async def test_stream_gives_its_lowest_row_and_settling_is_final(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    write = database.writer.submit
    for row in (delivery(1), delivery(2), delivery(3, "other"), delivery(4, epoch=None)):
        await write(lambda cur, row=row: outbox.enqueue(cur, row))
    first = outbox.next_due(database.reader, 1, "hub")
    assert first and first.id == 1
    await write(lambda cur: outbox.settle(cur, 1, DONE, "", 1, 5))
    await write(lambda cur: outbox.settle(cur, 1, BURIED, "late", 2, 6))
    await write(lambda cur: outbox.refuse_older(cur, 1, 2, 7))
    left = outbox.next_due(database.reader, 1, "hub")
    assert left and left.id == 4
    # It was under way when control changed, and arrived.
    await write(lambda cur: outbox.settle(cur, 2, DONE, "", 1, 8))
    states = database.reader.execute("SELECT id, state, code FROM deliveries ORDER BY id").fetchall()

    assert states == [(1, 1, ""), (2, 1, "overlap"), (3, 2, "control-changed"), (4, 0, "")]
    await database.aclose()


async def test_sessions_for_which_something_waits_are_followed_first(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")

    def rows(cursor: Any) -> None:
        for n in (1, 2, 3):
            sessions.put(cursor, sessions.SessionRow(n, "desk", f"state {n}", "me", 0, n))
        for n, conversation, stream in ((1, 3, "connection:desk"), (2, 2, "connection:other"), (3, 1, "hub")):
            outbox.enqueue(cursor, msgspec.structs.replace(delivery(n, stream), conversation_id=conversation))
        sessions.renew(cursor, "me", 77)

    await database.writer.submit(rows)
    assert [each.conversation_id for each in sessions.all_open(database.reader)] == [3, 1, 2]
    # The hold of all of them is one row; theirs are not written for it.
    assert {each.held_until for each in sessions.all_open(database.reader)} == {0}
    await database.aclose()


def test_migrated_schema_is_the_schema_of_the_tables(tmp_path: Path) -> None:
    assert {findings.findings.name, sessions.desk_sessions.name, routing.routed_work.name} <= set(metadata.tables)
    migrate(tmp_path / "migrated.db")
    fresh = create_engine("sqlite://", module=sqlite, creator=lambda: connect(tmp_path / "fresh.db"))
    metadata.create_all(fresh)
    fresh.dispose()

    def shape(name: str) -> dict[str, Any]:
        with sqlite.connect(tmp_path / name) as reader:
            tables = [row[0] for row in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                table: (
                    [row[1:4] for row in reader.execute(f"PRAGMA table_info({table})")],
                    sorted(
                        (row[1].split("_autoindex_")[0], row[2], row[4])
                        for row in reader.execute(f"PRAGMA index_list({table})")
                    ),
                )
                for table in tables
                if table != "alembic_version"
            }

    assert shape("migrated.db") == shape("fresh.db")


async def test_reader_cannot_write(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(sqlite.OperationalError, match="readonly"):
        database.reader.execute("DELETE FROM observations")
    assert database.reader.execute("PRAGMA synchronous").fetchone() == (2,)
    await database.aclose()


def test_other_databases_are_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="PostgreSQL comes"):
        database_path("postgresql://x")


async def test_session_that_is_over_does_not_write_over_the_next_one(tmp_path: Path) -> None:
    """What is still under way of it, such as that the visitor types, ends when there is another one already."""
    database = await open_database(f"sqlite:///{tmp_path}/a.db")
    try:
        row = sessions.SessionRow(1, "desk", "keys of the second", "us", 0, opened_at=20)
        await database.writer.submit(lambda cur: sessions.put(cur, row))
        for opened_at, state in ((10, "keys of the first"), (20, "more of the second")):
            await database.writer.submit(
                lambda cur, at=opened_at, state=state: sessions.save_state(cur, 1, "desk", at, state)
            )
            found = sessions.load(database.reader, 1, "desk")
            assert found is not None and found.state == ("keys of the second" if opened_at == 10 else state)
    finally:
        await database.aclose()
