"""Dialogflow as a connector: glue between the client, the shapes and the service.

DetectIntent is not idempotent. What became of a turn that may have arrived is read back where that can be done (ES, see
marker.py); if it was worked on, or nobody can tell, it is given up and people take over (`bot_down`), unless the
connection says `on_uncertain = "resend"`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

import connectors.dialogflow.cx as cx
import connectors.dialogflow.es as es
from connectors.dialogflow.client import DialogflowClient, load
from connectors.dialogflow.credentials import project_of, read_key
from connectors.dialogflow.draft import Draft, Event, is_content, read_value
from connectors.dialogflow.facts import facts_of, sentiment_of
from connectors.dialogflow.kept import Sessions
from connectors.dialogflow.languages import language_of
from connectors.dialogflow.marker import Markers, is_marker, marker
from connectors.dialogflow.names import CHECK_SESSION, flow_versions, parameter_name, session_path, target_of
from connectors.dialogflow.payloads import plain as plain_value
from connectors.dialogflow.request import Asked
from connectors.dialogflow.settings import DialogflowSettings
from connectors.dialogflow.texts import LONGEST, MOST_PIECES, pieces, plain
from omnibridge.connector import (
    ConfigError,
    ConnectorContext,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    Handover,
    Reply,
    Suggestion,
    Text,
    Turn,
)

CHECK_EVENT = "omnibridge_check"


class DialogflowConnector:
    """Implements Connector, WelcomesVisitors, ResolvesTurns, Suggests, ChecksHealth."""

    settings_type: ClassVar[type[msgspec.Struct]] = DialogflowSettings
    _client: DialogflowClient | None = None
    _keeping: asyncio.Task[None] | None = None

    async def initialize(self, context: ConnectorContext) -> None:
        settings: DialogflowSettings = context.settings
        try:
            await asyncio.to_thread(load, settings.edition)
        except ImportError as exc:
            raise ConfigError(f"connection {context.name}: {exc}: pip install 'omnibridge[dialogflow]'") from exc
        try:
            key = read_key(settings.credentials, settings.client_email)
            self._project = settings.project or project_of(key)
            self._versions = flow_versions(settings, self._project)
            client = DialogflowClient(settings.edition, target_of(settings), key, context.count)
        except ValueError as exc:
            raise ConfigError(f"connection {context.name}: {exc}") from None
        await self.aclose()
        self._settings, self._context, self._client = settings, context, client
        self._markers = Markers(int(settings.settle_s * 1000), client.context, self._try_marker, context.notes)
        self._sessions = Sessions(settings.keep_contexts_s * 1000, context.notes)
        if settings.keep_alive_event:
            prefix = self._path(CHECK_SESSION).removesuffix(CHECK_SESSION)
            if self._sessions.take_up(prefix, context.clock.now_ms()):
                self._keeping = asyncio.create_task(self._keep_alive())

    async def on_start(self, turn: Turn) -> Reply:
        """The configured event: Dialogflow says nothing by itself when a conversation begins."""
        return await self._turn(turn, [Event(self._settings.welcome)]) if self._settings.welcome else Reply()

    async def on_message(self, turn: Turn) -> Reply:
        meant = read_value(turn.choice_value) if turn.choice_value else None
        if isinstance(meant, Handover):
            return Reply(handover=meant)
        if meant is True:
            return Reply(close=True)
        if isinstance(meant, Event):
            return await self._turn(turn, [meant])
        text = turn.choice_value or plain(turn.text)
        if not text:
            return Reply()
        if len(text) <= LONGEST or self._long_text == "whole":
            return await self._turn(turn, [text])
        self._context.count("long_texts", 1)
        if self._long_text == "tell":
            return Reply((Text(self._settings.long_text_answer),))
        found = pieces(text)[: MOST_PIECES if self._long_text == "split" else 1]
        if sum(map(len, found)) < len(text) - len(found):
            self._context.count("long_texts_cut", 1)
        return await self._turn(turn, found)

    async def resolve(self, turn: Turn) -> Reply | None:
        """None = certainly not worked on. What was worked on has lost its answer."""
        if not self._is_marked:
            raise DeliveryRejected("it may have arrived before, and Dialogflow cannot tell", code="uncertain")
        now_ms = self._context.clock.now_ms()
        if not await self._markers.was_worked_on(self._path(turn.session_id), turn.delivery_id, now_ms):
            self._context.count("turns_not_arrived", 1)
            return None
        self._context.count("answers_lost", 1)
        if self._settings.lost_text:
            return Reply((Text(self._settings.lost_text),), fallback=True)
        raise DeliveryRejected("the agent worked on it, and its answer is lost", code="answer-lost")

    async def suggest(self, text: str, session_id: str) -> Suggestion:
        """Without facts, contexts or fields: nothing is known of this session, and nothing is kept of it."""
        settings = self._settings
        said = plain(text)[:LONGEST]
        if not said:
            return Suggestion()
        asked = Asked(self._path(session_id), said, settings.languages[0], payload={"suggestion": True})
        result = await self._detect(asked)
        read = cx.read if settings.edition == "cx" else es.read
        draft = read(settings, result, is_event=False)
        sure = (result.get("match") or {}).get("confidence", result.get("intent_detection_confidence", 0.0))
        reply = "\n".join(each.text for each in draft.parts if isinstance(each, Text))
        return Suggestion("" if draft.fallback else draft.intent, sure or 0.0, "" if draft.fallback else reply)

    async def on_close(self, session_id: str, reason: str) -> None:
        """Closed for good, or somebody else serves: then it may come back, and what the agent knew is kept."""
        path = self._path(session_id)
        if reason != "closed":
            self._sessions.away(path, self._context.clock.now_ms())
            if self._settings.keep_alive_event and self._keeping is None:
                self._keeping = asyncio.create_task(self._keep_alive())
            return
        if self._settings.close_event:
            language = self._sessions.language(path) or self._settings.languages[0]
            try:
                await self._detect(Asked(path, Event(self._settings.close_event), language))
            except DeliveryUncertain as exc:  # it would be sent again, and may have been worked on
                self._context.count("close_event_uncertain", 1)
                self._context.log("close_event_uncertain", code=exc.code)
        self._sessions.over(path)

    async def check(self) -> str:
        """An event that no intent listens to, in a session of its own: it moves no conversation."""
        settings = self._settings
        await self._detect(Asked(self._path(CHECK_SESSION), Event(CHECK_EVENT), settings.languages[0]))
        place = settings.agent if settings.edition == "cx" else settings.environment or "draft"
        found = f"Dialogflow {settings.edition.upper()}, project {self._project}, {settings.location}, {place}"
        if not self._is_marked:
            return found
        try:
            is_readable = await self._markers.prove()
        except DeliveryError as exc:
            return f"{found}; contexts cannot be read ({exc}), so what became of a broken call is not found out"
        return found if is_readable else f"{found}; contexts are not kept, so what became of a broken call is unknown"

    async def aclose(self) -> None:
        client, keeping = self._client, self._keeping
        self._client = self._keeping = None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        if client is not None:
            await client.aclose()

    @property
    def _long_text(self) -> str:
        return self._settings.long_text or ("split" if self._settings.edition == "es" else "whole")

    async def _turn(self, turn: Turn, given: Sequence[str | Event]) -> Reply:
        """Give the agent one thing after the other, and join what it answers."""
        path = self._path(turn.session_id)
        drafts: list[Draft] = []
        for what in given:
            try:
                draft = await self._ask(turn, path, what, is_first=not drafts)
            except DeliveryRetryable as exc:
                if not drafts:
                    raise
                raise DeliveryUncertain("a part of it was given to Dialogflow", code="partly-given") from exc
            drafts.append(draft)
            if draft.handover or draft.close:
                return self._joined(turn, path, drafts)
        if drafts[-1].event is not None:
            await self._follow(turn, path, drafts[-1], drafts[-1].event)
        return self._joined(turn, path, drafts)

    async def _follow(self, turn: Turn, path: str, draft: Draft, event: Event) -> None:
        """The event that the agent asked for; one per turn, for it may ask for ever. Its answer so far is not lost."""
        try:
            followed = await self._ask(turn, path, event, is_first=False)
        except DeliveryError as exc:
            draft.lost["event-failed"] += 1
            self._context.log("event_failed", delivery=turn.delivery_id, code=exc.code)
            return
        draft.append(followed)
        if followed.event is not None:
            draft.lost["event-of-an-event"] += 1

    def _joined(self, turn: Turn, path: str, drafts: list[Draft]) -> Reply:
        """Of several pieces, what was not understood is left out where another one was."""
        for each in drafts:
            for kind, number in each.lost.items():
                self._context.count(f"degraded_{kind}", number)
            if each.lost:
                self._context.log(
                    "content_degraded", delivery=turn.delivery_id, intent=each.intent, kinds=dict(each.lost)
                )
        understood = [each for each in drafts if not each.fallback]
        if understood and len(understood) < len(drafts):
            self._context.count("fallbacks_left_out", len(drafts) - len(understood))
        said: list[Any] = []
        for each in understood or drafts[:1]:
            said += each.parts
        fields: dict[str, str] = {}
        for each in drafts:
            fields |= each.fields
        silent = self._settings.silent_text
        fallback = not understood
        handover = next((each.handover for each in drafts if each.handover), None)
        close = any(each.close for each in drafts)
        if not said and silent and turn.text and not handover and not close:
            said, fallback = [Text(silent)], True
        # Of a long text in pieces: the last one that was understood, and the worst mood.
        facts = dict((understood or drafts)[-1].facts)
        if moods := [each.facts["sentiment_score"] for each in drafts if "sentiment_score" in each.facts]:
            facts["sentiment_score"] = min(moods)
        new = self._sessions.changed(path, fields)
        if self._sessions.not_noted:
            self._context.count("contexts_not_noted", self._sessions.not_noted)
            self._sessions.not_noted = 0
        return Reply(
            tuple(said),
            handover,
            close,
            fallback,
            fields=new,
            facts=facts,
            intent=next((each.intent for each in understood or drafts if each.intent), ""),
            losses=tuple(dict.fromkeys(kind for each in drafts for kind in each.lost if is_content(kind))),
        )

    async def _ask(self, turn: Turn, path: str, what: str | Event, *, is_first: bool) -> Draft:
        settings, now_ms = self._settings, self._context.clock.now_ms()
        language = language_of(turn.facts, settings.language_facts, settings.languages)
        payload: dict[str, Any] = {**turn.facts, "delivery_id": turn.delivery_id, "session_id": turn.session_id}
        if turn.message_id:
            payload["message_id"] = turn.message_id
        if turn.late:
            payload["late"] = True
        if turn.response_object:
            payload["interaction"] = turn.response_object
        if len(turn.text) > LONGEST:
            payload["text"] = turn.text
        facts = {parameter_name(name): value for name, value in turn.facts.items() if value is not None}
        contexts = self._sessions.forgotten(path, now_ms) if is_first and settings.edition == "es" else ()
        if contexts:
            self._context.count("contexts_given_back", len(contexts))
        if self._is_marked:
            contexts = (*contexts, marker(path, turn.delivery_id))
        result = await self._detect(Asked(path, what, language, facts, payload, contexts))
        is_event = isinstance(what, Event)
        if settings.edition == "cx":
            draft, kept = cx.read(settings, result, is_event=is_event), []
        else:
            draft, kept = es.read(settings, result, is_event=is_event), es.kept_contexts(settings, result)
        self._sessions.used(path, now_ms, tuple(each for each in kept if not is_marker(each)), language)
        draft.fields |= self._fields(result)
        draft.facts = facts_of(result)
        if result["webhook_failures"]:
            self._context.count("agent_webhook_failed", 1)
            self._context.log("agent_webhook_failed", delivery=turn.delivery_id, codes=result["webhook_failures"])
        return draft

    def _fields(self, result: dict[str, Any]) -> dict[str, str]:
        """Parameters and sentiment that the configuration names, as custom fields of the room."""
        settings, parameters = self._settings, result.get("parameters") or {}
        found = {
            name: plain_value(parameters[parameter])
            for parameter, name in settings.fields.items()
            if isinstance(parameters.get(parameter), str | int | float) and parameters[parameter] != ""
        }
        if settings.sentiment_field and (sentiment := sentiment_of(result)):
            found[settings.sentiment_field] = f"{sentiment['sentiment_score']:.2f}"
        return found

    @property
    def _is_marked(self) -> bool:
        return self._settings.edition == "es" and self._settings.settle_s > 0

    async def _try_marker(self, identity: str) -> str:
        path = self._path(CHECK_SESSION)
        language = self._settings.languages[0]
        await self._detect(Asked(path, Event(CHECK_EVENT), language, contexts=(marker(path, identity),)))
        return path

    async def _detect(self, asked: Asked) -> dict[str, Any]:
        settings, client = self._settings, self._client
        if client is None:
            raise DeliveryRetryable("the connection is closed", code="closed")
        if settings.edition == "cx":
            return await client.detect(cx.request(settings, asked, self._versions), settings.turn_timeout_s)
        return await client.detect(es.request(settings, asked), settings.turn_timeout_s)

    async def _keep_alive(self) -> None:
        """Sends the event to sessions that are away, until they come back or the cap; a failure is counted."""
        every_ms = int(self._settings.keep_alive_every_s * 1000)
        while True:
            await asyncio.sleep(self._settings.keep_alive_every_s)
            now_ms = self._context.clock.now_ms()
            for path, session in self._sessions.due(now_ms, every_ms):
                session.pinged_at = now_ms
                asked = Asked(path, Event(self._settings.keep_alive_event), session.language)
                try:
                    await self._detect(asked)
                except DeliveryError as exc:
                    self._context.count("keep_alive_failed", 1)
                    self._context.log("keep_alive_failed", code=exc.code)
                else:
                    self._context.count("keep_alive", 1)

    def _path(self, session_id: str) -> str:
        return session_path(self._settings, self._project, session_id)
