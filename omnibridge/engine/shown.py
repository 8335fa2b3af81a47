"""What we posted, read back from the outbox: for a click on it, or an answer that was typed to it."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.conversation import Conversation
from omnibridge.domain.interactions import Interaction
from omnibridge.engine.ids import delivery_of, is_message_id
from omnibridge.rocketchat.app_client import message_blocks
from omnibridge.rocketchat.clicks import Shown
from omnibridge.storage import journal, outbox


class _Said(msgspec.Struct):
    connection: str = ""


class _Clicked(msgspec.Struct):
    interaction: Interaction


CLICKS = 10
"""Of a conversation that are looked at, newest first."""

_clicked = msgspec.json.Decoder(_Clicked)
_said = msgspec.json.Decoder(_Said)
_body: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def shown_as(
    reader: Any, secret: bytes, conversation_id: int, conversation: Conversation, message_id: str
) -> Shown | None:
    """None for an id that is not ours, and for one whose row is purged."""
    if not is_message_id(secret, conversation.workspace, conversation.room, message_id):
        return None
    row = outbox.posted(reader, conversation_id, delivery_of(message_id))
    if row is None:
        return None
    connection, event_id, body = row
    if not connection:  # posted by the relay account: the event says for whom
        event = journal.event_of(reader, event_id)
        connection = _said.decode(event).connection if event else ""
    return Shown(connection, message_of(conversation.room, message_id, body))


def blocks_before(
    reader: Any, secret: bytes, conversation_id: int, conversation: Conversation, message_id: str
) -> list[dict[str, Any]]:
    """A message's blocks before one of them was used and went: when it was last clicked, else as we posted it."""
    for each in journal.last_of_kind(reader, conversation_id, "InteractionReceived", CLICKS):
        interaction = _clicked.decode(each).interaction
        if interaction.message_id == message_id:
            return message_blocks(interaction.original)
    found = shown_as(reader, secret, conversation_id, conversation, message_id)
    return message_blocks(found.message) if found else []


def message_of(room: str, message_id: str, body: bytes) -> dict[str, Any]:
    """A message as the REST API would show it, as far as it is ours."""
    said = _body.decode(body)
    kept = {name: said[name] for name in ("attachments", "blocks", "tmid") if said.get(name)}
    return {"_id": message_id, "rid": room, "msg": said.get("text", ""), **kept}
