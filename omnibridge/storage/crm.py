"""What systems of records hold of conversations: which records were found and made, and how far a transcript is.

Never purged: it is what an erasure goes by. Ids only; whose they are is a keyed hash of the visitor's id.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from omnibridge.storage.tables import metadata

crm_records = Table(
    "crm_records",
    metadata,
    Column("conversation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("crm", String, primary_key=True),  # name of the [[crm]]
    Column("what", String, primary_key=True),  # the connector's name of it
    Column("object", String, nullable=False),
    Column("record_id", String, nullable=False),
    Column("made", Integer, nullable=False),  # 1 = by us: an erasure takes it away
    Column("digest", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("visitor", String, nullable=False),  # keyed hash
    Column("at", BigInteger, nullable=False),
)
Index("ix_crm_records_visitor", crm_records.c.visitor)


class Record(msgspec.Struct, frozen=True):
    """A row, without its key's first two parts."""

    what: str
    object: str
    record_id: str
    made: int
    digest: str
    position: int
    at: int = 0


def put(cursor: Any, conversation_id: int, crm: str, visitor: str, record: Record) -> None:
    """Remember, in place of what was remembered under this name."""
    cursor.execute(
        "INSERT OR REPLACE INTO crm_records (conversation_id, crm, what, object, record_id, made, digest, position, "
        "visitor, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            conversation_id, crm, record.what, record.object, record.record_id, record.made, record.digest,
            record.position, visitor, record.at,
        ),
    )  # fmt: skip


def records(reader: Any, conversation_id: int, crm: str) -> list[Record]:
    """What is remembered of a conversation, the oldest first."""
    rows = reader.execute(
        "SELECT what, object, record_id, made, digest, position, at FROM crm_records "
        "WHERE conversation_id = ? AND crm = ? ORDER BY at, what",
        (conversation_id, crm),
    )
    return [Record(*row) for row in rows]


def forget(cursor: Any, conversation_id: int, crm: str) -> None:
    """It is taken away."""
    cursor.execute("DELETE FROM crm_records WHERE conversation_id = ? AND crm = ?", (conversation_id, crm))


def of_visitor(reader: Any, visitor: str) -> list[tuple[int, str]]:
    """(conversation, crm) that hold something of a visitor."""
    rows = reader.execute("SELECT DISTINCT conversation_id, crm FROM crm_records WHERE visitor = ?", (visitor,))
    return [(row[0], row[1]) for row in rows]


def waiting_of_visitor(reader: Any, workspace: str, visitor_id: str) -> list[tuple[int, str]]:
    """(conversation, crm) that are about to be told of a visitor, by the hub's id of him."""
    rows = reader.execute(
        "SELECT DISTINCT d.conversation_id, d.connection FROM deliveries d JOIN conversations c "
        "ON c.id = d.conversation_id WHERE d.state = 0 AND d.command = 'SyncRecords' AND c.workspace = ? "
        "AND json_extract(CAST(c.state AS TEXT), '$.facts.visitor_id') = ?",
        (workspace, visitor_id),
    )
    return [(row[0], row[1]) for row in rows]


def listed(reader: Any, conversation_id: int) -> list[tuple[str, Record]]:
    """(crm, record) of a conversation, for people."""
    rows = reader.execute(
        "SELECT crm, what, object, record_id, made, digest, position, at FROM crm_records "
        "WHERE conversation_id = ? ORDER BY at, what",
        (conversation_id,),
    )
    return [(row[0], Record(*row[1:])) for row in rows]
