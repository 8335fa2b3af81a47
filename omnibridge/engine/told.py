"""What a conversation was told or has said, looked up in journal and outbox: the reconciler compares with it."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.commands import SendToParty
from omnibridge.domain.events import PartyReplied
from omnibridge.domain.stored_events import read_event
from omnibridge.engine.ids import delivery_of
from omnibridge.rocketchat.derive_read import found_key
from omnibridge.rocketchat.rooms import HubMessage
from omnibridge.storage import journal, outbox

_turn = msgspec.json.Decoder(SendToParty)


class ToldInJournal:
    """Implements `rocketchat.reconcile.Told`. conversation_id 0 = a room that we do not know."""

    def __init__(self, reader: Any, conversation_id: int) -> None:
        self._reader, self._id = reader, conversation_id

    def is_posted(self, message: HubMessage) -> bool:
        return self._is_ours(message) or self._is_event(message.id)

    def knows(self, message_id: str) -> bool:
        """Whether a message of this id was reported, or written by us."""
        return self._is_event(message_id) or self._written_by(message_id) is not None

    def is_edited(self, message: HubMessage) -> bool:
        edit = f"edit:{message.id}:{message.edited_at_ms}"
        return self._is_ours(message) or journal.has_event(self._reader, self._id, edit)

    def lacks_deletion(self, message_id: str) -> bool:
        return self.knows(message_id) and not journal.has_event(self._reader, self._id, f"del:{message_id}")

    def answers(self, message_id: str) -> str | None:
        """Our post -> the decision for the bot's reply -> the turn that it replied to -> the visitor's message."""
        found = self._written_by(message_id)
        if found is None:
            return None
        command, event_id = found
        data = journal.event_of(self._reader, event_id) if command == "SendToVisitor" else None
        event = read_event(data) if data else None
        body = outbox.body_of(self._reader, event.delivery_id) if isinstance(event, PartyReplied) else None
        return _turn.decode(body).message_id if body else ""

    def _is_ours(self, message: HubMessage) -> bool:
        # A visitor chooses the ids of his messages: what has his token is his.
        return not message.from_visitor and self._written_by(message.id) is not None

    def _is_event(self, message_id: str) -> bool:
        keys = (f"msg:{message_id}", found_key(message_id))
        return any(journal.has_event(self._reader, self._id, key) for key in keys)

    def _written_by(self, message_id: str) -> tuple[str, int] | None:
        return outbox.written_by(self._reader, self._id, delivery_of(message_id), message_id)
