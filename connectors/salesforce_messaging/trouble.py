"""An org to which no stream can be opened: the visitor reads it once, and that it is over."""

from __future__ import annotations

from collections.abc import Callable

from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.told import Told, encode
from omnibridge.connector import Interruption


class Trouble(Interruption):
    """Of one chat. Before its conversation is made the service itself says that it takes long."""

    __slots__ = ("_chat", "_shared")

    def __init__(self, chat: Chat, shared: Callable[[], Shared]) -> None:
        self._chat, self._shared = chat, shared
        super().__init__()

    @property
    def is_told(self) -> bool:
        return self._chat.kept.trouble

    @property
    def is_over(self) -> bool:
        return self._chat.kept.is_over or self._chat.is_closing

    @property
    def wait_s(self) -> float | None:
        return self._shared().settings.trouble_s if self._chat.kept.is_begun else None

    async def ready(self) -> None:
        await self._chat.session.held()

    async def tell(self, lost: bool) -> None:
        chat, code = self._chat, "trouble" if lost else "trouble-over"
        key = f"{code}:{self._shared().context.clock.now_ms()}"
        await chat.change(key, encode(Told(notice=code)), trouble=lost)

    def not_told(self, exc: Exception) -> None:
        self._shared().context.log("trouble_not_told", room=self._chat.session.room, reason=type(exc).__name__)
