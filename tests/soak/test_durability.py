"""What was acknowledged is on the disk, on one that forgets what was not synced; and the test can tell."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from pathlib import Path

from omnibridge.storage.database import connect, migrate


async def acknowledged_until_killed(path: Path, synchronous: str, at_least: int) -> set[int]:
    """Numbers that the process had acknowledged when it was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.soak.unsynced", str(path), synchronous, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    found: set[int] = set()
    async with asyncio.timeout(30):
        while len(found) < at_least:
            found.add(int(await process.stdout.readline()))
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    # The last line may have been cut in the middle.
    return found | {int(each) for each in rest.decode().splitlines(keepends=True) if each.endswith("\n")}


def present(path: Path) -> set[int]:
    """Opened by the service's own SQLite, which recovers the log."""
    with contextlib.closing(connect(path)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return {row[0] for row in reader.execute("SELECT id FROM observations")}


async def lost_over(tmp_path: Path, synchronous: str, kills: int) -> tuple[int, int]:
    """(acknowledged, acknowledged but absent) over some power cuts, each on a database of its own."""
    chance = random.Random(3)
    total = absent = 0
    for n in range(kills):
        path = tmp_path / f"{synchronous}-{n}.db"
        await asyncio.to_thread(migrate, path)
        told = await acknowledged_until_killed(path, synchronous, chance.randint(20, 400))
        total += len(told)
        absent += len(told - present(path))
    return total, absent


async def test_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    total, absent = await lost_over(tmp_path, "FULL", 12)

    assert total > 1000
    assert absent == 0


async def test_without_syncs_the_power_cut_is_seen(tmp_path: Path) -> None:
    """The negative control: if this passed with OFF, the test above would prove nothing."""
    _, absent = await lost_over(tmp_path, "OFF", 2)

    assert absent > 0
