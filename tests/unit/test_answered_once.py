"""A request that is stored in the very moment in which it is given up has one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from omnibridge.engine.counters import Counters
from omnibridge.storage.journal import Observation
from omnibridge.web.webhooks import Once, commit, send_ok

ROW = Observation(1, "main", "r", "webhook", "room", 1, b"{}")


class Lanes:
    def __init__(self, at_its_end: Callable[[], None]) -> None:
        self.at_its_end = at_its_end

    async def take_in(self, row: Observation) -> None:
        """The limit passes in the same step of the loop in which it is stored."""
        self.at_its_end()


async def test_limit_and_end_in_one_moment() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    answer = Once(send, Counters())
    await commit(Lanes(answer.give_up), ROW, 60.0, answer)  # type: ignore[arg-type]
    if not answer.is_given:
        await send_ok(send)
    for _ in range(5):
        await asyncio.sleep(0)

    assert [each["status"] for each in sent if "status" in each] == [200]
