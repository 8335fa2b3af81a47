"""A desk that cannot be reached for a while: its visitor reads it once, and once that it is over."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

AGAIN_S = 2.0
"""Pause before it is told again, where that failed: the database is not to be written."""


class Interruption(ABC):
    """Of one chat. What the visitor was told is part of the chat's state, so a restart tells nothing twice."""

    __slots__ = ("_saying", "_timer", "_wanted")

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._saying: asyncio.Task[None] | None = None
        self._wanted = self.is_told

    @property
    @abstractmethod
    def is_told(self) -> bool:
        """Whether the visitor's last word of it is that the desk cannot be reached, durably."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """The chat is: nothing is told any more."""

    @property
    @abstractmethod
    def wait_s(self) -> float | None:
        """How long it may last before it is told; None = it concerns nobody now."""

    @abstractmethod
    async def ready(self) -> None:
        """Until it may be told: the session is ours."""

    @abstractmethod
    async def tell(self, lost: bool) -> None:
        """Durable on return, with `is_told` as it is then. Raises whatever the database raises."""

    @abstractmethod
    def not_told(self, exc: Exception) -> None:
        """It is tried again."""

    def noticed(self, is_reachable: bool) -> None:
        """As often as it is known."""
        if is_reachable:
            self._forget()
            if self.is_told or self._is_saying:
                self._say_later(False)
        elif self._timer is None and not self.is_told and (wait_s := self.wait_s) is not None:
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

    def _say_later(self, lost: bool) -> None:
        self._timer, self._wanted = None, lost
        if not self._is_saying:
            self._saying = asyncio.create_task(self._say())

    async def _say(self) -> None:
        """Until he knows what holds now, which may change while it is written."""
        while self.is_told != self._wanted and not self.is_over:
            try:
                await self.ready()
                if (lost := self._wanted) != self.is_told:
                    await self.tell(lost)
            except Exception as exc:
                self.not_told(exc)
                await asyncio.sleep(AGAIN_S)
