"""External decisions and `kill -9` in the small form; and that the verdict sees what is wrong."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.soak.decisions import Soak, is_clean
from tests.soak.verdict_of_decisions import judge

POINTS = ("response_to_settle/AskDecider", "decision_to_answer", "response_to_settle/AssignAgent")
AGENTS = {"0055": "ann", "0066": "ben"}
ANSWER = {"id": "1", "conversation": "r2", "status": "accepted"}


async def test_each_room_is_served_as_decided_though_the_process_dies_between_its_steps(tmp_path: Path) -> None:
    result = await Soak(len(POINTS), 1, 4, tmp_path, POINTS).run()

    assert is_clean(result, len(POINTS)), result
    assert result["decisions / chats"] == "1.000"
    assert set(result["kills_by_point"]) == set(POINTS)
    assert result["ways"]["asked"] and result["ways"]["pushed"]  # how many of each other way is left to chance


def room(identity: str, *given: str) -> Any:
    """given: user names, in the order in which the hub gave it to them."""
    server = SimpleNamespace(username=given[-1]) if given else None
    return SimpleNamespace(id=identity, served_by=server, log=[{"what": "assigned", "who": each} for each in given])


def decided(conversation: str, external_id: str) -> dict[str, Any]:
    return {"conversation": conversation, "external_id": external_id, "ticket": ""}


@pytest.mark.parametrize(
    ("rooms", "decisions", "answers", "effects", "word"),
    [
        ([room("r1", "holding", "ann")], [decided("r1", "0055")], [], {}, ""),
        ([room("r1", "ben")], [decided("r1", "0055")], [], {}, "served by ben"),
        ([room("r1")], [decided("r1", "0055")], [], {}, "served by nobody"),
        ([room("r1", "ben", "ann")], [decided("r1", "0055")], [], {}, "given to"),
        ([room("r1", "ann")], [decided("r1", "0055")] * 2, [], {}, "decided ['ann', 'ann']"),
        ([room("r1", "ann")], [], [], {}, "decided []"),
        ([room("r2", "ben")], [], [ANSWER, ANSWER], {"r2": 1}, ""),
        ([room("r2", "ben")], [], [ANSWER, ANSWER], {"r2": 2}, "2 effects"),
        ([room("r2", "ben")], [], [ANSWER, {**ANSWER, "id": "2"}], {"r2": 1}, "one key"),
        ([room("r2", "ben")], [], ["503 for 60 s"], {"r2": 1}, "one key"),
        ([room("r2", "ben")], [decided("r2", "0066")], [ANSWER], {"r2": 1}, "pushed and asked"),
        ([room("r2", "ben")], [], [ANSWER], {"r2": 1, "r9": 1}, "nobody made"),
    ],
)
def test_verdict(rooms: list[Any], decisions: Any, answers: list[Any], effects: dict[str, int], word: str) -> None:
    pushed = {"r2": ("key", "0066", answers)} if answers else {}
    wrong = judge(rooms, decisions, pushed, effects, AGENTS)["wrong"]

    assert bool(wrong) == bool(word)
    assert word in " ".join(wrong)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (["ann"], ""),
        (["ben", "ann"], ""),
        (["ben"], "served by ben"),
        (["ben", "ann", "ann"], "given to"),
        (["ben", "ann", "ben", "ann"], "given to"),
    ],
)
def test_verdict_where_the_hub_chose_first(given: list[str], word: str) -> None:
    wrong = judge([room("r1", *given)], [decided("r1", "0055")], {}, {}, AGENTS, hub_chooses=True)["wrong"]

    assert bool(wrong) == bool(word)
    assert word in " ".join(wrong)
