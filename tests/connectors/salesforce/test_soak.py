"""The crash test in small; the large one is `make soak ARGS="--scenario salesforce --kills 100 --visitors 500"`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.desk_verdict import WRONG
from tests.soak.salesforce import SIDES, DeskSoak


@pytest.mark.parametrize("protocol", SIDES)
async def test_killed_and_stopped_process_loses_doubles_and_swaps_nothing(tmp_path: Path, protocol: str) -> None:
    side = SIDES[protocol](7)
    soak = DeskSoak(side, tmp_path, kills=2, seed=7, visitors=16, stop_s=0.5, life_s=(2.0, 5.0), gap_s=(0.3, 1.0))
    result = await soak.run()

    assert [result[each] for each in WRONG] == [0] * len(WRONG), result
    assert (result["kills"], result["stops"], result["waited_in_vain"]) == (2, 1, 0)
    assert result["messages"] == result["echoes_told"] > 50
    assert result.get("streams", result["conversations"] + 1) > result["conversations"] > 16
    assert sum(result["vendor_faults"].values()) > 5
