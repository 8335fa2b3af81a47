"""A small run of `make bench-agents`, so that it works when it is wanted. No figure is judged here."""

from __future__ import annotations

from pathlib import Path

from tests.bench.agents import BUDGETS, measure


async def test_agents_are_imported_while_webhooks_are_answered(tmp_path: Path) -> None:
    result = await measure(tmp_path, agents=2_500, per_second=100, alone_s=0.2)

    assert result["refused"] == 0
    assert set(BUDGETS) <= set(result)
    assert result["import_s_again"] > 0 and result["webhooks_per_s_during_import"] > 10
