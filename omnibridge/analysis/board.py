"""Who looks at which room right now, and is told that something is new there. In memory: a page asks anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

Room = tuple[str, str]
"""Workspace, room."""


class Board:
    """most: watchers at a time."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self._watchers: dict[Room, set[asyncio.Event]] = {}
        self.n_watchers = 0
        self.is_closed = False

    @contextmanager
    def watch(self, room: Room) -> Iterator[asyncio.Event]:
        """An event that is set when something is new. Look whether `is_full` before."""
        bell = asyncio.Event()
        watchers = self._watchers.setdefault(room, set())
        watchers.add(bell)
        self.n_watchers += 1
        try:
            yield bell
        finally:
            self.n_watchers -= 1
            watchers.discard(bell)
            if not watchers and self._watchers.get(room) is watchers:
                del self._watchers[room]

    @property
    def is_full(self) -> bool:
        return self.n_watchers >= self.most

    def close(self) -> None:
        """Everybody who watches is sent away."""
        self.is_closed = True
        for room in self._watchers:
            self.ring(*room)

    def ring(self, workspace: str, room: str) -> None:
        """Something is new, and durable."""
        for bell in self._watchers.get((workspace, room), ()):
            bell.set()
