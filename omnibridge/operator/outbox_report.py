"""Deliveries for people and for programs: rows, causes, and what became of an order. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from omnibridge.operator.actions import Outcome
from omnibridge.operator.text import moment
from omnibridge.operator.trace import DELIVERY
from omnibridge.storage.reports import Cause, DeliveryRow
from omnibridge.storage.tables import BURIED

__all__ = ["BURIED"]

SHOWN = 20
"""Reasons that are printed; the others are counted."""


def row_lines(rows: list[DeliveryRow]) -> Iterator[str]:
    """A table, oldest first; not yet safe for a terminal."""
    yield from _table(
        ("id", "made", "room", "command", "connection", "state", "code", "attempts", "then"),
        [
            (
                str(each.id),
                moment(each.created_at),
                each.room,
                each.command,
                each.connection,
                DELIVERY[each.state],
                each.code,
                str(each.attempts),
                _then(each),
            )
            for each in rows
        ],
    )


def row_data(rows: list[DeliveryRow]) -> list[dict[str, Any]]:
    """The same for programs: times in ms."""
    names = (
        "id", "workspace", "room", "conversation_id", "stream", "command", "connection", "epoch", "code", "attempts",
        "uncertain", "next_attempt_at", "deadline_at", "created_at", "settled_at",
    )  # fmt: skip
    return [{name: getattr(each, name) for name in names} | {"state": DELIVERY[each.state]} for each in rows]


def cause_lines(causes: list[Cause]) -> Iterator[str]:
    """A table, the most frequent first."""
    yield from _table(
        ("count", "code", "connection", "command", "first", "last", "example"),
        [
            (
                str(each.count),
                each.code,
                each.connection,
                each.command,
                moment(each.first),
                moment(each.last),
                str(each.example),
            )
            for each in causes
        ],
    )


def cause_data(causes: list[Cause]) -> list[dict[str, Any]]:
    """The same for programs."""
    names = ("count", "code", "connection", "command", "first", "last", "example")
    return [{name: getattr(each, name) for name in names} for each in causes]


def outcome_lines(kind: str, outcomes: list[Outcome]) -> Iterator[str]:
    """How many were done, and why others were left."""
    done = [each for each in outcomes if each.done]
    word = "due again" if kind == "resend" else "given up"
    yield f"{len(done)} {word}, {len(outcomes) - len(done)} left as they are"
    for each in done[:SHOWN]:
        if each.new_id:
            yield f"  {each.id} is sent as {each.new_id}"
    left = [each for each in outcomes if not each.done]
    for each in left[:SHOWN]:
        yield f"  {each.id}: {each.why}"
    for why, count in Counter(each.why for each in left[SHOWN:]).items():
        yield f"  and {count} more: {why}"


def _then(row: DeliveryRow) -> str:
    if row.settled_at is not None:
        return f"settled {moment(row.settled_at)}"
    return f"next {moment(row.next_attempt_at)}" if row.next_attempt_at else ""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    lines = [head, *(tuple(cell or "-" for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(head))]
    for row in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
