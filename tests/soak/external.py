"""The External routing method under load: chats in five departments, two at a time in the same millisecond.

`python -m tests.soak.external --chats 1000 --seconds 60`: starts hub, router and bridge in this process over real
sockets, plays, and compares the router's ledger with the hub's: as many decisions as chats, and each room served by
the agent that was decided for it. Then `omnibridge replay --all`. Exit 1 when anything differs, when no two chats began
in the same millisecond, or when the hub's worker never asked again.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnibridge.sandbox.visitor import Visitor

if TYPE_CHECKING:
    from tests.integration.assignment.conftest import Decided

DEPARTMENTS = ("sales", "support", "billing", "returns", "press")
AGENTS = {f"00{n:02}": f"agent{n:02}" for n in range(20)}
"""External id -> user name: four for each department."""


HELD = {"holding"}
"""What each of the ten questions of a burst must be answered with."""


@dataclass
class Result:
    """bursts: of ten questions each. held_meanwhile: rooms that the worker gave to the holding bot while it was being
    decided. same_ms: pairs of one department that the hub opened in the same millisecond. wrong: rooms that are not
    served by whom was decided, and bursts that were not answered alike, in words."""

    chats: int
    decisions: int = 0
    queued_first: int = 0
    bursts: int = 0
    bursts_of_worker: int = 0
    held_meanwhile: int = 0
    same_ms: int = 0
    took_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


async def play(world: Decided, *, chats: int, seconds: float, worker_ms: int = 5_000, router_ms: int = 300) -> Result:
    """Open pairs of chats evenly over the time; every second pair is queued first. router_ms: how long the router
    thinks, so that the queue worker finds some of them waiting."""
    hub, result = world.sandbox.hub, Result(chats)
    departments = {each.name: each.id for each in hub.departments.values()}
    world.router.agents = {
        departments[name]: list(AGENTS)[4 * at : 4 * at + 4] for at, name in enumerate(DEPARTMENTS)
    } | {"": list(AGENTS)}
    external = world.sandbox.life.external
    external.worker_ms, world.router.delay_ms = worker_ms, router_ms
    began, visitors = time.monotonic(), [Visitor(world.hub, f"V{n}") for n in range(chats)]
    for each, at in zip(visitors, range(chats), strict=True):
        await each.register(department=departments[DEPARTMENTS[(at // 2) % 5]])
    tasks: list[asyncio.Task[Any]] = []
    for pair in range(0, chats, 2):
        await asyncio.sleep(max(0.0, began + seconds * pair / chats - time.monotonic()))
        external.asks_at_start = pair % 4 == 0  # the others wait for the worker
        opened = [asyncio.create_task(_open(world, each)) for each in visitors[pair : pair + 2]]
        tasks += opened
        await asyncio.sleep(0)
        if not external.asks_at_start:
            await asyncio.gather(*opened)
    await asyncio.gather(*tasks)
    async with asyncio.timeout(30 + seconds):
        while any(room.served_by is None or room.served_by.username == "holding" for room in hub.rooms.values()):
            await asyncio.sleep(0.05)
    await world.quiet()
    result.took_s = time.monotonic() - began
    _compare(world, result)
    opened_at = [hub.rooms[each.rid].ts for each in visitors]
    result.same_ms = sum(one == other for one, other in zip(opened_at[::2], opened_at[1::2], strict=False))
    return result


async def _open(world: Decided, visitor: Visitor) -> None:
    room = await world.hub.call("GET", "/api/v1/livechat/room", token=visitor.token)
    visitor.rid = room["room"]["_id"]


def _compare(world: Decided, result: Result) -> None:
    """The router's own ledger against the hub's own rooms."""
    decided: dict[str, list[str]] = {}
    for each in world.router.decisions:
        decided.setdefault(each["conversation"], []).append(AGENTS[each["external_id"]])
    result.decisions = len(world.router.decisions)
    bursts = world.sandbox.life.external.ledger
    result.bursts, result.bursts_of_worker = len(bursts), sum(each["by"] == "worker" for each in bursts)
    result.wrong += [f"a burst was answered with {each['answers']}" for each in bursts if set(each["answers"]) != HELD]
    for room in world.sandbox.hub.rooms.values():
        served = room.served_by.username if room.served_by else "nobody"
        if decided.get(room.id) != [served]:
            result.wrong.append(f"{room.id}: decided {decided.get(room.id)}, served by {served}")
        befell = [(each["what"], each["who"]) for each in room.log]
        result.queued_first += ("queued", "") in befell
        result.held_meanwhile += ("queued", "") in befell and ("assigned", "holding") in befell
    if len(world.sandbox.hub.rooms) != result.chats:
        result.wrong.append(f"{len(world.sandbox.hub.rooms)} rooms for {result.chats} chats")


async def _main(chats: int, seconds: float, folder: Path) -> int:
    from tests.integration.assignment.conftest import world_of

    departments = {each: ["alice", "holding"] for each in DEPARTMENTS}
    async with world_of(folder, external=True, agents=AGENTS, departments=departments) as world:
        result = await play(world, chats=chats, seconds=seconds)
        print(
            f"chats {result.chats}, decisions {result.decisions}, decisions / chats "
            f"{result.decisions / result.chats:.3f}, rooms served otherwise {len(result.wrong)}, queued first "
            f"{result.queued_first}, bursts of ten {result.bursts}, of the worker {result.bursts_of_worker}, held "
            f"by it while being decided {result.held_meanwhile}, pairs in the same ms {result.same_ms}, "
            f"took {result.took_s:.1f} s"
        )
        for line in result.wrong[:20]:
            print(f"  {line}")
    command = [sys.executable, "-m", "omnibridge", "replay", "--all", "--config", str(folder / "omnibridge.toml")]
    replayed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    print(f"replay --all: exit {replayed.returncode}: {replayed.stdout.strip()}")
    proves = result.same_ms > 0 and result.bursts_of_worker > 0  # else the run was too gentle to show anything
    clean = not result.wrong and result.decisions == result.chats and replayed.returncode == 0
    return 0 if proves and clean else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        sys.exit(asyncio.run(_main(given.chats, given.seconds, Path(where))))
