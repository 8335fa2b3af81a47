"""Live Agent as a desk: glue between chats, the client and the service."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import msgspec

from connectors.salesforce.calls import over
from connectors.salesforce_live_agent.client import Availability, LiveAgent
from connectors.salesforce_live_agent.codes import CODES
from connectors.salesforce_live_agent.errors import NotYet, SessionGone
from connectors.salesforce_live_agent.follow import Follower
from connectors.salesforce_live_agent.live import LiveChat, Shared
from connectors.salesforce_live_agent.opening import event_of, history_of, visitor_of
from connectors.salesforce_live_agent.poll import Post
from connectors.salesforce_live_agent.sending import not_ready, send
from connectors.salesforce_live_agent.settings import SalesforceLiveAgentSettings, check
from connectors.salesforce_live_agent.state import Kept, encode
from connectors.salesforce_live_agent.told import read
from omnibridge.connector import (
    ConfigError,
    ConnectorContext,
    DeliveryRejected,
    DeliveryRetryable,
    FilePolicy,
    Reply,
    Turn,
)
from omnibridge.connector.desks import Codes, Opening, Session, SessionEvent

READY_S = 1.0
"""So long a turn waits for an agent; then it is tried again."""


class SalesforceLiveAgentConnector:
    """Implements Connector, HoldsSessions, ResolvesTurns, HearsTyping, TakesFiles, ChecksHealth."""

    settings_type: ClassVar[type[msgspec.Struct]] = SalesforceLiveAgentSettings
    codes: ClassVar[Codes] = CODES
    _shared: Shared | None = None

    def __init__(self) -> None:
        self._chats: dict[str, LiveChat] = {}
        self._threads = ThreadPoolExecutor(2, "sensitive-data")

    async def initialize(self, context: ConnectorContext) -> None:
        settings: SalesforceLiveAgentSettings = context.settings
        try:
            check(settings)
            api = LiveAgent(
                context.create_client,
                endpoint=settings.endpoint,
                org_id=settings.org_id,
                deployment_id=settings.deployment_id,
                button_id=settings.button_id,
                api_version=settings.api_version,
                timeout_s=settings.turn_timeout_s,
                most_polls=settings.most_chats,
            )
        except ConfigError as exc:
            raise ConfigError(f"connection {context.name}: {exc}") from None
        before, self._shared = self._shared, Shared(context, settings, api, self._threads)
        for live in self._chats.values():
            if live.chat is not None:
                live.chat.use(api)
        if before is not None:
            await before.aclose()  # polls that are under way end, and begin anew with the new one

    def _now(self) -> Shared:
        assert self._shared is not None, "initialize was not called"
        return self._shared

    # -- sessions -----------------------------------------------------------------------------------------

    async def open(self, opening: Opening) -> bytes:
        """Only a session is asked for: nobody there hears of it before this state is durable (follow.py)."""
        shared = self._now()
        visitor = visitor_of(shared.settings, opening)
        history = history_of(shared.settings, opening, shared.now_ms())
        if shared.settings.availability:
            # These stand for the button and the agent (reference 1.6): one of them is enough.
            wanted = [part for each in visitor.overrides for part in each.split("_")]
            wanted = wanted or [visitor.agent_id, visitor.button_id or shared.api.button_id]
            found = await self._available(*dict.fromkeys(wanted))
            if not any(each.is_available for each in found.values()):
                return encode(Kept(declined="no-agents"))
        session = await shared.at_base(shared.api.begin)
        return encode(Kept(session, visitor=visitor, history=history, event=event_of(shared.settings, opening)))

    async def _available(self, *ids: str) -> dict[str, Availability]:
        shared = self._now()
        wanted = [each for each in ids if each]
        return await shared.at_base(lambda base: shared.api.availability(base, wanted))

    def attach(self, session: Session) -> None:
        self._chats[session.id] = LiveChat(session, self._now)

    def detach(self, session_id: str) -> None:
        live = self._chats.pop(session_id, None)
        if live is not None:
            live.forget()

    async def follow(self, session: Session) -> None:
        await Follower(self._chats[session.id]).run()

    def read_session(self, body: bytes) -> tuple[SessionEvent, ...]:
        return read(body, self._now().settings)

    # -- what visitors do ---------------------------------------------------------------------------------

    async def on_message(self, turn: Turn) -> Reply:
        live = self._chats.get(turn.session_id)
        if live is None or live.kept.is_over:
            raise over()
        if not live.ready.is_set():
            try:
                async with asyncio.timeout(READY_S):
                    await live.ready.wait()
            except TimeoutError:
                raise not_ready(is_coming=live.is_followed and live.established.is_set()) from None
        return await send(live, turn)

    async def resolve(self, turn: Turn) -> None:
        """Give it again: what arrived under its number is dropped by the server."""
        if turn.session_id not in self._chats:
            raise over()

    async def on_typing(self, session_id: str, is_typing: bool) -> None:
        """Told when it changes; the service shows it until it hears otherwise."""
        live = self._chats.get(session_id)
        if live is None or live.chat is None or not live.ready.is_set() or not self._now().settings.typing:
            return
        if bool(live.typed) == is_typing:
            return
        live.typed = 1 if is_typing else 0
        noun = "ChasitorTyping" if is_typing else "ChasitorNotTyping"
        await live.chat.post(Post(f"typing-{self._now().now_ms()}", noun))

    def file_policy(self) -> FilePolicy | None:
        settings = self._now().settings
        return FilePolicy(settings.file_types, settings.max_file_bytes) if settings.files else None

    async def on_close(self, session_id: str, reason: str) -> None:
        """What was never begun, or is gone, needs no end."""
        live = self._chats.get(session_id)
        if live is None or live.chat is None or live.kept.session is None:
            return
        live.is_closing = True
        if live.chat.session.phase == "over":
            return
        if live.chat.session.pending is None and not live.kept.is_begun:
            await self._delete(live)
            return
        try:
            await self._finish_move(live)
            await live.chat.post(Post(f"end-{live.kept.begins}", "ChatEnd", {"reason": "client"}))
        except SessionGone as exc:
            self._now().context.log("chat_gone", code=exc.code)
        except TimeoutError as exc:
            raise DeliveryRetryable("the chat is being restored", code="restoring") from exc
        except NotYet as exc:
            if exc.code != "not-established":
                raise DeliveryRetryable(str(exc), code=exc.code, retry_after_s=1.0, answered=True) from exc
            await self._delete(live)  # words whose fate is unknown block it, and nobody is there to read them

    async def _finish_move(self, live: LiveChat) -> None:
        """Nobody follows the session any more, and while it moves between servers no end can be told."""
        assert live.chat is not None
        try:
            async with asyncio.timeout(self._now().settings.turn_timeout_s):
                await live.chat.run(until_ready=True)
        except TimeoutError:
            raise DeliveryRetryable(
                "the chat is still being restored", code="restoring", retry_after_s=1.0, answered=True
            ) from None

    async def _delete(self, live: LiveChat) -> None:
        assert live.chat is not None
        try:
            await self._now().api.delete(live.chat.session)
        except DeliveryRejected as exc:
            self._now().context.log("chat_gone", code=exc.code)

    # -- around -------------------------------------------------------------------------------------------

    async def check(self) -> str:
        shared = self._now()
        buttons = {shared.api.button_id, *(each[:15] for each in shared.settings.department_buttons.values())}
        found = await self._available(*sorted(buttons))
        online = sum(each.is_available for each in found.values())
        return f"answers; agents are online for {online} of {len(buttons)} button{'s' if len(buttons) > 1 else ''}"

    async def aclose(self) -> None:
        for live in self._chats.values():
            live.forget()
        shared, self._shared = self._shared, None
        self._threads.shutdown(wait=False, cancel_futures=True)
        if shared is not None:
            await shared.aclose()
