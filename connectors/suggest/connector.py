"""Intent and suggested reply from the bot of another connection, shown to people only while they are in control."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from omnibridge.connector import (
    ConfigError,
    ConnectorContext,
    DeliveryRejected,
    Finding,
    Findings,
    Intent,
    Observed,
    SuggestedReply,
    Suggests,
)


class SuggestSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """connection: whose bot is asked. min_confidence: intents below are left out. replies: also what it would say."""

    connection: str
    min_confidence: float = 0.0
    replies: bool = True


class SuggestConnector:
    """Implements Analyzes. The bot is asked in a session of its own, so its conversation with the visitor stays."""

    settings_type: ClassVar[type[msgspec.Struct]] = SuggestSettings
    version = "suggest-1"

    async def initialize(self, context: ConnectorContext) -> None:
        self._settings: SuggestSettings = context.settings
        self._context = context
        if self._settings.connection == context.name:
            raise ConfigError(f"analyser {context.name}: connection must name a bot, not this analyser")

    async def on_observed(self, message: Observed) -> Findings | None:
        wanted = message.author == "visitor" and message.control == "people" and message.change != "deleted"
        if not wanted or not message.text.strip():
            return None
        bot = self._context.connector(self._settings.connection)
        if not isinstance(bot, Suggests):
            raise DeliveryRejected(
                f"[[connection]] {self._settings.connection!r} is not there, or its bot cannot be asked", code="no-bot"
            )
        found = await bot.suggest(message.text, message.session_id)
        items: list[Finding] = []
        if found.intent and found.confidence >= self._settings.min_confidence:
            items.append(Intent(found.intent, found.confidence))
        if found.reply and self._settings.replies:
            items.append(SuggestedReply(found.reply))
        return Findings(tuple(items))

    async def aclose(self) -> None:
        """Holds nothing open: the bot belongs to its connection."""
