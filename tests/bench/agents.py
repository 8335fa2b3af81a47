"""`make bench-agents`: a directory of 100,000 agents, imported as the operator does it while webhooks come.

`omnibridge serve` and `omnibridge agents import` are processes of their own. Webhooks are posted over HTTP at a steady
rate, and each acknowledgement is timed from the moment at which it was due, so that one that had to wait for the one
before it counts as slow. Bot and hub answer, so each webhook is relayed as well. Exit 1 when a budget is not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import uvloop

from omnibridge.storage import directory
from omnibridge.storage.database import connect
from tests.bench.outside import Caller, Outside, webhook
from tests.bench.relay import Target
from tests.command_line import environment

BUDGETS = {"lookup_ms_p50": 1.0, "import_s": 30.0, "ack_ms_p99_during_import": 50.0}
"""Figures must stay below."""

LANES = 64
"""Connections, and conversations."""


class Poster:
    """Visitors who write at a steady rate, whatever becomes of it. acks: ms."""

    def __init__(self, outside: Outside, target: Target, per_second: float) -> None:
        self._target, self._pause_s = target, LANES / per_second
        self.acks: list[float] = []
        self.refused = 0
        self._callers: list[Caller] = []
        self._texts = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for lane in range(LANES):
            _, caller = await loop.create_connection(Caller, "127.0.0.1", self._target.port)
            self.refused += await caller.post(webhook("LivechatSessionTaken", f"lane{lane:03}")) != 200
            self._callers.append(caller)

    async def post(self, until: asyncio.Event) -> list[float]:
        """The acknowledgements until then, in ms."""
        self.acks = []
        began = time.perf_counter()
        await asyncio.gather(*(self._lane(n, caller, began, until) for n, caller in enumerate(self._callers)))
        return self.acks

    async def _lane(self, lane: int, caller: Caller, began: float, until: asyncio.Event) -> None:
        due = began + lane * self._pause_s / LANES
        while not until.is_set():
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._texts += 1
            status = await caller.post(webhook("Message", f"lane{lane:03}", f"lane{lane:03}-{self._texts:07}"))
            self.acks.append((time.perf_counter() - due) * 1000)
            self.refused += status != 200
            due += self._pause_s

    def stop(self) -> None:
        for each in self._callers:
            each.close()


def write_file(file: Path, n: int) -> None:
    """A CSV of so many agents, as a CRM exports them."""
    with file.open("w", encoding="utf-8") as out:
        out.write("system,external_id,name,avatar_url,language,departments\n")
        out.writelines(
            f"crm,0055g{each:012d},Agent {each},https://crm.example/faces/{each}.png,de,sales;support\n"
            for each in range(n)
        )


async def import_file(config: Path, file: Path) -> float:
    """As the operator runs it. Seconds."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", "agents", "import", str(file), "--config", str(config), "--json",
        env=environment(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    told = json.loads(out)
    if process.returncode != 0 or not told["written"]:
        raise RuntimeError(f"the import ended with {process.returncode}: {told}")
    return time.perf_counter() - began


def lookups(database: Path, n: int) -> list[float]:
    """ms each, over the whole directory, through a connection as the service has."""
    reader = connect(database)
    found = []
    try:
        for each in range(0, n, max(1, n // 2000)):
            began = time.perf_counter()
            row = directory.find(reader, "bench", "crm", f"0055g{each:012d}")
            found.append((time.perf_counter() - began) * 1000)
            if row is None or row.name != f"Agent {each}":
                raise RuntimeError(f"agent {each} is not in the directory")
    finally:
        reader.close()
    return found


def _p(percent: float, values: Iterable[float]) -> float:
    found = sorted(values)
    return found[min(len(found) - 1, int(len(found) * percent / 100))]


async def measure(folder: Path, agents: int, per_second: float, alone_s: float) -> dict[str, float]:
    outside = Outside()
    await outside.start()
    target = Target("bridge", outside, folder)
    poster = Poster(outside, target, per_second)
    result: dict[str, float] = {"agents": agents, "webhooks_per_s": per_second}
    write_file(folder / "agents.csv", agents)
    try:
        await target.start()
        await poster.start()
        for name in ("first", "second"):  # into an empty directory, then the same people under other names
            over = asyncio.Event()
            asyncio.get_running_loop().call_later(alone_s, over.set)
            alone = await poster.post(over)
            result["ack_ms_p99_alone" if name == "first" else "ack_ms_p99_alone_after"] = _p(99, alone)
            over = asyncio.Event()
            posting = asyncio.create_task(poster.post(over))
            began = time.perf_counter()
            took = await import_file(folder / "bridge.toml", folder / "agents.csv")
            over.set()
            acks = await posting
            rate = len(acks) / (time.perf_counter() - began)
            suffix = "" if name == "first" else "_again"
            result |= {
                f"import_s{suffix}": took,
                f"ack_ms_p50_during_import{suffix}": _p(50, acks),
                f"ack_ms_p99_during_import{suffix}": _p(99, acks),
                f"ack_ms_longest_during_import{suffix}": max(acks),
                f"webhooks_per_s_during_import{suffix}": rate,
            }
            text = (folder / "agents.csv").read_text("utf-8")
            (folder / "agents.csv").write_text(text.replace(",Agent ", ",Colleague "), "utf-8")
            if name == "first":
                result["lookup_ms_p50"] = statistics.median(lookups(folder / "bench.db", agents))
    finally:
        poster.stop()
        await target.stop()
        await outside.stop()
    result["refused"] = poster.refused
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-agents ARGS=…", description=__doc__)
    parser.add_argument("--agents", type=int, default=100_000)
    parser.add_argument("--per-second", type=float, default=500.0, help="webhooks")
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="omnibridge-bench-") as folder:
        result = uvloop.run(measure(Path(folder), wish.agents, wish.per_second, 4.0))
    over = [name for name, most in BUDGETS.items() if result[name] >= most] + (["refused"] if result["refused"] else [])
    over += [f"{name}_again" for name, most in BUDGETS.items() if result.get(f"{name}_again", 0.0) >= most]
    if wish.json:
        print(json.dumps({**result, "over": over}))
    else:
        for name, value in result.items():
            print(f"{name:36} {value:10.3f}{'   OVER' if name in over else ''}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
