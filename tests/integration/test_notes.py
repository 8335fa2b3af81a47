"""Notes of connectors in a real database: readable at once, durable with the next commit, purged when old."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.clock import FixedClock
from omnibridge.connector import LONGEST_NOTE
from omnibridge.engine.counters import Counters
from omnibridge.engine.notes import DurableNotes
from omnibridge.engine.retention import Retention, Terms
from omnibridge.storage.database import open_database

DAY_MS = 86_400_000


async def test_note_is_read_at_once_and_after_a_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'notes.db'}"
    database = await open_database(url)
    notes, other = (DurableNotes(database, FixedClock(), name) for name in ("one", "other"))
    notes.put("s1", b"a")
    notes.put("s2", b"b")
    notes.put("s1", b"c")
    other.put("s1", b"of another connection")
    assert notes.get("s1") == b"c"
    with pytest.raises(ValueError, match="at most"):
        notes.put("s1", b"x" * (LONGEST_NOTE + 1))
    await database.writer.submit(lambda cursor: None)  # what was put lazily goes with it
    assert notes.newest(9) == [("s1", b"c"), ("s2", b"b")]
    notes.put("s2", b"")
    assert notes.get("s2") is None
    await database.aclose()

    database = await open_database(url)
    notes = DurableNotes(database, FixedClock(), "one")
    assert (notes.get("s1"), notes.get("s2"), notes.newest(9)) == (b"c", None, [("s1", b"c")])
    await database.aclose()


async def test_old_notes_are_purged_with_the_conversations(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path / 'notes.db'}")
    clock = FixedClock(100 * DAY_MS)
    notes = DurableNotes(database, clock, "one")
    notes.put("old", b"a")
    notes.put("renewed", b"b")
    await database.writer.submit(lambda cursor: None)
    clock.advance(3 * DAY_MS)
    notes.put("renewed", b"c")
    await database.writer.submit(lambda cursor: None)
    retention = Retention(database, clock, Counters(), Terms(conversations_days=2), 3600)

    assert (await retention.run())["notes"] == 1
    assert notes.newest(9) == [("renewed", b"c")]
    await database.aclose()
