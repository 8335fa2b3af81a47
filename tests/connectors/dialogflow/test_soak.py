"""The crash test in small: killed while the agent works on a turn. Large: `make soak ARGS="--kind dialogflow"`."""

from __future__ import annotations

from pathlib import Path

from tests.soak.__main__ import Soak


async def test_kill_loses_and_doubles_nothing_though_the_agent_cannot_tell_its_answer(tmp_path: Path) -> None:
    result = await Soak(1, 5, 4, "8.3", "dialogflow", tmp_path, troubles=False, points=POINTS).run()

    assert result["kills_by_point"] == {**dict.fromkeys(result["kills_by_point"], 0), **dict.fromkeys(POINTS, 1)}
    assert (result["lost"], result["doubled"], result["out_of_order"]) == (0, 0, 0), result
    assert (result["unsettled"], result["echoes"], result["details"]) == (0, 0, [])
    assert result["messages"] > 10


POINTS = ("sent_to_response",)
