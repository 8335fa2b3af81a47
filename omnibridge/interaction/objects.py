"""The response object of a turn, where it has one: something was pressed, or an offered answer was typed."""

from __future__ import annotations

from typing import Any

from omnibridge.domain.commands import SendToParty
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.interactions import Interaction
from omnibridge.interaction.offered import typed
from omnibridge.interaction.response_object import channel_of, response_object
from omnibridge.interaction.response_url import ResponseUrls, Target
from omnibridge.rocketchat.leaves import text_of
from omnibridge.storage.outbox import Delivery


class ResponseObjects:
    """reader: of the database. A turn that is given again has the same object, so its times are the row's."""

    def __init__(self, reader: Any, urls: ResponseUrls) -> None:
        self._reader, self._urls = reader, urls

    def of(self, row: Delivery, workspace: str, conversation: Conversation, said: SendToParty) -> dict[str, Any] | None:
        """None for words of the visitor's own."""
        if said.interaction is not None:
            interaction = said.interaction
        elif said.choice_value:
            interaction = typed(self._reader, row, conversation, said.message_id, said.text, said.choice_value)
        else:
            return None
        name = text_of(conversation.facts.get("visitor_name")) or text_of(conversation.facts.get("visitor_username"))
        url = self._urls.make(self._target(row, workspace, conversation.room, interaction))
        return response_object(interaction, channel_of(conversation.room, name), url, row.created_at, row.created_at)

    def _target(self, row: Delivery, workspace: str, room: str, interaction: Interaction) -> Target:
        first = interaction.actions[0]
        return Target(
            workspace,
            room,
            row.connection,
            interaction.message_id,
            first.block_id,
            first.action_id,
            interaction.thread_id,
            interaction.id,
            int(row.created_at / 1000 + self._urls.ttl_s),
        )
