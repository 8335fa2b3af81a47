"""The outbox: deliveries in streams. Nothing leaves the service but from here.

A stream is one (conversation, destination): only its lowest unsettled row may be in flight.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import BURIED, DONE, DUE, REFUSED, deliveries

__all__ = ["BURIED", "DONE", "DUE", "REFUSED", "Delivery"]

_COLUMNS = (
    "id", "conversation_id", "event_id", "stream", "command", "connection", "epoch", "external_id", "body",
    "attempts", "uncertain", "boot", "next_attempt_at", "deadline_at", "created_at",
)  # fmt: skip


class Delivery(msgspec.Struct, frozen=True):
    """A row that waits to be sent. epoch: control epoch it was decided in, None = whoever is in control."""

    id: int
    conversation_id: int
    event_id: int
    stream: str
    command: str
    connection: str
    epoch: int | None
    external_id: str | None
    body: bytes
    attempts: int
    uncertain: int
    boot: str
    next_attempt_at: int
    deadline_at: int
    created_at: int


astuple = msgspec.structs.astuple
_insert = Insert(deliveries, *_COLUMNS, "state", "code")
_select = f"SELECT {', '.join(_COLUMNS)} FROM deliveries"  # noqa: S608 - fixed names
_next = f"{_select} WHERE state = 0 AND conversation_id = ? AND stream = ? AND id > ? ORDER BY id LIMIT 1"
_settle = "UPDATE deliveries SET state = ?, code = ?, attempts = ?, settled_at = ? WHERE id = ? AND state = 0"
_done = (
    "UPDATE deliveries SET state = 1, code = CASE state WHEN 2 THEN 'overlap' ELSE '' END, attempts = ?, "
    "settled_at = ? WHERE id = ? AND state IN (0, 2)"
)
_later = (
    "UPDATE deliveries SET attempts = ?, uncertain = ?, code = CASE state WHEN 0 THEN ? ELSE code END, "
    "next_attempt_at = ? WHERE id = ? AND state IN (0, 2)"
)
_resume = (
    "UPDATE deliveries SET state = 0, code = '', epoch = ?, deadline_at = ?, settled_at = NULL WHERE state = 2 "
    "AND code = 'control-changed' AND id IN (SELECT id FROM deliveries WHERE conversation_id = ? AND stream = ? "
    "AND command = 'SendToParty' ORDER BY id DESC LIMIT ?)"
)
_hurry = (
    "UPDATE deliveries SET next_attempt_at = ? WHERE state = 0 AND conversation_id = ? AND stream = ? "
    "AND next_attempt_at > ?"
)
_refuse = (
    "UPDATE deliveries SET state = 2, code = 'control-changed', settled_at = ? "
    "WHERE state = 0 AND conversation_id = ? AND epoch IS NOT NULL AND epoch < ?"
)
_spoken = "state = 2 AND code = 'control-changed' AND external_id IS NOT NULL"
_restamp = (
    "UPDATE deliveries SET epoch = ? WHERE state = 0 AND conversation_id = ? AND stream = ? AND epoch IS NOT NULL"
)


def enqueue(cursor: Any, row: Delivery) -> None:
    """Write a row; it is sent after the commit."""
    _insert(cursor, *astuple(row), DUE, "")


def settle(cursor: Any, delivery_id: int, state: int, code: str, attempts: int, at: int) -> None:
    """Done, refused or buried. A row that is settled already stays as it is.

    But for one that was refused while its request was under way, and arrived: it is done, as `overlap`.
    """
    if state == DONE:
        cursor.execute(_done, (attempts, at, delivery_id))
        return
    cursor.execute(_settle, (state, code, attempts, at, delivery_id))


def retry_later(cursor: Any, delivery_id: int, attempts: int, uncertain: int, code: str, next_attempt_at: int) -> None:
    """Note an attempt that failed, and when the next one is due: of a refused row too, which may be resumed."""
    cursor.execute(_later, (attempts, uncertain, code, next_attempt_at, delivery_id))


def refuse_older(cursor: Any, conversation_id: int, epoch: int, at: int) -> None:
    """Control changed to `epoch`: what the old party still had to say is not sent."""
    cursor.execute(_refuse, (at, conversation_id, epoch))


def resume(cursor: Any, conversation_id: int, stream: str, count: int, epoch: int, deadline_at: int) -> None:
    """The party that had given way stays: its last turns are due again, but for those that arrived meanwhile."""
    cursor.execute(_resume, (epoch, deadline_at, conversation_id, stream, count))


def hurry(cursor: Any, conversation_id: int, stream: str, now: int) -> None:
    """What waits in a stream for another attempt is due now."""
    cursor.execute(_hurry, (now, conversation_id, stream, now))


def restamp(cursor: Any, conversation_id: int, stream: str, epoch: int) -> None:
    """The party passed control itself: what it had said before stays, in front of the move."""
    cursor.execute(_restamp, (epoch, conversation_id, stream))


def next_due(reader: Any, conversation_id: int, stream: str, after: int = 0) -> Delivery | None:
    """The lowest unsettled row of a stream behind `after`."""
    row = reader.execute(_next, (conversation_id, stream, after)).fetchone()
    return None if row is None else Delivery(*row)


def refused_lately(reader: Any, since_id: int) -> list[Delivery]:
    """Words refused by a change of control, the first of each stream: the one that may have been under way.

    since_id: ids grow with time, so this bounds the search to what is recent.
    """
    first = f"SELECT min(id) FROM deliveries WHERE id > ? AND {_spoken} GROUP BY conversation_id, stream"  # noqa: S608 - fixed names
    return [Delivery(*row) for row in reader.execute(f"{_select} WHERE id IN ({first})", (since_id,))]


def refused_next(reader: Any, row: Delivery) -> Delivery | None:
    """Words behind these in their stream that were refused as well."""
    sql = f"{_select} WHERE id > ? AND {_spoken} AND conversation_id = ? AND stream = ? ORDER BY id LIMIT 1"
    found = reader.execute(sql, (row.id, row.conversation_id, row.stream)).fetchone()
    return None if found is None else Delivery(*found)


def streams_due(reader: Any) -> list[tuple[int, str]]:
    """(conversation, stream) of everything unsettled: what to ring at start."""
    return [
        (row[0], row[1])
        for row in reader.execute("SELECT DISTINCT conversation_id, stream FROM deliveries WHERE state = 0")
    ]


def written_by(reader: Any, conversation_id: int, delivery_id: int, external_id: str) -> tuple[str, int] | None:
    """(command, event) that a message of ours comes from; None when it is not ours."""
    row = reader.execute(
        "SELECT command, event_id FROM deliveries WHERE id = ? AND conversation_id = ? AND external_id = ?",
        (delivery_id, conversation_id, external_id),
    ).fetchone()
    return None if row is None else (row[0], row[1])


class Posted(msgspec.Struct, frozen=True):
    """Words of a conversation that are in the outbox, whatever became of them."""

    external_id: str
    event_id: int
    body: bytes
    created_at: int


def said_after(reader: Any, event_id: int) -> list[Posted]:
    """A party's words that an event led to, newest first.

    Settled rows are in no index but by id: rows of one decision are numbered right behind its event.
    """
    sql = (
        "SELECT external_id, event_id, body, created_at FROM (SELECT * FROM deliveries WHERE id > ? ORDER BY id "
        "LIMIT 256) WHERE event_id = ? AND command = 'SendToVisitor' AND external_id IS NOT NULL ORDER BY id DESC"
    )
    found = reader.execute(sql, (event_id, event_id))
    return [Posted(row[0], row[1], bytes(row[2]), row[3]) for row in found]


def posted(reader: Any, conversation_id: int, delivery_id: int) -> tuple[str, int, bytes] | None:
    """(connection, event, body) of words in a conversation; None when the row is none of them, or purged."""
    row = reader.execute(
        "SELECT connection, event_id, body FROM deliveries WHERE id = ? AND conversation_id = ? "
        "AND command IN ('SendToVisitor', 'SystemText')",
        (delivery_id, conversation_id),
    ).fetchone()
    return None if row is None else (row[0], row[1], bytes(row[2]))


def body_of(reader: Any, delivery_id: int) -> bytes | None:
    """What a row carries, whatever became of it."""
    row = reader.execute("SELECT body FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
    return None if row is None else bytes(row[0])


def counts(reader: Any) -> dict[int, int]:
    """How many rows are in each state."""
    return dict(reader.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())
