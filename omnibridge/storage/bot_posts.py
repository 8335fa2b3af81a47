"""What bots said, and under which id the hub shows it. No table of its own: journal and outbox hold the way.

bot_messages.observation_id ─▶ events ─▶ deliveries.external_id: as long as deliveries are kept ([retention]).
"""

from __future__ import annotations

from typing import Any

SAME_UNIT_MS = 10_000
"""A decision's deliveries are written with its event, and ids grow with time: so the look at the outbox is bounded."""


def said_as(reader: Any, chat_id: int, message_id: int) -> int | None:
    """The observation that a message of a bot's was journalled as; None when it is not known (any more)."""
    row = reader.execute(
        "SELECT observation_id FROM bot_messages WHERE chat_id = ? AND message_id = ?", (chat_id, message_id)
    ).fetchone()
    return int(row[0]) if row else None


def number_of(reader: Any, chat_id: int, observation_id: int) -> int | None:
    """The number of the message that was said, or edited, by an observation."""
    row = reader.execute(
        "SELECT message_id FROM bot_messages WHERE chat_id = ? AND ? IN (observation_id, edited_by)",
        (chat_id, observation_id),
    ).fetchone()
    return int(row[0]) if row else None


def edited_by(cursor: Any, chat_id: int, message_id: int, observation_id: int) -> None:
    """The last edit: where the hub could not change the message, its new words are another message there."""
    cursor.execute(
        "UPDATE bot_messages SET edited_by = ? WHERE chat_id = ? AND message_id = ?",
        (observation_id, chat_id, message_id),
    )


def observation_state(reader: Any, observation_id: int) -> int | None:
    """As in `tables`; None when there is no such observation (any more)."""
    row = reader.execute("SELECT state FROM observations WHERE id = ?", (observation_id,)).fetchone()
    return int(row[0]) if row else None


def hub_ids(reader: Any, conversation_id: int, observation_id: int) -> list[str]:
    """Ids of the messages that an observation's decision had shown, in their order; [] = it was not said."""
    rows = reader.execute(
        "SELECT d.external_id FROM events e JOIN deliveries d ON d.id > e.id AND d.id < e.id + ? "
        "AND d.event_id = e.id AND d.command = 'SendToVisitor' AND d.external_id IS NOT NULL "
        "WHERE e.conversation_id = ? AND e.observation_id = ? ORDER BY d.id",
        (SAME_UNIT_MS << 20, conversation_id, observation_id),
    )
    return [str(each[0]) for each in rows]


def observation_of(reader: Any, conversation_id: int, delivery_id: int) -> int | None:
    """By which observation a message of ours came to be; None when it is not ours, or not of this conversation."""
    row = reader.execute(
        "SELECT e.observation_id FROM deliveries d JOIN events e ON e.id = d.event_id "
        "WHERE d.id = ? AND d.conversation_id = ?",
        (delivery_id, conversation_id),
    ).fetchone()
    return int(row[0]) if row else None
