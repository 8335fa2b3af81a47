"""A small run of `python -m tests.bench.size`, so that it works when it is wanted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omnibridge.engine.retention import Terms
from omnibridge.storage.database import migrate
from tests.bench.size import PER_CONVERSATION, Filler, retain, sizes


def test_database_grows_with_messages_and_shrinks_with_age(tmp_path: Path) -> None:
    path = tmp_path / "size.db"
    migrate(path)
    filler = Filler(path)
    filler.fill(40 * PER_CONVERSATION)
    full = sizes(path)
    filler.clock.advance(7_200_000)
    asyncio.run(retain(path, filler.clock, Terms(0.01, 0.01, 0)))
    rest = sizes(path)

    assert full["observations_rows"] == 40 * (PER_CONVERSATION + 2)
    assert full["deliveries_rows"] >= 2 * 40 * PER_CONVERSATION
    assert 2_000 < full["used_mb"] * 1e6 / (40 * PER_CONVERSATION) < 8_000
    assert (rest["observations_rows"], rest["deliveries_rows"]) == (0, 0)
    assert rest["used_mb"] < full["used_mb"]
