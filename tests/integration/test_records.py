"""Systems of records against a real database: what was said, what is remembered, and how a sync goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from omnibridge.bootstrap_records import CrmOrder, RecordSystems
from omnibridge.clock import SystemClock
from omnibridge.connector import DeliveryRejected, DeliveryRetryable, DeliveryUncertain, Kept, Snapshot, SyncResult
from omnibridge.domain.commands import EraseRecords, SyncRecords
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import FactsLearned
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.records_sender import Records, RecordsSender, conversation_key, kept_of, visitor_key
from omnibridge.engine.transcripts import StillSaying, lines_of
from omnibridge.limits import TimeLimit
from omnibridge.storage import crm, outbox
from omnibridge.storage.database import Database, open_database
from omnibridge.storage.outbox import Delivery
from tests.conftest import MakeWorld

STATE = Conversation("main", "r", started=True, facts={"visitor_id": "v", "visitor_email": "v@example.com"})


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = await open_database(f"sqlite:///{tmp_path}/test.db")
    yield made
    await made.aclose()


class Ledger:
    """A system of records in memory. SyncsRecords."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.erased: list[tuple[Kept, ...]] = []
        self.fails: Exception | None = None
        self.hangs = False

    async def sync(self, snapshot: Snapshot) -> SyncResult:
        self.snapshots.append(snapshot)
        if self.hangs:
            await asyncio.Event().wait()
        await snapshot.keep(Kept("case#0", "Case", f"id-{len(self.snapshots)}", True, "d", 7))
        if self.fails:
            raise self.fails
        return SyncResult({"vip": True}, "https://x/1")

    async def erase(self, kept: tuple[Kept, ...]) -> None:
        self.erased.append(kept)


async def no_file(*_: Any) -> bytes | None:
    return None


def sender_of(database: Database, ledger: Ledger, **options: Any) -> RecordsSender:
    given = {"facts": frozenset({"visitor_email", "room"}), "link_field": "link", **options}
    return RecordsSender({"sales": Records(ledger, **given)}, database, SystemClock(), no_file)  # type: ignore[arg-type]


def row(command: SyncRecords | EraseRecords, row_id: int = 50, connection: str = "sales") -> Delivery:
    body, kind = msgspec.json.encode(command), type(command).__name__
    return Delivery(row_id, 9, 1, "crm:sales", kind, connection, None, None, body, 0, 0, "b", 0, 1 << 60, 1)


async def test_what_is_written_is_remembered_at_once_and_shown_again(database: Database) -> None:
    ledger = Ledger()
    sender = sender_of(database, ledger)
    ledger.fails = DeliveryUncertain("cut", code="cut")
    with pytest.raises(DeliveryUncertain):
        await sender.send(row(SyncRecords("sales", "start")), "main", STATE, maybe_sent=False)
    ledger.fails = None
    sent = await sender.send(row(SyncRecords("sales", "start")), "main", STATE, maybe_sent=True)
    first, second = ledger.snapshots

    assert (first.kept, second.kept) == ({}, {"case#0": Kept("case#0", "Case", "id-1", True, "d", 7)})
    assert first.key == conversation_key(database.secret, "main", "r") and len(first.key) == 32
    assert first.facts["visitor_email"] == "v@example.com" and "visitor_id" not in first.facts
    assert sent.event == FactsLearned("sales", {"vip": True}, {"link": "https://x/1"})


async def test_close_tells_no_facts_and_an_erasure_forgets(database: Database) -> None:
    ledger = Ledger()
    sender = sender_of(database, ledger)
    sent = await sender.send(row(SyncRecords("sales", "close")), "main", STATE, maybe_sent=False)
    visitor = visitor_key(database.secret, "main", "v")
    assert sent.event is None and crm.of_visitor(database.reader, visitor) == [(9, "sales")]
    await sender.send(row(EraseRecords("sales")), "main", STATE, maybe_sent=False)

    assert [each.id for each in ledger.erased[0]] == ["id-1"]
    assert kept_of(database.reader, 9, "sales") == []


async def test_live_sync_is_left_to_the_next_one(database: Database) -> None:
    ledger = Ledger()
    sender = sender_of(database, ledger, live_ms=60_000)
    live = SyncRecords("sales", "live")
    await sender.send(row(live, 50), "main", STATE, maybe_sent=False)
    await database.writer.submit(lambda cursor: outbox.enqueue(cursor, row(live, 52)))
    await sender.send(row(live, 51), "main", STATE, maybe_sent=False)
    assert len(ledger.snapshots) == 1
    await sender.send(row(live, 52), "main", STATE, maybe_sent=False)

    assert len(ledger.snapshots) == 2  # nothing waits behind it


async def test_link_that_stands_in_the_room_is_not_written_at_every_live_sync(database: Database) -> None:
    sender, live = sender_of(database, Ledger()), SyncRecords("sales", "live")
    first = await sender.send(row(live, 50), "main", STATE, maybe_sent=False)
    knows = msgspec.structs.replace(STATE, crm_facts={"vip": True})
    same = await sender.send(row(live, 51), "main", knows, maybe_sent=False)
    other = await sender.send(row(live, 52), "main", STATE, maybe_sent=False)

    assert first.event == FactsLearned("sales", {"vip": True}, {"link": "https://x/1"})
    assert same.event is None and other.event == FactsLearned("sales", {"vip": True}, {})


async def test_erasure_waits_for_what_is_about_to_be_written(database: Database) -> None:
    """Nothing is kept yet, because the system is down: it would be told of the visitor after his erasure."""
    state = msgspec.json.encode(STATE)
    sql = "INSERT INTO conversations (id, workspace, room, version, closed, state, updated_at) VALUES (?,?,?,1,1,?,1)"
    await database.writer.submit(lambda cursor: cursor.execute(sql, (9, "main", "r", state)))
    await database.writer.submit(lambda cursor: outbox.enqueue(cursor, row(SyncRecords("sales", "close"), 50)))
    systems = RecordSystems(None)  # type: ignore[arg-type]
    systems._database, systems._clock, systems._boot = database, SystemClock(), "b"
    systems._ids, systems._connectors = IdSequence(SystemClock()), {"sales": Ledger()}  # type: ignore[dict-item]
    found = systems._erasures(CrmOrder("erase", "tester", "main", "v"))

    assert [(each.conversation_id, each.stream) for each in found] == [(9, "crm:sales")]  # type: ignore[union-attr]
    assert systems._erasures(CrmOrder("erase", "tester", "main", "w")) == []


@pytest.mark.parametrize(
    ("fails", "code"),
    [(ValueError("vera@example.com"), "connector-bug"), (DeliveryRejected("no", code="no"), "no")],
)
async def test_failures_are_errors_of_deliveries(database: Database, fails: Exception, code: str) -> None:
    ledger = Ledger()
    ledger.fails = fails
    with pytest.raises((DeliveryUncertain, DeliveryRejected)) as caught:
        await sender_of(database, ledger).send(row(SyncRecords("sales", "start")), "main", STATE, maybe_sent=False)

    assert caught.value.code == code and "vera" not in str(caught.value)


async def test_sync_that_hangs_is_ended(database: Database) -> None:
    ledger = Ledger()
    ledger.hangs = True
    sender = sender_of(database, ledger, limit=TimeLimit(0.05))
    with pytest.raises(DeliveryUncertain, match=r"not over within 0\.05 s"):
        await sender.send(row(SyncRecords("sales", "start")), "main", STATE, maybe_sent=False)


async def test_system_that_fails_again_and_again_is_left_alone(database: Database) -> None:
    ledger = Ledger()
    sender = sender_of(database, ledger)
    ledger.fails = DeliveryRetryable("down", code="down")
    one = row(SyncRecords("sales", "start"))
    for _ in range(8):
        assert sender.wait_until(one, SystemClock().now_ms()) == 0
        with pytest.raises(DeliveryRetryable):
            await sender.send(one, "main", STATE, maybe_sent=False)

    assert sender.wait_until(one, SystemClock().now_ms()) > SystemClock().now_ms()


async def test_crm_that_is_not_configured_any_more(database: Database) -> None:
    with pytest.raises(DeliveryRejected, match="not configured any more"):
        await sender_of(database, Ledger()).send(
            row(SyncRecords("old", "start"), connection="old"), "main", STATE, maybe_sent=False
        )


async def test_transcript_is_what_was_said_in_order_and_by_whom(make_world: MakeWorld) -> None:
    world = await make_world()
    other = await world.visitor("Other")
    visitor = await world.visitor("Vera")
    for text in ("echo one", "write 3", "parts 2", "menu"):
        await other.say("echo noise")
        await visitor.say(text)
        await world.hub.settled()
        await world.quiet()
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await world.alice.say(visitor.rid, "I am Alice")
    await world.upload(visitor, "cat.png")
    await world.hub.settled()
    await world.quiet()
    reader = world.node.service._database.reader  # type: ignore[union-attr]
    conversation = world.rows("SELECT id FROM conversations WHERE room = ?", visitor.rid)[0][0]
    lines = lines_of(reader, conversation, 0, 1000, to_the_end=True)
    shown = [(each["kind"], each["text"]) for each in (await world.room(visitor.rid))["messages"] if each["text"]]

    assert [each.text for each in lines if each.who != "visitor" or "[file" not in each.text] == [
        text for kind, text in shown if kind in ("visitor", "bot", "agent")
    ]
    assert "noise" not in str(lines) and any(each.text.endswith("[file: cat.png]") for each in lines)
    assert {(each.who, each.name) for each in lines} == {
        *(("visitor", ""), ("bot", "helper"), ("agent", "Alice Example")),
    }
    for start in range(len(lines)):  # from any line on, and page by page
        assert lines_of(reader, conversation, lines[start].id, 3) == lines[start : start + 3]


async def test_words_on_their_way_are_waited_for_at_the_end(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("echo one")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    database = world.node.service._database
    assert database is not None
    sql = "UPDATE deliveries SET state = 0, next_attempt_at = 9000000000000 WHERE command = 'SendToVisitor'"
    await database.writer.submit(lambda cursor: cursor.execute(sql))
    conversation = world.rows("SELECT id FROM conversations")[0][0]

    assert [each.text for each in lines_of(database.reader, conversation, 0, 9)] == ["echo one"]
    with pytest.raises(StillSaying):
        lines_of(database.reader, conversation, 0, 9, to_the_end=True)
