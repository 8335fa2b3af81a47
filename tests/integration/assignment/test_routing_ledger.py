"""What is kept of questions to routing systems, and of work that is handed out there, on a real SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest_asyncio

from omnibridge.storage import routing
from omnibridge.storage.database import Database, open_database
from omnibridge.storage.routing import ASKED, CHOSEN, DECIDED, OPEN, PUSHED, WITHDRAWN, QuestionRow, WorkRow


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> Any:
    made = await open_database(f"sqlite:///{tmp_path}/a.db")
    yield made
    await made.aclose()


async def write(database: Database, *units: Any) -> None:
    for each in units:
        await database.writer.submit(each)


def question(ticket: int, conversation: int = 1) -> QuestionRow:
    return QuestionRow(ticket, "omni", conversation, OPEN, b"{}", b"", "", ticket)


def stages(database: Database) -> list[tuple[int, str, bytes]]:
    return [(each.ticket, each.stage, each.state) for each in routing.questions(database.reader, "omni")]


async def test_question_that_is_written_again_keeps_how_far_it_got(database: Database) -> None:
    await write(
        database,
        lambda cur: routing.ask(cur, question(7)),
        lambda cur: routing.keep_state(cur, 7, b"far"),
        lambda cur: routing.set_stage(cur, 7, (OPEN,), ASKED),
        lambda cur: routing.ask(cur, question(7)),
    )

    assert stages(database) == [(7, ASKED, b"far")]


async def test_next_question_of_a_conversation_takes_the_place_of_the_one_before(database: Database) -> None:
    await write(
        database,
        lambda cur: routing.ask(cur, question(7)),
        lambda cur: routing.ask(cur, question(8, conversation=2)),
        lambda cur: routing.set_stage(cur, 7, (OPEN,), DECIDED, "a"),
        lambda cur: routing.ask(cur, question(9)),
        lambda cur: routing.ask(cur, question(7)),  # an old delivery that is repeated late
    )

    assert [each[0] for each in stages(database)] == [8, 9]


async def test_what_is_taken_back_does_not_go_on(database: Database) -> None:
    await write(
        database,
        lambda cur: routing.ask(cur, question(7)),
        lambda cur: routing.withdraw(cur, "omni", 1),
        lambda cur: routing.set_stage(cur, 7, (OPEN, ASKED), DECIDED, "a"),
        lambda cur: routing.reopen(cur, 7, b"again"),
    )

    assert stages(database) == [(7, WITHDRAWN, b"")] and not routing.is_asked(database.reader, 7)


async def test_questions_of_conversations_that_are_over_or_purged_are_taken_back(database: Database) -> None:
    sql = (
        "INSERT INTO conversations (id, workspace, room, version, closed, state, updated_at) "
        "VALUES (?, 'main', ?, 1, ?, '{}', 1)"
    )
    await write(
        database,
        *(lambda cur, n=n: cur.execute(sql, (n, f"r{n}", n == 2)) for n in (1, 2)),
        *(lambda cur, n=n: routing.ask(cur, question(n, conversation=n)) for n in (1, 2, 3)),
        lambda cur: routing.withdraw_closed(cur, "omni"),
    )

    assert [(each[0], each[1]) for each in stages(database)] == [(1, OPEN), (2, WITHDRAWN), (3, WITHDRAWN)]


async def test_old_decisions_are_purged_but_never_one_that_may_be_under_way(database: Database) -> None:
    rows = [
        WorkRow("omni", f"w{n}", 1, stage, "a", "", "[]", b"{}", n) for n, stage in enumerate((PUSHED, CHOSEN, PUSHED))
    ]
    await write(
        database,
        lambda cur: routing.put_work(cur, rows),
        lambda cur: routing.purge_work(cur, "omni", 2),
    )

    assert [each.work for each in routing.listed_work(database.reader)] == ["w2", "w1"]
    assert routing.last_pushes(database.reader, "omni", ["a", "b"]) == {"a": 2}


async def test_what_is_asked_at_every_look_reads_no_decisions_of_other_work(database: Database) -> None:
    asked: list[str] = []
    reader = database.reader

    class Noted:
        def execute(self, sql: str, values: tuple[Any, ...]) -> Any:
            asked.extend(each[3] for each in reader.execute(f"EXPLAIN QUERY PLAN {sql}", values))
            return reader.execute(sql, values)

    routing.work_chosen(Noted(), "omni")
    routing.last_pushes(Noted(), "omni", ["a"])

    assert asked == [
        "SEARCH routed_work USING INDEX ix_routed_work_chosen (router=?)",
        *["SEARCH routed_work USING COVERING INDEX ix_routed_work_agent (router=? AND agent=? AND stage=?)"] * 2,
    ]
