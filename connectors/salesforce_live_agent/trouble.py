"""A service that does not answer: the visitor reads it once, and that it is over."""

from __future__ import annotations

from connectors.salesforce_live_agent.live import LiveChat
from connectors.salesforce_live_agent.told import Told
from omnibridge.connector import Interruption


class Trouble(Interruption):
    """Of one chat. Before an agent has accepted the visitor waits anyway."""

    __slots__ = ("_live",)

    def __init__(self, live: LiveChat) -> None:
        self._live = live
        super().__init__()

    @property
    def is_told(self) -> bool:
        return self._live.kept.trouble

    @property
    def is_over(self) -> bool:
        return self._live.kept.is_over or self._live.is_closing

    @property
    def wait_s(self) -> float | None:
        return self._live.shared().settings.trouble_s if self._live.kept.is_accepted else None

    async def ready(self) -> None:
        await self._live.session.held()

    async def tell(self, lost: bool) -> None:
        live, code = self._live, "trouble" if lost else "trouble-over"
        await live.change(f"{code}-{live.shared().now_ms()}", Told(notice=code), trouble=lost)

    def not_told(self, exc: Exception) -> None:
        self._live.shared().context.log("trouble_not_told", room=self._live.session.room, reason=type(exc).__name__)
