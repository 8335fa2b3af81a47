"""The queue of updates of each bot of the bot API: numbered without gaps, kept until the bot took them.

Functions that take a cursor are units of the writer; the others only read.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import metadata, where

WAITING, TAKEN, GIVEN_UP = 0, 1, 2
"""bot_updates.state."""

bot_updates = Table(
    "bot_updates",
    metadata,
    # The queue. Numbers of a bot have no gaps; what was confirmed stays for a day, so that a repeated turn is known.
    Column("connection", String, primary_key=True),
    Column("update_id", BigInteger, primary_key=True),
    Column("chat_id", Integer, nullable=False),
    Column("dedupe", String, nullable=False),  # delivery id of the turn
    Column("state", Integer, nullable=False, default=0),  # 0 waits, 1 taken, 2 given up
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # Update as JSON
    UniqueConstraint("connection", "dedupe", name="ux_bot_updates_dedupe"),
)
Index(
    "ix_bot_updates_waiting",
    bot_updates.c.connection,
    bot_updates.c.update_id,
    **where("state = 0"),
)
Index("ix_bot_updates_created", bot_updates.c.created_at)


class Queued(msgspec.Struct, frozen=True):
    """An update that waits."""

    update_id: int
    chat_id: int
    attempts: int
    created_at: int
    body: bytes


_QUEUED = ", ".join(Queued.__struct_fields__)
_insert_update = Insert(
    bot_updates, "connection", "update_id", "chat_id", "dedupe", "state", "attempts", "created_at", "body"
)


def is_queued(reader: Any, connection: str, dedupe: str) -> bool:
    """Whether this turn has its update, taken or not."""
    found = reader.execute("SELECT 1 FROM bot_updates WHERE connection = ? AND dedupe = ?", (connection, dedupe))
    return found.fetchone() is not None


def next_update_id(cursor: Any, connection: str) -> int:
    """Of an update that is written in the same unit: so there are no gaps."""
    cursor.execute("UPDATE bots SET last_update_id = last_update_id + 1 WHERE connection = ?", (connection,))
    row = cursor.execute("SELECT last_update_id FROM bots WHERE connection = ?", (connection,)).fetchone()
    return int(row[0])


def put(cursor: Any, connection: str, update_id: int, chat_id: int, dedupe: str, at: int, body: bytes) -> None:
    _insert_update(cursor, connection, update_id, chat_id, dedupe, WAITING, 0, at, body)


def waiting(reader: Any, connection: str, limit: int) -> list[Queued]:
    """The oldest that were not confirmed."""
    rows = reader.execute(
        f"SELECT {_QUEUED} FROM bot_updates WHERE connection = ? AND state = 0 "  # noqa: S608 - fixed names
        "ORDER BY update_id LIMIT ?",
        (connection, limit),
    )
    return [Queued(*row) for row in rows]


def first_of_chats(reader: Any, connection: str) -> list[tuple[int, int]]:
    """(chat, its lowest update that waits), in the order of the updates."""
    rows = reader.execute(
        "SELECT chat_id, min(update_id) AS first FROM bot_updates WHERE connection = ? AND state = 0 "
        "GROUP BY chat_id ORDER BY first",
        (connection,),
    )
    return [(row[0], row[1]) for row in rows]


def update(reader: Any, connection: str, update_id: int) -> Queued | None:
    """None when it does not wait any more."""
    row = reader.execute(
        f"SELECT {_QUEUED} FROM bot_updates WHERE connection = ? AND update_id = ? AND state = 0",  # noqa: S608
        (connection, update_id),
    ).fetchone()
    return Queued(*row) if row else None


def n_waiting(reader: Any, connection: str) -> int:
    row = reader.execute("SELECT count(*) FROM bot_updates WHERE connection = ? AND state = 0", (connection,))
    return int(row.fetchone()[0])


def n_given_up(reader: Any, connection: str) -> int:
    row = reader.execute("SELECT count(*) FROM bot_updates WHERE connection = ? AND state = 2", (connection,))
    return int(row.fetchone()[0])


def try_again(cursor: Any, connection: str, at: int) -> bool:
    """What was given up waits again, in its old order. False when there is nothing."""
    cursor.execute(
        "UPDATE bot_updates SET state = 0, attempts = 0, created_at = ? WHERE connection = ? AND state = 2",
        (at, connection),
    )
    return bool(cursor.rowcount)


def confirm_before(cursor: Any, connection: str, update_id: int) -> None:
    """All below are taken."""
    cursor.execute(
        "UPDATE bot_updates SET state = 1 WHERE connection = ? AND state = 0 AND update_id < ?", (connection, update_id)
    )


def keep_last(cursor: Any, connection: str, count: int) -> None:
    """All but so many of the newest are taken."""
    cursor.execute(
        "UPDATE bot_updates SET state = 1 WHERE connection = ? AND state = 0 AND update_id NOT IN (SELECT update_id "
        "FROM bot_updates WHERE connection = ? AND state = 0 ORDER BY update_id DESC LIMIT ?)",
        (connection, connection, count),
    )


def settle(cursor: Any, connection: str, update_id: int, state: int) -> None:
    cursor.execute(
        "UPDATE bot_updates SET state = ? WHERE connection = ? AND update_id = ? AND state = 0",
        (state, connection, update_id),
    )


def failed(cursor: Any, connection: str, update_id: int, at: int, why: str) -> None:
    """An attempt to deliver."""
    cursor.execute("UPDATE bots SET last_error_at = ?, last_error = ? WHERE connection = ?", (at, why, connection))
    cursor.execute(
        "UPDATE bot_updates SET attempts = attempts + 1 WHERE connection = ? AND update_id = ?", (connection, update_id)
    )
