"""A small run of `make crm-closes`, and that its verdict can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.soak.closes import FAULTS, Closes, problems

NOT_SO_SMALL = "REQUEST_LIMIT_EXCEEDED"
"""After it nobody asks for a minute: only in the large run."""


async def test_closes_at_once_are_written_once_by_a_bridge_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts: list[dict[str, Any]] = []
    judge = Closes._judge

    def judged_again(self: Closes, sandbox: Any) -> dict[str, Any]:
        """As it is, then with an org that has one record too many and one word too few."""
        found = judge(self, sandbox)
        cases, tasks = self.org.org.of("Case"), self.org.org.of("Task")
        task = next(iter(tasks.values()))
        before, cases["x"] = task["Description"], dict(next(iter(cases.values())))
        task["Description"] = before[:-1]
        verdicts.append(judge(self, sandbox))
        task["Description"] = before
        del cases["x"]
        return found

    monkeypatch.setattr(Closes, "_judge", judged_again)
    result = await Closes(15, 1, 1, tmp_path, limit=False).run()

    assert problems(result, tuple(each for each in FAULTS if each not in (NOT_SO_SMALL, "slow"))) == []
    assert result["closes"] == 15 and result["parts"] >= 15
    assert (verdicts[0]["doubled"], verdicts[0]["wrong_text"]) == (2, 1)
