"""What is told of a chat by ourselves: notices, and that the desk cannot be reached for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from connectors.salesforce.chat import Chat, Shared
from omnibridge.connector import Interruption
from omnibridge.connector.desks import Notice

NOTICES = {
    "requeued": "You will be connected to another agent in a moment.",
    "trouble": "The connection to the agent is interrupted. What you write will be delivered.",
    "trouble-over": "The connection is back.",
}
"""What the visitor reads for what happens, if `[texts.desk]` has nothing for its code."""
_LINES: dict[str, Literal["lost", "back"]] = {"trouble": "lost", "trouble-over": "back"}


class ToldByUs(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Beside the events of what is told."""

    notice: str = ""
    declined: str = ""


def notice(texts: Mapping[str, str], code: str, **values: str) -> Notice:
    return Notice(code, texts[code], values, _LINES.get(code, ""))


class Trouble(Interruption):
    """Of one chat: the visitor reads it once, and that it is over. concerns: whether it is of interest to him now."""

    __slots__ = ("_chat", "_concerns", "_shared")

    def __init__(self, chat: Chat[Any], shared: Callable[[], Shared[Any]], concerns: Callable[[], bool]) -> None:
        self._chat, self._shared, self._concerns = chat, shared, concerns
        super().__init__()

    @property
    def is_told(self) -> bool:
        return bool(self._chat.kept.trouble)

    @property
    def is_over(self) -> bool:
        return self._chat.kept.is_over or self._chat.is_closing

    @property
    def wait_s(self) -> float | None:
        return self._shared().settings.trouble_s if self._concerns() else None

    async def ready(self) -> None:
        await self._chat.session.held()

    async def tell(self, lost: bool) -> None:
        code = "trouble" if lost else "trouble-over"
        await self._chat.change(f"{code}-{self._shared().now_ms()}", ToldByUs(notice=code), trouble=lost)

    def not_told(self, exc: Exception) -> None:
        self._shared().context.log("trouble_not_told", room=self._chat.session.room, reason=type(exc).__name__)
