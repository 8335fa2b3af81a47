"""A desk in memory with a ledger of its own: sessions that outlive the bridge, and news that is asked for by number."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from omnibridge.connector import (
    ConnectorContext,
    DeliveryRetryable,
    DeliveryUncertain,
    ExternalAgent,
    Reply,
    Text,
    Turn,
)
from omnibridge.connector.desks import (
    Accepted,
    Declined,
    Left,
    Notice,
    Opening,
    Queued,
    Session,
    SessionEvent,
    Spoke,
)

News = Accepted | Declined | Left | Notice | Queued | str
"""What a desk may tell; a text is what its agent says."""


class _Told(msgspec.Struct):
    event: Accepted | Declined | Left | Notice | Queued | None = None
    text: str = ""


@dataclass
class Chat:
    """The desk's own record. news: all that it ever told, numbered from 0."""

    opening: Opening
    heard: list[str] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: str = ""
    asked_from: list[int] = field(default_factory=list)
    asking: int = 0

    def tell(self, news: News) -> None:
        self.news.append(news)
        self.changed.set()


class ScriptedDesk:
    """What every instance of one test shares."""

    def __init__(self) -> None:
        self.chats: dict[str, Chat] = {}
        self.opened: list[str] = []
        self.fail_open: list[Exception] = []
        self.break_follow = 0
        self.fail_close: list[Exception] = []
        self.is_down = False
        self.tells_twice = False
        self.polled_by_two = 0

    @property
    def chat(self) -> Chat:
        (found,) = self.chats.values()
        return found


class DeskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    agent: str = "Maria Fox"


class DeskConnector:
    """Its state is the number of the next news, in decimal."""

    settings_type: ClassVar[type[msgspec.Struct]] = DeskSettings
    desk: ClassVar[ScriptedDesk]

    async def initialize(self, context: ConnectorContext) -> None:
        self._agent = context.settings.agent
        self._sessions: dict[str, Session] = {}

    async def open(self, opening: Opening) -> bytes:
        desk = self.desk
        failure = desk.fail_open.pop(0) if desk.fail_open else None
        if isinstance(failure, DeliveryRetryable):
            raise failure
        desk.opened.append(opening.delivery_id)
        known = desk.chats.get(opening.session_id)
        if known is None or known.closed:
            desk.chats[opening.session_id] = Chat(opening)
        if failure:
            raise failure
        return b"0"

    def attach(self, session: Session) -> None:
        self._sessions[session.id] = session

    def detach(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    async def follow(self, session: Session) -> None:
        chat = self.desk.chats[session.id]
        if self.desk.break_follow:
            self.desk.break_follow -= 1
            raise DeliveryUncertain("cut", code="cut")
        chat.asking += 1
        self.desk.polled_by_two += chat.asking > 1
        try:
            while not chat.closed:
                assert await session.held() > 0
                at = int(session.state)
                chat.asked_from.append(at)
                while at >= len(chat.news):
                    chat.changed.clear()
                    await chat.changed.wait()
                told = chat.news[at]
                body = msgspec.json.encode(_Told(text=told) if isinstance(told, str) else _Told(told))
                for _ in range(1 + self.desk.tells_twice):
                    await session.tell(str(at), body, str(at + 1).encode())
        finally:
            chat.asking -= 1

    def read_session(self, body: bytes) -> tuple[SessionEvent, ...]:
        told = msgspec.json.decode(body, type=_Told)
        agent = ExternalAgent("desk", "7", self._agent)
        return (told.event or Spoke(Reply((Text(told.text),), agent=agent)),)

    async def on_message(self, turn: Turn) -> Reply:
        assert turn.session_id in self._sessions, "a turn before its session was attached"
        if self.desk.is_down:
            raise DeliveryRetryable("down", code="down")
        self.desk.chats[turn.session_id].heard.append(turn.text)
        return Reply(accepted=True)

    async def on_close(self, session_id: str, reason: str) -> None:
        if self.desk.fail_close:
            raise self.desk.fail_close.pop(0)
        if session_id in self.desk.chats:
            self.desk.chats[session_id].closed = reason

    async def aclose(self) -> None:
        """Holds nothing open."""
