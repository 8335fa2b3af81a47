"""Messaging for In-App and Web as a desk: glue between chats, the client and the service."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec

from connectors.salesforce.calls import over
from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.client import OrgClient
from connectors.salesforce_messaging.codes import CODES
from connectors.salesforce_messaging.follow import Follower
from connectors.salesforce_messaging.opening import history_of, session_of
from connectors.salesforce_messaging.pacing import Pacer
from connectors.salesforce_messaging.reopen import end_old
from connectors.salesforce_messaging.sending import send
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings, checked
from connectors.salesforce_messaging.state import Kept, encode, uuid4_of
from connectors.salesforce_messaging.stream import Position
from connectors.salesforce_messaging.told import read
from omnibridge.connector import (
    ConfigError,
    ConnectorContext,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    FilePolicy,
    Reply,
    Turn,
)
from omnibridge.connector.desks import Codes, Opening, Session, SessionEvent

READY_S = 1.0
"""So long a turn waits for a conversation that is being made; then it is tried again."""
NOT_READY_S = 2.0
GONE, CLOSE_S = ("bad-request", "not-found"), 2.0
"""Refusals of a close by which it was never made, or is closed; after others it is tried again, after so long."""
CHECK_USER = "omnibridge-check"


class SalesforceMessagingConnector:
    """Implements Connector, HoldsSessions, ResolvesTurns, HearsTyping, TakesFiles, ChecksHealth."""

    settings_type: ClassVar[type[msgspec.Struct]] = SalesforceMessagingSettings
    codes: ClassVar[Codes] = CODES
    _shared: Shared | None = None

    def __init__(self) -> None:
        self._chats: dict[str, Chat] = {}
        self._receipts: set[asyncio.Task[None]] = set()
        self._has_receipts = True
        self._pacer: Pacer | None = None

    async def initialize(self, context: ConnectorContext) -> None:
        settings: SalesforceMessagingSettings = context.settings
        try:
            identity = checked(settings)
            org = OrgClient(
                context.create_client,
                lambda: context.clock.now_ms() / 1000,
                scrt_url=settings.url,
                org_id=settings.org_id,
                developer_name=settings.es_developer_name,
                timeout_s=settings.turn_timeout_s,
                streams=settings.streams,
            )
        except ConfigError as exc:
            raise ConfigError(f"connection {context.name}: {exc}") from None
        self._pacer = self._pacer or Pacer(context.clock.monotonic)
        before, self._shared = self._shared, Shared(context, settings, org, identity, self._pacer)
        self._has_receipts = settings.receipts
        if before is not None:
            await before.aclose()
        for chat in self._chats.values():
            chat.interrupt()

    def _now(self) -> Shared:
        assert self._shared is not None, "initialize was not called"
        return self._shared

    # -- sessions -----------------------------------------------------------------------------------------

    async def open(self, opening: Opening) -> bytes:
        """Only a token is asked for: nothing is at Salesforce before this state is durable (follow.py)."""
        shared = self._now()
        settings, now_ms = shared.settings, shared.context.clock.now_ms()
        conversation = uuid4_of(opening.session_id, opening.delivery_id)
        if settings.business_hours and not await self._is_open():
            return encode(Kept(conversation))
        user = ""
        if shared.identity is not None:
            user = str(opening.facts.get(settings.user_fact) or "") if settings.user_fact else ""
            user = user or f"omnibridge-{opening.session_id}"
        access = await shared.access(user)
        session, history = session_of(settings, opening), history_of(settings, opening, now_ms)
        return encode(Kept(conversation, access, user, session, history, Position(access.last_event_id)))

    async def _is_open(self) -> bool:
        """Where that cannot be told, the desk is asked."""
        shared = self._now()
        try:
            return await shared.org.is_open(shared.context.clock.now_ms())
        except DeliveryError as exc:
            shared.context.log("business_hours_unknown", code=exc.code)
            return True

    def attach(self, session: Session) -> None:
        self._chats[session.id] = Chat(session)

    def detach(self, session_id: str) -> None:
        chat = self._chats.pop(session_id, None)
        if chat is not None:
            chat.forget()
            if self._pacer is not None:
                self._pacer.forget(chat.kept.conversation)

    async def follow(self, session: Session) -> None:
        await Follower(self._chats[session.id], self._now, self._acknowledge).run()

    def read_session(self, body: bytes) -> tuple[SessionEvent, ...]:
        return read(body, self._now().settings)

    def _acknowledge(self, chat: Chat, entries: list[str]) -> None:
        if self._has_receipts:
            task = asyncio.create_task(self._receipt(chat, entries))
            self._receipts.add(task)
            task.add_done_callback(self._receipts.discard)

    async def _receipt(self, chat: Chat, entries: list[str]) -> None:
        """It never fails a chat."""
        shared = self._now()
        try:
            taken = await shared.org.acknowledge(chat.access, chat.kept.conversation, entries, is_read=False)
        except DeliveryError:
            shared.context.count("receipts_failed", 1)
            return
        if not taken:
            self._has_receipts = False
            shared.context.log("receipts_off")

    # -- what visitors do ---------------------------------------------------------------------------------

    async def on_message(self, turn: Turn) -> Reply:
        chat = self._chats.get(turn.session_id)
        if chat is None or chat.kept.is_over:
            # The decision that follows from it is under way, and takes the turn elsewhere.
            raise over()
        async with chat.talking:  # not while its conversation becomes another one
            if not chat.ready.is_set():
                try:
                    async with asyncio.timeout(READY_S):
                        await chat.ready.wait()
                except TimeoutError:
                    raise DeliveryRetryable(
                        "the conversation is not made yet", code="not-ready", retry_after_s=NOT_READY_S, answered=True
                    ) from None
            return await send(chat, self._now(), turn)

    async def resolve(self, turn: Turn) -> None:
        """Send it again: Salesforce takes an id once."""
        if turn.session_id not in self._chats:
            raise over()

    async def on_typing(self, session_id: str, is_typing: bool) -> None:
        chat = self._chats.get(session_id)
        if chat is not None and chat.ready.is_set() and not chat.kept.is_over and self._now().settings.typing:
            await self._now().org.typing(chat.access, chat.kept.conversation, is_typing)

    def file_policy(self) -> FilePolicy | None:
        settings = self._now().settings
        return FilePolicy(settings.file_types, settings.max_file_bytes) if settings.files else None

    async def on_close(self, session_id: str, reason: str) -> None:
        """Without state nothing was made at Salesforce. What cannot be ended by a dead guest ends by itself."""
        chat = self._chats.get(session_id)
        if chat is None or chat.kept.access is None:
            return
        chat.is_closing = True
        async with chat.beginning:  # a call that makes it may be under way
            try:
                await self._close(chat)
            except DeliveryRejected as exc:
                if exc.code not in GONE:  # a page of maintenance, keys that are wrong for a while: the agent waits
                    raise DeliveryRetryable(str(exc), code=exc.code, retry_after_s=CLOSE_S) from exc
                self._now().context.log("conversation_gone", room=chat.session.room, code=exc.code)

    async def _close(self, chat: Chat) -> None:
        shared = self._now()
        await end_old(chat, shared)
        try:
            await shared.org.close(chat.access, chat.kept.conversation)
        except DeliveryRetryable as exc:
            if exc.code != "token":
                raise
            if not chat.kept.user:
                shared.context.count("conversations_not_closed", 1)
                return
            await shared.org.close(await shared.access(chat.kept.user), chat.kept.conversation)

    # -- around -------------------------------------------------------------------------------------------

    async def check(self) -> str:
        shared = self._now()
        user = CHECK_USER if shared.identity is not None else ""
        access = await shared.access(user)
        is_open = await shared.org.is_open(shared.context.clock.now_ms())
        who = "verified users" if user else "guests"
        minutes = max(0, int(access.expires_s - shared.now_s())) // 60
        hours = "" if is_open else "; outside of business hours now"
        return f"answers; visitors are {who}, whose tokens live {minutes} min{hours}"

    async def aclose(self) -> None:
        for task in list(self._receipts):
            task.cancel()
        await asyncio.gather(*self._receipts, return_exceptions=True)
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.aclose()
