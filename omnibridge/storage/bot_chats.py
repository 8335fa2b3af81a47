"""Chats of bots of the bot API, and what the bots said in them.

Functions that take a cursor are units of the writer; the others only read.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, UniqueConstraint

from omnibridge.storage.statements import Insert
from omnibridge.storage.tables import metadata

bot_chats = Table(
    "bot_chats",
    metadata,
    # A conversation's number for a bot: small enough for clients that know no integers beyond 2^53.
    Column("id", Integer, primary_key=True),
    Column("connection", String, nullable=False),
    Column("session", String, nullable=False),
    Column("first_name", String, nullable=False),
    Column("last_message_id", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("connection", "session", name="ux_bot_chats_session"),
    sqlite_autoincrement=True,
)

bot_messages = Table(
    "bot_messages",
    metadata,
    # What bots said: found again when a visitor chooses one of its buttons, or the bot edits it.
    Column("chat_id", Integer, primary_key=True),
    Column("message_id", Integer, primary_key=True),
    Column("observation_id", BigInteger, nullable=False),  # of the callback that it was journalled as
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # Message as JSON
    Column("edited_by", BigInteger, nullable=False, server_default="0"),  # callback of its last edit; 0 = none
)


class Chat(msgspec.Struct, frozen=True):
    """A conversation as a bot knows it."""

    id: int
    connection: str
    session: str
    first_name: str
    last_message_id: int
    created_at: int


_CHAT = ", ".join(Chat.__struct_fields__)
_insert_chat = Insert(bot_chats, *Chat.__struct_fields__[1:])
_insert_message = Insert(bot_messages, "chat_id", "message_id", "observation_id", "at", "body")


def chat_for(cursor: Any, connection: str, session: str, first_name: str, at: int) -> Chat:
    """The chat of a session, made when there is none."""
    found = chat_of(cursor, connection, session)
    if found is None:
        _insert_chat(cursor, connection, session, first_name, 0, at)
        found = chat_of(cursor, connection, session)
        assert found is not None
    elif found.first_name != first_name:
        cursor.execute("UPDATE bot_chats SET first_name = ? WHERE id = ?", (first_name, found.id))
    return found


def chat_of(reader: Any, connection: str, session: str) -> Chat | None:
    row = reader.execute(
        f"SELECT {_CHAT} FROM bot_chats WHERE connection = ? AND session = ?",  # noqa: S608 - fixed names
        (connection, session),
    ).fetchone()
    return Chat(*row) if row else None


def chat(reader: Any, connection: str, chat_id: int) -> Chat | None:
    """None when it is not this bot's."""
    row = reader.execute(
        f"SELECT {_CHAT} FROM bot_chats WHERE id = ? AND connection = ?",  # noqa: S608 - fixed names
        (chat_id, connection),
    ).fetchone()
    return Chat(*row) if row else None


def next_message_id(cursor: Any, chat_id: int) -> int:
    """Of a message that is written in the same unit."""
    cursor.execute("UPDATE bot_chats SET last_message_id = last_message_id + 1 WHERE id = ?", (chat_id,))
    return int(cursor.execute("SELECT last_message_id FROM bot_chats WHERE id = ?", (chat_id,)).fetchone()[0])


def keep_message(cursor: Any, chat_id: int, message_id: int, observation_id: int, at: int, body: bytes) -> None:
    _insert_message(cursor, chat_id, message_id, observation_id, at, body)


def change_message(cursor: Any, chat_id: int, message_id: int, body: bytes) -> None:
    cursor.execute("UPDATE bot_messages SET body = ? WHERE chat_id = ? AND message_id = ?", (body, chat_id, message_id))


def message(reader: Any, chat_id: int, message_id: int) -> bytes | None:
    """What a bot said; None when it is not known (any more)."""
    row = reader.execute(
        "SELECT body FROM bot_messages WHERE chat_id = ? AND message_id = ?", (chat_id, message_id)
    ).fetchone()
    return bytes(row[0]) if row else None


def latest_messages(reader: Any, chat_id: int, most: int) -> list[bytes]:
    """What the bot said last, newest first."""
    rows = reader.execute(
        "SELECT body FROM bot_messages WHERE chat_id = ? ORDER BY message_id DESC LIMIT ?", (chat_id, most)
    )
    return [bytes(each[0]) for each in rows]
