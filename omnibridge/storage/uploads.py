"""Bytes that bots gave us, and how far each upload of a file is.

Bytes have a table of their own: the rows of outbox and events stay small, and are read whole all the time. They are in
the database and not beside it, because an answer is durable only together with them: one commit, one backup, one purge.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from omnibridge.storage.retention import first_id_at
from omnibridge.storage.tables import metadata

blobs = Table(
    "blobs",
    metadata,
    Column("id", BigInteger, primary_key=True),  # grows with time, as all ids do
    Column("connection", String, nullable=False),
    Column("name", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    # Written before the step that cannot be repeated, so that what became of it can be looked up.
    Column("delivery_id", BigInteger, primary_key=True),
    Column("file_id", String, nullable=False),  # the hub's; '' = it is uploaded in one step, which tells none before
    Column("name", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("by_relay", Integer, nullable=False, default=0),  # 1 = as the relay account: who uploads must confirm
    Column("message_id", String, nullable=False, default=""),  # of the message that shows it, once that is known
)
Index("ix_uploads_message", uploads.c.message_id)


class Upload(msgspec.Struct, frozen=True):
    """How far a delivery's upload is; columns as in the table."""

    file_id: str
    name: str
    size: int
    by_relay: bool = False
    message_id: str = ""


class Blob(msgspec.Struct, frozen=True):
    name: str
    media_type: str
    content: bytes


def keep(cursor: Any, blob_id: int, connection: str, blob: Blob) -> None:
    cursor.execute(
        "INSERT INTO blobs (id, connection, name, media_type, content) VALUES (?, ?, ?, ?, ?)",
        (blob_id, connection, blob.name, blob.media_type, blob.content),
    )


def kept(reader: Any, blob_id: int, connection: str) -> Blob | None:
    """What a connection gave us under this number; None = nothing, or it is purged."""
    row = reader.execute(
        "SELECT name, media_type, content FROM blobs WHERE id = ? AND connection = ?", (blob_id, connection)
    ).fetchone()
    return Blob(row[0], row[1], bytes(row[2])) if row else None


def load(reader: Any, delivery_id: int) -> Upload | None:
    row = reader.execute(
        "SELECT file_id, name, size, by_relay, message_id FROM uploads WHERE delivery_id = ?", (delivery_id,)
    ).fetchone()
    return Upload(row[0], row[1], row[2], bool(row[3]), row[4]) if row else None


def save(cursor: Any, delivery_id: int, upload: Upload) -> None:
    cursor.execute(
        "INSERT OR REPLACE INTO uploads (delivery_id, file_id, name, size, by_relay, message_id) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (delivery_id, upload.file_id, upload.name, upload.size, int(upload.by_relay), upload.message_id),
    )


def forget(cursor: Any, delivery_id: int) -> None:
    cursor.execute("DELETE FROM uploads WHERE delivery_id = ?", (delivery_id,))


def is_ours(reader: Any, message_id: str) -> bool:
    """Whether a message shows a file of another delivery of ours."""
    row = reader.execute("SELECT 1 FROM uploads WHERE message_id = ?", (message_id,)).fetchone()
    return row is not None


def purge_blobs(cursor: Any, before_ms: int, limit: int) -> int:
    """Few at a time: they are large."""
    few = max(1, limit // 50)
    cursor.execute(
        "DELETE FROM blobs WHERE id IN (SELECT id FROM blobs WHERE id < ? ORDER BY id LIMIT ?)",
        (first_id_at(before_ms), few),
    )
    return int(cursor.rowcount)


def purge_uploads(cursor: Any, before_ms: int, limit: int) -> int:
    cursor.execute(
        "DELETE FROM uploads WHERE delivery_id IN "
        "(SELECT delivery_id FROM uploads WHERE delivery_id < ? ORDER BY delivery_id LIMIT ?)",
        (first_id_at(before_ms), limit),
    )
    return int(cursor.rowcount)
