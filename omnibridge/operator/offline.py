"""Resend and bury without a server: under the database's lock, written directly. Sent at the next start.

What a resent row may have done before is looked up then, since no process of now knows it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from omnibridge.clock import SystemClock
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.ids import IdSequence
from omnibridge.errors import ConcurrentUpdate
from omnibridge.operator.actions import Bench, Order, Outcome, Plan, Row, plan_bury, plan_resend
from omnibridge.storage import amend, conversations, journal
from omnibridge.storage.database import connect, migrate, take_lock

_state = msgspec.json.Decoder(Conversation)


def resend(path: Path, order: Order) -> list[Outcome]:
    """Raises ConfigError when another process has the database."""
    return _carry_out(path, order, lambda plan, rows, state, bench: plan_resend(plan, rows, state, order, bench))


def bury(path: Path, order: Order) -> list[Outcome]:
    """Raises ConfigError when another process has the database."""
    return _carry_out(path, order, lambda plan, rows, _, bench: plan_bury(plan, rows, order, bench))


def _carry_out(path: Path, order: Order, make: Callable[[Plan, list[Row], Conversation, Bench], Plan]) -> list[Outcome]:
    lock = take_lock(path)
    try:
        migrate(path)
        connection = connect(path)
        try:
            clock = SystemClock()
            ids = IdSequence(clock, journal.newest_ids(connection))
            outcomes: list[Outcome] = []
            for conversation_id, rows in by_conversation(connection, order.ids, outcomes):
                found = state_of(connection, conversation_id)
                if found is None:
                    outcomes += [Outcome(row.id, False, "belongs to no conversation") for row, _, _ in rows]
                    continue
                plan = Plan(conversation_id, found.workspace, found.room)
                make(plan, rows, found, Bench(ids, "", clock.now_ms()))
                outcomes += _written(connection, plan)
            return outcomes
        finally:
            connection.close()
    finally:
        lock.close()


def by_conversation(reader: Any, ids: list[int], outcomes: list[Outcome]) -> list[tuple[int, list[Row]]]:
    """Rows grouped by conversation, each group in order; ids that are not there become outcomes."""
    groups: dict[int, list[Row]] = {}
    found: set[int] = set()
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), 500):
        for row in amend.rows(reader, wanted[start : start + 500]):
            groups.setdefault(row[0].conversation_id, []).append(row)
            found.add(row[0].id)
    outcomes += [Outcome(each, False, "there is no such delivery") for each in wanted if each not in found]
    return list(groups.items())


def state_of(reader: Any, conversation_id: int) -> Conversation | None:
    """As it is in the database."""
    place = conversations.room_of(reader, conversation_id)
    found = conversations.load(reader, *place) if place else None
    return _state.decode(found[2]) if found else None


def _written(connection: Any, plan: Plan) -> list[Outcome]:
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        plan.write(cursor)
        cursor.execute("COMMIT")
    except ConcurrentUpdate as exc:
        cursor.execute("ROLLBACK")
        plan.undo(str(exc))
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    return plan.outcomes
