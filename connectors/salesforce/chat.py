"""A chat as this process has it, whatever its protocol, and what all chats of a connection share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from connectors.salesforce.settings import ChatSettings
from omnibridge.connector import Client, ConnectorContext, Flag
from omnibridge.connector.desks import Session

_encode = msgspec.json.Encoder().encode


class KeptChat(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is kept of a chat over restarts. is_accepted: an agent has it. trouble: the visitor was told that nothing
    comes through. is_over: nothing more is told of it."""

    is_accepted: bool = False
    trouble: bool = False
    is_over: bool = False


Kept = TypeVar("Kept", bound=KeptChat)
Settings = TypeVar("Settings", bound=ChatSettings)


class Chat(Generic[Kept]):
    """kept: as it is durable; what is changed is changed in `change`, one after the other.

    ready: the visitor's words may follow. is_closing: we are ending it, and nothing is told of it any more.
    """

    __slots__ = ("_lock", "is_closing", "kept", "ready", "session")

    def __init__(self, session: Session, decode: Callable[[bytes], Kept]) -> None:
        self.session, self.kept = session, decode(session.state)
        self._lock, self.ready = asyncio.Lock(), Flag()
        self.is_closing = False

    async def change(self, key: str = "", told: msgspec.Struct | None = None, **fields: Any) -> None:
        """Durable on return, together with what is told under the key."""
        async with self._lock:
            after = msgspec.structs.replace(self.kept, **fields)
            if told is not None:
                await self.session.tell(key, _encode(told), _encode(after))
            else:
                await self.session.save(_encode(after))
            self.kept = after


class Shared(Generic[Settings]):
    """Made anew with each change of settings; chats stay. files: for those of visitors."""

    def __init__(self, context: ConnectorContext, settings: Settings) -> None:
        self.context, self.settings = context, settings
        self.files: Client = context.create_client(
            timeout_s=settings.turn_timeout_s, max_connections=4, max_answer_bytes=settings.max_file_bytes
        )

    def now_ms(self) -> int:
        return self.context.clock.now_ms()

    async def aclose(self) -> None:
        await self.files.aclose()
