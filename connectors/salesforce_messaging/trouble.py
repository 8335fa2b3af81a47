"""An org to which no stream can be opened: the visitor reads it once, and that it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.told import Told, encode


class Trouble:
    """Of one chat. What was said of it is part of the chat's state, so a restart says nothing twice."""

    def __init__(self, chat: Chat, shared: Callable[[], Shared]) -> None:
        self._chat, self._shared = chat, shared
        self._timer: asyncio.TimerHandle | None = None
        self._saying: asyncio.Task[None] | None = None

    def noticed(self, is_open: bool) -> None:
        """A stream is open, or none is. Before the conversation is made the service itself says that it takes long."""
        kept = self._chat.kept
        if is_open:
            self._forget()
            if kept.trouble:
                self._say_later(False)
        elif self._timer is None and kept.is_begun and not kept.trouble:
            wait_s = self._shared().settings.trouble_s
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._say_later, True)

    def close(self) -> None:
        self._forget()
        if self._saying is not None:
            self._saying.cancel()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say_later(self, trouble: bool) -> None:
        self._timer = None
        if self._saying is None or self._saying.done():
            self._saying = asyncio.create_task(self._say(trouble))

    async def _say(self, trouble: bool) -> None:
        chat, shared = self._chat, self._shared()
        if chat.kept.trouble == trouble or chat.kept.is_over or chat.is_closing:
            return
        code = "trouble" if trouble else "trouble-over"
        try:
            await chat.session.held()
            await chat.change(f"{code}:{shared.context.clock.now_ms()}", encode(Told(notice=code)), trouble=trouble)
        except Exception as exc:  # a database that is not to be written: told with the next stream
            shared.context.log("trouble_not_told", room=chat.session.room, reason=type(exc).__name__)
