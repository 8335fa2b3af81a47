"""Parts alone, in this process: `route()`, and the journal against the raw SQLite bound."""

from __future__ import annotations

import asyncio
import statistics
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

PRODUCERS = 100


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


def journal_ratio(folder: Path, rows: int) -> float:
    """CPU of a journalled row, each awaited by one of 100 producers, against rows in raw batches of 100."""
    raw = _raw_cpu_us(folder / "raw.db", rows)
    return asyncio.run(_grouped_cpu_us(folder / "grouped.db", rows)) / raw


def _row(n: int) -> Observation:
    return Observation(n, "w", f"r{n % 200}", "webhook", "Message", n, b"x" * 1000)


def _raw_cpu_us(path: Path, rows: int) -> float:
    migrate(path)
    connection = connect(path)
    began = time.process_time()
    for start in range(0, rows, 100):
        connection.execute("BEGIN IMMEDIATE")
        for n in range(start + 1, start + 101):
            journal.append(connection.cursor(), _row(n))
        connection.execute("COMMIT")
    connection.close()
    return (time.process_time() - began) / rows * 1e6


async def _grouped_cpu_us(path: Path, rows: int) -> float:
    database = await open_database(f"sqlite:///{path}")
    numbers = iter(range(1, rows + 1))

    async def produce() -> None:
        for n in numbers:
            await database.writer.submit(lambda cursor, n=n: journal.append(cursor, _row(n)))

    began = time.process_time()
    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    cpu = (time.process_time() - began) / rows * 1e6
    await database.aclose()
    return cpu
