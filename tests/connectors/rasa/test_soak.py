"""The crash test in small: each fault point once, real processes. The large one is `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.engine.faults import POINTS
from tests.soak.__main__ import Soak
from tests.soak.controls import run_without


async def test_kill_at_every_point_loses_nothing(tmp_path: Path) -> None:
    result = await Soak(len(POINTS), 5, 8, "8.3", "rasa", tmp_path).run()

    assert {point: result["kills_by_point"][point] for point in POINTS} == dict.fromkeys(POINTS, 1), result
    assert (result["lost"], result["doubled"], result["out_of_order"]) == (0, 0, 0), result
    assert result["echoes"] == 0
    assert result["messages"] > 100
    assert result["duplicates_sent"] > 0.04 * result["messages"]
    assert result["reordered_sent"] > 0.04 * result["messages"]


@pytest.mark.parametrize("guard", ["dedupe", "stream-order"])
async def test_crash_test_sees_a_guard_that_is_off(tmp_path: Path, guard: str) -> None:
    """All five are `make soak-controls`. What it is to see happens by chance, seldom in none of so short runs."""
    found = 0
    for seed in (7, 8, 9):
        if not found:
            found = (await run_without(guard, "rasa", tmp_path / str(seed), kills=2, seed=seed))["found"]

    assert found > 0
