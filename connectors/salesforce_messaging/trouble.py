"""An org to which no stream can be opened: the visitor reads it once, and that it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.told import Told, encode

AGAIN_S = 2.0
"""Pause before it is tried again, where the database is not to be written."""


class Trouble:
    """Of one chat. What was said of it is part of the chat's state, so a restart says nothing twice."""

    def __init__(self, chat: Chat, shared: Callable[[], Shared]) -> None:
        self._chat, self._shared = chat, shared
        self._timer: asyncio.TimerHandle | None = None
        self._saying: asyncio.Task[None] | None = None
        self._wanted = chat.kept.trouble

    def noticed(self, is_open: bool) -> None:
        """A stream is open, or none is. Before the conversation is made the service itself says that it takes long."""
        kept = self._chat.kept
        if is_open:
            self._forget()
            if kept.trouble or self._is_saying:
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

    @property
    def _is_saying(self) -> bool:
        return self._saying is not None and not self._saying.done()

    def _say_later(self, trouble: bool) -> None:
        self._timer, self._wanted = None, trouble
        if not self._is_saying:
            self._saying = asyncio.create_task(self._say())

    async def _say(self) -> None:
        """Until he knows what holds now, which may change while it is written."""
        chat, shared = self._chat, self._shared()
        while chat.kept.trouble != self._wanted and not chat.kept.is_over and not chat.is_closing:
            try:
                await chat.session.held()
                trouble = self._wanted
                if trouble == chat.kept.trouble:
                    return
                code = "trouble" if trouble else "trouble-over"
                await chat.change(f"{code}:{shared.context.clock.now_ms()}", encode(Told(notice=code)), trouble=trouble)
            except Exception as exc:  # a database that is not to be written
                shared.context.log("trouble_not_told", room=chat.session.room, reason=type(exc).__name__)
                await asyncio.sleep(AGAIN_S)
