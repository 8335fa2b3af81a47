"""Purging and compacting on a real database: what is old and settled goes, all else stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omnibridge.clock import FixedClock
from omnibridge.engine.counters import Counters
from omnibridge.engine.retention import CHUNK_S, DAY_MS, LARGEST, SMALLEST, Retention, Terms, next_limit
from omnibridge.storage import api_tokens, conversations, directory, journal, outbox, seats
from omnibridge.storage.database import Database, open_database
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.tables import HANDLED, PENDING, QUARANTINED

NOW = 1_800_000_000_000
OLD, FRESH = NOW - 40 * DAY_MS, NOW - DAY_MS


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = await open_database(f"sqlite:///{tmp_path / 'r.db'}")
    yield found
    await found.aclose()


def observation(at: int, n: int = 0, kind: str = "Message", body: bytes = b"{}") -> Observation:
    return Observation((at << 20) + n, "w", "r", "webhook", kind, at, body)


def delivery(at: int, n: int, conversation: int) -> Delivery:
    return Delivery((at << 20) + n, conversation, 0, "hub", "SendToVisitor", "", 1, None, b"{}", 0, 0, "b", 0, at, at)


def event(cursor: Any, at: int, n: int, conversation: int, key: str = "") -> None:
    journal.append_event(cursor, (at << 20) + n, conversation, 0, key, "MessagePosted", b"{}", at, "", "", "", b"{}")


def retention(database: Database, **terms: float) -> Retention:
    return Retention(database, FixedClock(NOW), Counters(), Terms(**terms), every_s=1)


def count(database: Database, table: str) -> int:
    return int(database.reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - fixed names


async def test_old_observations_go_unless_they_wait_or_cannot_be_read(database: Database) -> None:
    def write(cursor: Any) -> None:
        for n in range(3000):
            journal.append(cursor, observation(OLD, n), HANDLED)
        journal.append(cursor, observation(OLD, 9001), PENDING)
        journal.append(cursor, observation(OLD, 9002), QUARANTINED)
        journal.append(cursor, observation(FRESH, 1), HANDLED)

    await database.writer.submit(write)
    purged = await retention(database, observations_days=30).run()

    assert purged["observations"] == 3000
    kept = database.reader.execute("SELECT id FROM observations ORDER BY id").fetchall()
    assert [row[0] for row in kept] == [(OLD << 20) + 9001, (OLD << 20) + 9002, (FRESH << 20) + 1]


async def test_settled_deliveries_go_and_due_ones_stay(database: Database) -> None:
    def write(cursor: Any) -> None:
        for n in range(4):
            outbox.enqueue(cursor, delivery(OLD, n, 7))
        for n, state in enumerate((outbox.DONE, outbox.REFUSED, outbox.BURIED)):
            outbox.settle(cursor, (OLD << 20) + n, state, "x", 1, OLD)

    await database.writer.submit(write)
    purged = await retention(database, deliveries_days=30).run()

    assert purged["deliveries"] == 3
    assert database.reader.execute("SELECT id, state FROM deliveries").fetchall() == [((OLD << 20) + 3, outbox.DUE)]


async def test_closed_conversations_go_whole_and_open_ones_stay_whole(database: Database) -> None:
    closed, open_ = OLD << 20, (OLD << 20) + 1

    def write(cursor: Any) -> None:
        for identity, is_closed in ((closed, True), (open_, False)):
            room = f"r{identity}"
            conversations.save(cursor, identity, "w", room, 0, closed=is_closed, state=b"{}", at=OLD)
            for n in range(700):
                event(cursor, OLD, 10 + identity % 2 * 1000 + n, identity)

    await database.writer.submit(write)
    purged = await retention(database, conversations_days=30).run()

    assert purged["conversations"] == 701
    assert count(database, "events") == 700
    assert [row[0] for row in database.reader.execute("SELECT id FROM conversations")] == [open_]


async def test_audits_go_and_what_an_admin_decided_stays(database: Database) -> None:
    def write(cursor: Any) -> None:
        for n, at in ((0, OLD), (1, OLD), (0, FRESH)):
            api_tokens.audit(cursor, (at << 20) + n, at, "t1", "assign", "w", "r", 202, "")
            directory.note(cursor, at, ("w", "crm", f"a{n}"), "made")
            seats.ask_approval(cursor, ("w", "crm", f"waits {at} {n}"), "room r", at)
        for state in ("approved", "refused"):
            seats.decide(cursor, ("w", "crm", state), state, "root", OLD)

    await database.writer.submit(write)
    purged = await retention(database, audit_days=30).run()
    left = database.reader.execute("SELECT external_id FROM approvals ORDER BY external_id").fetchall()

    assert {each: purged[each] for each in ("api_audit", "agent_audit", "approvals")} == {
        "api_audit": 2,
        "agent_audit": 2,
        "approvals": 2,
    }
    assert database.reader.execute("SELECT at FROM api_audit").fetchall() == [(FRESH,)]
    assert database.reader.execute("SELECT at FROM agent_audit").fetchall() == [(FRESH,)]
    assert [row[0] for row in left] == ["approved", "refused", f"waits {FRESH} 0"]


async def test_a_long_audit_goes_in_chunks(database: Database) -> None:
    def write(cursor: Any) -> None:
        for n in range(3000):
            directory.note(cursor, OLD + n, ("w", "crm", "a"), "made")
        directory.note(cursor, FRESH, ("w", "crm", "a"), "made")

    await database.writer.submit(write)
    purged = await retention(database, audit_days=30).run()

    assert (purged["agent_audit"], count(database, "agent_audit")) == (3000, 1)


async def test_nothing_goes_when_kept_for_ever(database: Database) -> None:
    def write(cursor: Any) -> None:
        journal.append(cursor, observation(OLD), HANDLED)
        directory.note(cursor, OLD, ("w", "crm", "a"), "made")
        seats.ask_approval(cursor, ("w", "crm", "a"), "room r", OLD)

    await database.writer.submit(write)
    for_ever = {f"{each}_days": 0 for each in ("observations", "deliveries", "conversations", "audit")}
    purged = await retention(database, **for_ever).run()

    assert not any(purged.values())
    assert [count(database, each) for each in ("observations", "agent_audit", "approvals")] == [1, 1, 1]


def test_chunks_follow_what_they_take() -> None:
    assert next_limit(100, CHUNK_S) == 100
    assert next_limit(100, CHUNK_S * 100) == 25
    assert next_limit(100, CHUNK_S / 100) == 200
    assert (next_limit(SMALLEST, 1.0), next_limit(LARGEST, 1e-9)) == (SMALLEST, LARGEST)


async def test_bulk_work_gets_its_turn_under_load(database: Database) -> None:
    """Hot units never stop coming; a bulk unit is done all the same."""
    hot = [0]

    def write(cursor: Any) -> None:
        hot[0] += 1
        database.writer._loop.call_soon_threadsafe(again)

    def again() -> None:
        if not bulk.done():
            database.writer.submit(write)

    bulk = database.writer.submit_bulk(lambda cursor: None)
    for _ in range(4):
        database.writer.submit(write)
    await bulk

    assert hot[0] >= 4
