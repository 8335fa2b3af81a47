"""A small run of `make bench-chats`, so that it works when it is wanted; and what a chat held is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.chats import PROTOCOLS, Bench

CHATS = 50
SPARE = 25
"""Connections to the hub and of it, which come and go, and their tasks."""


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await holds():
            await asyncio.sleep(0.1)


async def _play(folder: Path, protocol: str) -> dict[str, float]:
    folder.mkdir()
    return await Bench(folder, protocol, CHATS, 0.2, is_tls=protocol == "messaging").measure(_close)


async def _close(bench: Bench) -> None:
    files, tasks = bench.at_start
    assert await bench.gauge("sessions_followed") == CHATS
    assert bench.process.files() > files + SPARE and await bench.gauge("tasks") >= tasks + CHATS

    await asyncio.gather(*(each.close() for each in bench.visitors))
    await bench.org_says(lambda told: told["chats"] == told["followed"] == 0, "all are over")
    await bench.quiet()
    assert await bench.gauge("sessions_followed") == 0

    async def given_back() -> bool:
        return bench.process.files() <= files + SPARE and await bench.gauge("tasks") <= tasks + SPARE

    await eventually(given_back)


async def test_chats_that_are_over_leave_nothing_behind(tmp_path: Path) -> None:
    """Sessions, tasks and files of the bridge go back to where they were before the first chat."""
    results = await asyncio.gather(*(_play(tmp_path / each, each) for each in PROTOCOLS))

    for each in results:
        assert each["kb_per_chat"] > 0 and each["files_per_chat"] > 0.5
