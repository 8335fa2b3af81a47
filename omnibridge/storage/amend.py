"""What an operator may change in the outbox: give up what waits, send again what was given up.

A row that was settled stays settled. Sending again is a *new* row at the end of its stream: only the lowest
unsettled row of a stream may be in flight, so a row that came back below one that is under way would break the
order that streams keep, and a repeated settle of one row would be taken for an echo of the first.
"""

from __future__ import annotations

from typing import Any

from omnibridge.errors import ConcurrentUpdate
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.tables import BURIED, DUE, REFUSED

RESENT = "resent"
"""Code of a row that lives on under another id."""

GIVEN_UP = "operator"
"""Code of a row that an operator gave up."""

_COLUMNS = ", ".join(Delivery.__struct_fields__)


def rows(reader: Any, ids: list[int]) -> list[tuple[Delivery, int, str]]:
    """(row, state, code) of those that are there, in order."""
    marks = ", ".join("?" * len(ids))
    found = reader.execute(
        f"SELECT {_COLUMNS}, state, code FROM deliveries WHERE id IN ({marks}) ORDER BY id",  # noqa: S608 - fixed names
        ids,
    ).fetchall()
    return [(Delivery(*row[:-2]), row[-2], row[-1]) for row in found]


def supersede(cursor: Any, delivery_id: int) -> None:
    """Mark a row that was given up as sent again; its external id is free for the new one.

    Raises ConcurrentUpdate when it is no such row any more.
    """
    cursor.execute(
        "UPDATE deliveries SET code = ?, external_id = NULL WHERE id = ? AND state IN (?, ?) AND code <> ?",
        (RESENT, delivery_id, REFUSED, BURIED, RESENT),
    )
    if not cursor.rowcount:
        raise ConcurrentUpdate(f"delivery {delivery_id} has changed meanwhile")


def give_up(cursor: Any, delivery_id: int, at: int) -> None:
    """Bury a row that waits. Raises ConcurrentUpdate when it does not wait any more."""
    cursor.execute(
        "UPDATE deliveries SET state = ?, code = ?, settled_at = ? WHERE id = ? AND state = ?",
        (BURIED, GIVEN_UP, at, delivery_id, DUE),
    )
    if not cursor.rowcount:
        raise ConcurrentUpdate(f"delivery {delivery_id} has changed meanwhile")
