"""What we posted, read back from the outbox: for a click on it, or an answer that was typed to it."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.conversation import Conversation
from omnibridge.engine.ids import delivery_of, is_message_id
from omnibridge.rocketchat.clicks import Shown
from omnibridge.storage import journal, outbox


class _Said(msgspec.Struct):
    connection: str = ""


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


def message_of(room: str, message_id: str, body: bytes) -> dict[str, Any]:
    """A message as the REST API would show it, as far as it is ours."""
    said = _body.decode(body)
    kept = {name: said[name] for name in ("attachments", "blocks", "tmid") if said.get(name)}
    return {"_id": message_id, "rid": room, "msg": said.get("text", ""), **kept}
