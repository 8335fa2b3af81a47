"""What visitors change: `edited_message`. Telegram tells bots of no deletion, so none is told here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from omnibridge.clock import Clock
from omnibridge.storage import bot_chats, bot_updates, bots

LOOK_BACK = 200
"""Updates of a bot among which the message is looked for: they are kept for a day."""

_encode = msgspec.json.Encoder().encode


def edited_unit(
    connection: str, session: str, message_id: str, text: str, clock: Clock, count: Callable[[str], None]
) -> Callable[[Any], None]:
    """A unit of work: the update about a message that the bot had; the same change once."""

    def unit(cursor: Any) -> None:
        bot, chat = bots.load(cursor, connection), bot_chats.chat_of(cursor, connection, session)
        if bot is None or chat is None or not bot.wants("edited_message"):
            return
        message = _known(cursor, connection, chat.id, message_id)
        if message is None:
            count("edit_unknown")
            return
        now = clock.now_ms()
        name = "caption" if "caption" in message or "document" in message or "photo" in message else "text"
        changed = {**message, name: text, "edit_date": now // 1000}
        changed.pop("entities", None)
        key = f"edit:{session}:{message_id}:{hash_of(text)}"
        if bot_updates.is_queued(cursor, connection, key):
            return
        number = bot_updates.next_update_id(cursor, connection)
        update = _encode({"update_id": number, "edited_message": changed})
        bot_updates.put(cursor, connection, number, chat.id, key, now, update)

    return unit


def hash_of(text: str) -> str:
    """Short, and the same in each process."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _known(cursor: Any, connection: str, chat_id: int, message_id: str) -> dict[str, Any] | None:
    rows = cursor.execute(
        "SELECT body FROM bot_updates WHERE connection = ? AND chat_id = ? ORDER BY update_id DESC LIMIT ?",
        (connection, chat_id, LOOK_BACK),
    ).fetchall()
    for (body,) in rows:
        message = msgspec.json.decode(body).get("message")
        if isinstance(message, dict) and message.get("omnibridge", {}).get("message_id") == message_id:
            return message
    return None
