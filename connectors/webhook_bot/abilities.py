"""What a webhook bot may be set up to hear besides turns: typing, files, changes of what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.webhook_bot.client import WebhookClient
from connectors.webhook_bot.convert import change_notice, to_reply, typing_notice
from connectors.webhook_bot.given import given_files, with_addresses
from connectors.webhook_bot.settings import WebhookBotSettings
from omnibridge.connector import FilePolicy, KeepFile, Reply

if TYPE_CHECKING:
    from omnibridge.clock import Clock


class Abilities:
    """Implements HearsTyping, TakesFiles, HearsEdits. Nothing of it is sent unless its setting is on."""

    _bot: WebhookClient
    _clock: Clock
    _settings: WebhookBotSettings
    _keep: KeepFile

    async def _reply(self, body: bytes) -> Reply:
        """What the bot answered; bytes that it gave are kept first, so that the reply is durable with them."""
        given = given_files(body)
        if not given:
            return to_reply(body)
        return to_reply(with_addresses(body, [await self._keep(*each) for each in given]))

    async def on_typing(self, session_id: str, is_typing: bool) -> None:
        if self._settings.typing:
            await self._bot.post(*typing_notice(session_id, self._clock.now_ms(), is_typing))

    def file_policy(self) -> FilePolicy | None:
        settings = self._settings
        if not settings.files:
            return None
        return FilePolicy(settings.file_types, settings.max_file_bytes, settings.max_files)

    def wants_edits(self) -> bool:
        return self._settings.edits

    async def on_edit(self, session_id: str, message_id: str, text: str) -> None:
        await self._bot.post(*change_notice("edited", session_id, message_id, self._clock.now_ms(), text))

    async def on_delete(self, session_id: str, message_id: str) -> None:
        await self._bot.post(*change_notice("deleted", session_id, message_id, self._clock.now_ms()))
