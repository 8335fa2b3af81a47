"""`python -m tests.bench.size --messages 1000000`: how large the database gets, table by table.

Conversations of ten messages, each answered by the bot, with the session events that a hub of 8.x sends (their
histories among them), handled by the real processor and written by the real statements; then what retention
leaves. No sockets: only what is stored matters here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from omnibridge.clock import FixedClock
from omnibridge.domain.content import Text
from omnibridge.domain.directory import BotConnection, Directory
from omnibridge.domain.events import PartyReplied
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.processor import Processor
from omnibridge.engine.retention import Retention, Terms
from omnibridge.engine.work import Lane, Policy
from omnibridge.routing.rules import RuleSet
from omnibridge.storage import outbox
from omnibridge.storage.database import connect, migrate, open_database
from omnibridge.storage.journal import Observation
from tests.bench.outside import decode, encode, webhook

PER_CONVERSATION = 10
WORDS = "I would like to know when my order will arrive, please"
ANSWER = "Your order A10023 is on its way and should be with you by Tuesday. Is there anything else?"
BOTS = {"bench": {"botId": "assistant", "assistant": "assistant"}}


class Filler:
    """Writes conversations as the service would."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._cursor = self._connection.cursor()
        self.clock = FixedClock(1_790_000_000_000)
        directory = Directory((BotConnection("assistant", "bench", "botId", "assistant"),))
        self._ids = IdSequence(self.clock)
        self._processor = Processor(
            self._connection,
            self.clock,
            self._ids,
            bytes(32),
            "0" * 16,
            Policy(RuleSet(), directory, BOTS),
            Counters(),
            Callbacks({}, {}, self._connection, bytes(32)),
        )

    def fill(self, messages: int) -> None:
        for n in range(messages // PER_CONVERSATION):
            if n % 20 == 0:
                self._cursor.execute("BEGIN IMMEDIATE")
            self._conversation(f"room{n:013d}")
            if n % 20 == 19:
                self._cursor.execute("COMMIT")
        if self._connection.in_transaction:
            self._cursor.execute("COMMIT")
        self._connection.close()

    def _conversation(self, room: str) -> None:
        lane = self._processor.load("bench", room)
        history: list[Any] = []
        lane = self._handle(lane, "webhook", "LivechatSessionTaken", webhook("LivechatSessionTaken", room))
        for n in range(PER_CONVERSATION):
            body = webhook("Message", room, f"{WORDS} {room}-{n}")
            history += decode(body)["messages"]
            lane = self._handle(lane, "webhook", "Message", body)
            self.clock.advance(400)
            reply = PartyReplied("assistant", self._turn, 1, (Text(ANSWER),))
            lane = self._handle(lane, "engine", "PartyReplied", encode(reply), f"settled:{self._turn}")
            self.clock.advance(9_600)
        body = encode({**decode(webhook("LivechatSession", room)), "messages": history})
        self._handle(lane, "webhook", "LivechatSession", body)

    def _handle(self, lane: Lane, source: str, kind: str, body: bytes, dedupe: str | None = None) -> Lane:
        row = Observation(self._ids.next(), "bench", lane.state.room, source, kind, self.clock.now_ms(), body, dedupe)
        work = self._processor.handle(lane, [row], frozenset({row.id}))
        work.write(self._cursor)
        for each in work.deliveries:
            outbox.settle(self._cursor, each.id, outbox.DONE, "", 1, self.clock.now_ms())
            if each.command == "SendToParty":
                self._turn = each.id
        work.lane.remember(work.keys)
        work.lane.version += work.changed
        return work.lane


def sizes(path: Path) -> dict[str, float]:
    """MB in use by each table with its indexes, and by the file."""
    with contextlib.closing(connect(path)) as reader:
        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = reader.execute("PRAGMA page_size").fetchone()[0]
        free = reader.execute("PRAGMA freelist_count").fetchone()[0]
        tables = {
            name: reader.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - fixed names
            for name in ("observations", "events", "deliveries", "conversations")
        }
    file = path.stat().st_size
    return {"file_mb": file / 1e6, "used_mb": (file - free * page) / 1e6, **{f"{k}_rows": v for k, v in tables.items()}}


async def retain(path: Path, clock: FixedClock, terms: Terms) -> dict[str, int]:
    database = await open_database(f"sqlite:///{path}")
    purged = await Retention(database, clock, Counters(), terms, 3600).run()
    await database.aclose()
    return purged


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.size", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="omnibridge-size-") as folder:
        path = Path(folder) / "size.db"
        migrate(path)
        began = time.monotonic()
        filler = Filler(path)
        filler.fill(wish.messages)
        result: dict[str, Any] = {"messages": wish.messages, "fill_s": time.monotonic() - began}
        result["all"] = sizes(path)
        filler.clock.advance(7_200_000)
        for name, terms in (
            ("without_observations", Terms(0.01, 0, 0)),
            ("without_deliveries", Terms(0.01, 0.01, 0)),
        ):
            began = time.monotonic()
            asyncio.run(retain(path, filler.clock, terms))
            result[name] = {**sizes(path), "seconds": time.monotonic() - began}
    print(json.dumps(result, indent=1, default=lambda value: round(value, 1)))


if __name__ == "__main__":
    main()
