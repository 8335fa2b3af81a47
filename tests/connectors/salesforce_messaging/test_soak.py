"""The crash test in small; the large one is `make soak ARGS="--scenario salesforce --kills 100 --visitors 500"`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.soak.desk_verdict import WRONG, compare
from tests.soak.messaging import MessagingSide
from tests.soak.salesforce import DeskSoak


async def test_killed_and_stopped_process_loses_doubles_and_swaps_nothing(tmp_path: Path) -> None:
    soak = DeskSoak(
        MessagingSide(7), tmp_path, kills=2, seed=7, visitors=16, stop_s=0.5, life_s=(2.0, 5.0), gap_s=(0.3, 1.0)
    )
    result = await soak.run()

    assert [result[each] for each in WRONG] == [0] * len(WRONG), result
    assert (result["kills"], result["stops"], result["waited_in_vain"]) == (2, 1, 0)
    assert result["messages"] == result["echoes_told"] > 50
    assert result["streams"] > result["conversations"] > 16
    assert sum(result["vendor_faults"].values()) > 5


def test_verdict_sees_what_is_lost_doubled_and_swapped() -> None:
    wanted = ["c1-m001", "c1-m002", "c1-m003"]

    def judged(got: list[str]) -> dict[str, int]:
        counts = Counter[str]()
        compare("c1", wanted, got, counts, [])
        return {key: n for key, n in counts.items() if n}

    assert judged(wanted) == {}
    assert judged(wanted[:2]) == {"lost": 1}
    assert judged([*wanted, wanted[0]]) == {"doubled": 1}
    assert judged([wanted[1], wanted[0], wanted[2]]) == {"out_of_order": 1}
    assert judged([*wanted, "c9-m001"]) == {"doubled": 1}
