"""`make bench [ARGS=--json]`: what the parts of the spine cost. Prints figures, asserts nothing.

Two things are measured so far: `route()` with 100 rules, and the journal's group commit against the raw
SQLite bound in the same run. The relay as a whole against its floor is not measured yet.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from omnibridge.domain.conversation import Control, Conversation
from omnibridge.domain.directory import BotConnection, Directory
from omnibridge.domain.events import MessagePosted
from omnibridge.routing.router import route
from omnibridge.routing.rules import Condition, Rule, RuleSet, Target
from omnibridge.storage import journal
from omnibridge.storage.database import connect, migrate, open_database
from omnibridge.storage.journal import Observation

ROWS, PRODUCERS = 20_000, 100


def route_us() -> float:
    """Median of a visitor message that 100 message rules are looked at for and none matches."""
    rules = RuleSet(
        tuple(
            Rule(f"r{n}", "message", (Condition("text", "contains", f"word {n}"),), Target("queue")) for n in range(100)
        )
    )
    directory = Directory((BotConnection("b", "w", "u", "bot"),))
    state = Conversation("w", "r", True, control=Control("connection:b", 1))
    event = MessagePosted("m", "visitor", "v", "where is my order", 1)
    times = []
    for _ in range(2_000):
        began = time.perf_counter()
        route(state, event, rules, directory, 1)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def row(n: int) -> Observation:
    return Observation(n, "w", f"r{n % 200}", "webhook", "Message", n, b"x" * 1000)


def raw_cpu_us(path: Path) -> float:
    """Bound: the same rows in raw batches of 100, nothing around them."""
    migrate(path)
    connection = connect(path)
    began = time.process_time()
    for start in range(0, ROWS, 100):
        connection.execute("BEGIN IMMEDIATE")
        for n in range(start + 1, start + 101):
            journal.append(connection.cursor(), row(n))
        connection.execute("COMMIT")
    connection.close()
    return (time.process_time() - began) / ROWS * 1e6


async def grouped(path: Path) -> tuple[float, float, float]:
    """(CPU microseconds a row, commit ms, rows a commit) with 100 producers that each await durability."""
    database = await open_database(f"sqlite:///{path}")
    numbers = iter(range(1, ROWS + 1))

    async def produce() -> None:
        for n in numbers:
            await database.writer.submit(lambda cursor, n=n: journal.append(cursor, row(n)))

    began = time.process_time()
    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    cpu = (time.process_time() - began) / ROWS * 1e6
    writer = database.writer
    figures = cpu, writer.commit_s / writer.commits * 1000, writer.units / writer.commits
    await database.aclose()
    return figures


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = raw_cpu_us(Path(folder) / "raw.db")
        cpu, commit_ms, per_commit = asyncio.run(grouped(Path(folder) / "grouped.db"))
    result = {
        "route_us_p50": round(route_us(), 1),
        "journal_cpu_us_per_row": round(cpu, 1),
        "raw_cpu_us_per_row": round(raw, 1),
        "journal_ratio_to_raw": round(cpu / raw, 2),
        "commit_ms_mean": round(commit_ms, 2),
        "rows_per_commit": round(per_commit, 1),
    }
    if "--json" in sys.argv:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
