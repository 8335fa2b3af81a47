"""A webhook bot as a connector: glue between the client, the shapes and the service.

The bot folds repeats by `webhook-id`. So a turn whose answer was cut off is asked again under the same id, and
either its first answer comes back or it is worked on now: both is the answer of that one turn. For a bot that
does not fold: `on_uncertain = "bury"`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from connectors.webhook_bot.abilities import Abilities
from connectors.webhook_bot.client import WebhookClient
from connectors.webhook_bot.convert import closed_body, closed_id, to_reply, turn_body, turn_id
from connectors.webhook_bot.questions import question, to_suggestion
from connectors.webhook_bot.settings import WebhookBotSettings
from omnibridge.connector import ConnectorContext, Reply, Suggestion, Turn


class WebhookBotConnector(Abilities):
    """Implements Connector, WelcomesVisitors, ResolvesTurns, Suggests, ChecksHealth, ReadsAnswers; HearsTyping and
    others by Abilities."""

    settings_type: ClassVar[type[msgspec.Struct]] = WebhookBotSettings
    _client: WebhookClient | None = None

    async def initialize(self, context: ConnectorContext) -> None:
        await self.aclose()
        self._settings, self._welcome, self._clock = context.settings, context.settings.welcome, context.clock
        self._keep = context.keep_file
        self._bot = self._client = WebhookClient(context)

    async def on_start(self, turn: Turn) -> Reply:
        if not self._welcome:
            return Reply()
        begun = msgspec.structs.replace(turn, text=self._welcome)
        return await self._reply(await self._bot.post(turn_id(turn), turn_body("welcome", begun)))

    async def on_message(self, turn: Turn) -> Reply:
        return await self._reply(await self._bot.post(turn_id(turn), turn_body("message", turn)))

    async def resolve(self, turn: Turn) -> Reply:
        is_start = not (turn.text or turn.choice_value or turn.message_id)
        return await (self.on_start(turn) if is_start else self.on_message(turn))

    async def suggest(self, text: str, session_id: str) -> Suggestion:
        return to_suggestion(await self._bot.post(*question(session_id, text)))

    read_answer = staticmethod(to_reply)

    async def on_close(self, session_id: str, reason: str) -> None:
        await self._bot.post(closed_id(session_id, self._clock.now_ms()), closed_body(session_id, reason))

    async def check(self) -> str:
        return f"answers (HTTP {await self._bot.health()})"

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()
