"""Two ledgers about routing systems: what they are asked, and what was decided for work that waits in them.

Times in ms. A question is there until its conversation is over; a decision for work until it is purged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, text

from omnibridge.storage.tables import metadata

OPEN, ASKED, DECIDED, WITHDRAWN = "open", "asked", "decided", "withdrawn"
"""A question: to be asked; it waits there; answered, and the conversation goes on; to be taken back."""

CHOSEN, PUSHED, REFUSED, NOBODY, LAPSED = "chosen", "pushed", "refused", "nobody", "lapsed"
"""A decision: written down, and perhaps sent; it is there; it was not taken; nobody could be named; of no use any more,
because the work changed or is gone."""

routing_questions = Table(
    "routing_questions",
    metadata,
    Column("ticket", BigInteger, primary_key=True, autoincrement=False),  # id of the delivery that asked
    Column("router", String, nullable=False),
    Column("conversation_id", BigInteger, nullable=False),
    Column("stage", String, nullable=False),
    Column("question", LargeBinary, nullable=False),  # JSON
    Column("state", LargeBinary, nullable=False),  # the connector's own
    Column("agent", String, nullable=False),  # '' = nobody, or not yet
    Column("at", BigInteger, nullable=False),
)
Index("ix_routing_questions_conversation", routing_questions.c.conversation_id)

routed_work = Table(
    "routed_work",
    metadata,
    Column("router", String, primary_key=True),
    Column("work", String, primary_key=True),
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("stage", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("push", String, nullable=False),  # id of what it became there; '' = not known
    Column("refused", String, nullable=False),  # JSON list: agents whom the system did not take for this serial
    Column("decision", LargeBinary, nullable=False),  # JSON: who was looked at, and why it is who it is
    Column("at", BigInteger, nullable=False),
)
Index("ix_routed_work_at", routed_work.c.at)
Index("ix_routed_work_chosen", routed_work.c.router, routed_work.c.at, sqlite_where=text("stage = 'chosen'"))
Index("ix_routed_work_agent", routed_work.c.router, routed_work.c.agent, routed_work.c.stage, routed_work.c.at)


class QuestionRow(msgspec.Struct, frozen=True):
    ticket: int
    router: str
    conversation_id: int
    stage: str
    question: bytes
    state: bytes
    agent: str
    at: int


class WorkRow(msgspec.Struct, frozen=True):
    router: str
    work: str
    serial: int
    stage: str
    agent: str
    push: str
    refused: str
    decision: bytes
    at: int


_question = "SELECT ticket, router, conversation_id, stage, question, state, agent, at FROM routing_questions"
_work = "SELECT router, work, serial, stage, agent, push, refused, decision, at FROM routed_work"


def ask(cursor: Any, row: QuestionRow) -> None:
    """Once, however often it is called. Earlier questions of the conversation have their answer: they go."""
    cursor.execute(
        "DELETE FROM routing_questions WHERE conversation_id = ? AND router = ? AND ticket < ?",
        (row.conversation_id, row.router, row.ticket),
    )
    cursor.execute(
        "INSERT OR IGNORE INTO routing_questions (ticket, router, conversation_id, stage, question, state, agent, at) "
        "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS "
        "(SELECT 1 FROM routing_questions WHERE conversation_id = ?3 AND router = ?2 AND ticket > ?1)",
        msgspec.structs.astuple(row),
    )


def questions(reader: Any, router: str) -> list[QuestionRow]:
    """All there are, the oldest first."""
    rows = reader.execute(f"{_question} WHERE router = ? ORDER BY ticket", (router,))
    return [QuestionRow(row[0], row[1], row[2], row[3], bytes(row[4]), bytes(row[5]), row[6], row[7]) for row in rows]


def is_asked(reader: Any, ticket: int) -> bool:
    """Whether it is still wanted."""
    found = reader.execute("SELECT 1 FROM routing_questions WHERE ticket = ? AND stage IN ('open', 'asked')", (ticket,))
    return found.fetchone() is not None


def keep_state(cursor: Any, ticket: int, state: bytes) -> None:
    cursor.execute("UPDATE routing_questions SET state = ? WHERE ticket = ?", (state, ticket))


def set_stage(cursor: Any, ticket: int, before: Iterable[str], stage: str, agent: str = "") -> None:
    """From one of the stages before; any other is left as it is."""
    wanted = ", ".join(f"'{each}'" for each in before)
    cursor.execute(
        f"UPDATE routing_questions SET stage = ?, agent = ? WHERE ticket = ? AND stage IN ({wanted})",  # noqa: S608
        (stage, agent, ticket),
    )


def reopen(cursor: Any, ticket: int, state: bytes) -> None:
    """To be asked once more, with this state."""
    cursor.execute(
        "UPDATE routing_questions SET stage = 'open', state = ? WHERE ticket = ? AND stage = 'asked'", (state, ticket)
    )


def withdraw(cursor: Any, router: str, conversation_id: int) -> None:
    """Whatever is asked of this conversation, or was answered."""
    cursor.execute(
        "UPDATE routing_questions SET stage = 'withdrawn' WHERE router = ? AND conversation_id = ?",
        (router, conversation_id),
    )


def withdraw_closed(cursor: Any, router: str) -> None:
    """Of conversations that are over, or purged."""
    cursor.execute(
        "UPDATE routing_questions SET stage = 'withdrawn' WHERE router = ? AND stage <> 'withdrawn' AND NOT EXISTS "
        "(SELECT 1 FROM conversations c WHERE c.id = routing_questions.conversation_id AND c.closed = 0)",
        (router,),
    )


def forget(cursor: Any, ticket: int) -> None:
    cursor.execute("DELETE FROM routing_questions WHERE ticket = ?", (ticket,))


# -- work that waits there -------------------------------------------------------------------------------------


def put_work(cursor: Any, rows: Iterable[WorkRow]) -> None:
    """In place of what was known of the same work and serial."""
    cursor.executemany(
        "INSERT OR REPLACE INTO routed_work (router, work, serial, stage, agent, push, refused, decision, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [msgspec.structs.astuple(each) for each in rows],
    )


def work_of(reader: Any, router: str, work: str) -> list[WorkRow]:
    """Every serial of it, the oldest first."""
    return _read(reader.execute(f"{_work} WHERE router = ? AND work = ? ORDER BY serial", (router, work)))


def find_work(reader: Any, router: str, work: str, serial: int) -> WorkRow | None:
    """The decision for one serial."""
    found = _read(reader.execute(f"{_work} WHERE router = ? AND work = ? AND serial = ?", (router, work, serial)))
    return found[0] if found else None


def work_chosen(reader: Any, router: str) -> list[WorkRow]:
    """Of which it is not known whether it arrived."""
    return _read(reader.execute(f"{_work} WHERE router = ? AND stage = 'chosen' ORDER BY at", (router,)))


def last_pushes(reader: Any, router: str, agents: Iterable[str]) -> dict[str, int]:
    """Agent -> when he was given something by us, of those who were. One look into an index for each: the ledger is
    long."""
    sql = "SELECT max(at) FROM routed_work WHERE router = ? AND agent = ? AND stage = ?"
    found: dict[str, int] = {}
    for agent in agents:
        times = [reader.execute(sql, (router, agent, stage)).fetchone()[0] for stage in (CHOSEN, PUSHED)]
        if any(times):
            found[agent] = max(each or 0 for each in times)
    return found


def listed_work(reader: Any, work: str = "", limit: int = 100) -> list[WorkRow]:
    """For people, the newest first. work: '' = of all."""
    return _read(reader.execute(f"{_work} WHERE (?1 = '' OR work = ?1) ORDER BY at DESC LIMIT ?2", (work, limit)))


def purge_work(cursor: Any, router: str, before_ms: int) -> None:
    """What was decided long ago; never what may still be under way."""
    cursor.execute("DELETE FROM routed_work WHERE router = ? AND at < ? AND stage <> 'chosen'", (router, before_ms))


def _read(rows: Iterable[Any]) -> list[WorkRow]:
    return [WorkRow(row[0], row[1], row[2], row[3], row[4], row[5], row[6], bytes(row[7]), row[8]) for row in rows]
