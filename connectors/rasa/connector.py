"""Rasa as a connector: glue between the client, the shapes and the service.

Rasa has no idempotency key, hides failure as `200 []`, and forgets a turn when the caller hangs up. So every
turn carries its delivery id in the metadata, and what became of a cut call is read from the tracker.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from connectors.rasa.client import RasaClient
from connectors.rasa.convert import events_to_messages, read_callback, to_message, to_reply
from connectors.rasa.settings import RasaSettings
from connectors.rasa.tracks import MARK, find_turn, was_accepted
from omnibridge.connector import (
    Callback,
    ConfigError,
    ConnectorContext,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    FilePolicy,
    Reply,
    Suggestion,
    Text,
    Turn,
)

SHORTEST_TOKEN = 8


class RasaConnector:
    """Implements Connector, WelcomesVisitors, ResolvesTurns, Suggests, ChecksHealth, ReceivesCallbacks, TakesFiles."""

    settings_type: ClassVar[type[msgspec.Struct]] = RasaSettings

    async def initialize(self, context: ConnectorContext) -> None:
        settings: RasaSettings = context.settings
        if not settings.url.startswith(("http://", "https://")):
            raise ConfigError(f"connection {context.name}: url must begin with http:// or https://")
        if "texts" in settings.fallback_detection and not settings.fallback_texts:
            raise ConfigError(f"connection {context.name}: fallback_detection names texts, but fallback_texts is empty")
        if settings.callback_token and len(settings.callback_token) < SHORTEST_TOKEN:
            raise ConfigError(f"connection {context.name}: callback_token needs {SHORTEST_TOKEN} characters at least")
        if settings.channel == "callback" and not settings.callback_token:
            raise ConfigError(f"connection {context.name}: channel callback needs a callback_token, which Rasa sends")
        if settings.channel == "callback" and settings.silent_text:
            raise ConfigError(f"connection {context.name}: silent_text works with channel rest only")
        await self.aclose()
        self._settings, self._context = settings, context
        http = context.create_client(base_url=settings.url.rstrip("/"), timeout_s=settings.turn_timeout_s)
        self._client: RasaClient | None = RasaClient(http, settings.token, settings.turn_timeout_s)

    async def on_start(self, turn: Turn) -> Reply:
        """The configured welcome, e.g. `/greet`: Rasa says nothing by itself when a conversation begins."""
        return await self._turn(turn, self._settings.welcome) if self._settings.welcome else Reply()

    async def on_message(self, turn: Turn) -> Reply:
        message = to_message(turn.text, turn.choice_value) or (self._settings.file_message if turn.files else "")
        return await self._turn(turn, message) if message else Reply()

    async def on_close(self, session_id: str, reason: str) -> None:
        if self._settings.goodbye_intent:
            await self._rasa.trigger(session_id, self._settings.goodbye_intent)

    async def resolve(self, turn: Turn) -> Reply | None:
        """The answer of a turn that Rasa has recorded, None when it has not."""
        if self._is_callback and not self._settings.mark_turns:
            raise DeliveryRejected("turns are not marked, so Rasa cannot tell", code="uncertain")
        tracker = await self._rasa.tracker(turn.session_id)
        events = tracker.get("events")
        if not isinstance(events, list):
            raise DeliveryRejected("the tracker shows no events", code="no-events")
        if self._is_callback:
            return Reply(accepted=True) if was_accepted(events, turn.delivery_id) else None
        found = find_turn(events, turn.delivery_id)
        if found is None:
            return None
        message, following = found
        messages = events_to_messages(following)
        is_paused = bool(tracker.get("paused"))
        reply = to_reply(messages, self._texts()) if messages else self._stand_in(turn, is_paused=is_paused)
        return self._with_intent(reply, message)

    async def suggest(self, text: str, session_id: str) -> Suggestion:
        found = await self._rasa.parse(text)
        intent = found.get("intent")
        name, sure = (intent.get("name"), intent.get("confidence")) if isinstance(intent, dict) else ("", 0.0)
        reply = ""
        if self._settings.suggest_replies:
            answer = to_reply(await self._rasa.turn({"sender": session_id, "message": text}), self._texts())
            reply = "" if answer.fallback else "\n".join(each.text for each in answer.parts if isinstance(each, Text))
        name = name if isinstance(name, str) and name != "nlu_fallback" else ""
        return Suggestion(name, sure if isinstance(sure, float | int) else 0.0, reply)

    def file_policy(self) -> FilePolicy | None:
        """Through the rest channel only: the callback channel drops metadata."""
        return FilePolicy() if self._settings.file_message and not self._is_callback else None

    def callback_token(self) -> str:
        return self._settings.callback_token

    def read_callback(self, body: bytes) -> Callback:
        return read_callback(body, self._texts())

    async def check(self) -> str:
        """Version and channel; the HTTP API only when a setting needs it: it alone looks at the token."""
        version = await self._rasa.version()
        if not version:
            raise DeliveryRejected("this is not Rasa: /version tells none; correct url", code="not-found")
        await self._rasa.channel()
        settings = self._settings
        needs_api = settings.token or settings.goodbye_intent or settings.ask_tracker_when_silent
        if needs_api or "tracker" in settings.fallback_detection:
            return f"Rasa {version}, model {await self._rasa.model()}"
        return f"Rasa {version}"

    async def aclose(self) -> None:
        client = getattr(self, "_client", None)
        if client is not None:
            self._client = None
            await client.aclose()

    @property
    def _is_callback(self) -> bool:
        return self._settings.channel == "callback"

    @property
    def _rasa(self) -> RasaClient:
        if self._client is None:
            raise DeliveryRetryable("the connection is closed", code="closed")
        return self._client

    async def _turn(self, turn: Turn, message: str) -> Reply:
        metadata = {**turn.facts, "delivery_id": turn.delivery_id}
        if turn.late:
            metadata["late"] = True
        if turn.response_object:
            metadata["interaction"] = turn.response_object
        if turn.files:
            metadata["files"] = msgspec.to_builtins(turn.files)
        body: dict[str, Any] = {"sender": turn.session_id, "message": message, "metadata": metadata}
        if self._settings.input_channel:
            body["input_channel"] = self._settings.input_channel
        if self._is_callback:
            return await self._give(turn, body)
        messages = await self._rasa.turn(body)
        reply = to_reply(messages, self._texts())
        if not messages:
            reply = await self._silent(turn)
        return await self._marked(turn, reply)

    async def _give(self, turn: Turn, body: dict[str, Any]) -> Reply:
        """Through the callback channel: the messages have been sent to our address when this returns."""
        if self._settings.mark_turns:
            await self._mark(turn)
        await self._rasa.accept(body)
        return await self._marked(turn, Reply(accepted=True))

    async def _mark(self, turn: Turn) -> None:
        try:
            await self._rasa.note(turn.session_id, MARK, turn.delivery_id)
        except DeliveryUncertain as exc:
            raise DeliveryRetryable("the turn could not be marked", code=exc.code) from exc

    async def _marked(self, turn: Turn, reply: Reply) -> Reply:
        """As not understood, when the tracker is to be asked and says so."""
        if "tracker" in self._settings.fallback_detection and not reply.fallback:
            tracker = await self._rasa.tracker(turn.session_id, "NONE")
            reply = self._with_intent(reply, tracker.get("latest_message"))
        return reply

    async def _silent(self, turn: Turn) -> Reply:
        """`200 []` is also how Rasa tells that an action raised or its server was down.

        Not retried: the visitor's message is recorded then, and sending it again would be a second turn.
        """
        is_paused = self._settings.ask_tracker_when_silent and await self._explain_silence(turn)
        return self._stand_in(turn, is_paused=is_paused)

    def _stand_in(self, turn: Turn, *, is_paused: bool) -> Reply:
        text = self._settings.silent_text if turn.text and not is_paused else ""
        return Reply((Text(text),), fallback=True) if text else Reply()

    async def _explain_silence(self, turn: Turn) -> bool:
        """Count what kind of silence it is. True when the conversation is paused."""
        tracker = await self._rasa.tracker(turn.session_id, "NONE")
        latest = tracker.get("latest_message")
        metadata = latest.get("metadata") if isinstance(latest, dict) else None
        recorded = isinstance(metadata, dict) and metadata.get("delivery_id") == turn.delivery_id
        is_paused = bool(tracker.get("paused"))
        if is_paused:
            self._context.count("silent_paused", 1)
        else:
            self._context.count("silent" if recorded else "turns_failed", 1)
            self._context.log("bot_said_nothing", delivery=turn.delivery_id, recorded=recorded)
        return is_paused

    def _texts(self) -> tuple[str, ...]:
        return self._settings.fallback_texts if "texts" in self._settings.fallback_detection else ()

    def _with_intent(self, reply: Reply, message: Any) -> Reply:
        """Mark as not understood when the tracker says so."""
        if "tracker" not in self._settings.fallback_detection or not isinstance(message, dict):
            return reply
        parsed = message.get("parse_data") if message.get("event") == "user" else message
        intent = parsed.get("intent") if isinstance(parsed, dict) else None
        name = intent.get("name") if isinstance(intent, dict) else None
        return msgspec.structs.replace(reply, fallback=True) if name == "nlu_fallback" else reply
