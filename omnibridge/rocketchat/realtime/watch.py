"""What is told room by room only, deletions and typing: a subscription for each of the liveliest rooms, at a pace.

The hub allows 40 calls of a `stream-*` in 40 s to a connection (rocketchat-api 6.4): a burst of rooms waits, the
newest first, and beyond `most` the room that was silent longest is left. What is missed so is no message: those come by
`__my_messages__`; a deletion in a room that is not watched is found by the reconciler, typing is not.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from omnibridge.rocketchat.realtime.connection import Connection, NotSubscribed
from omnibridge.rocketchat.realtime.frames import ACTIVITY, DELETED, ROOM

EVENTS = (DELETED, ACTIVITY)
BURST = 20
PAUSE_S = 1.1
REFUSED_PAUSE_S = 20.0


class RoomWatch:
    """One connection's. most: rooms that are watched at a time."""

    def __init__(self, connection: Connection, most: int = 1_000) -> None:
        self._connection, self._most = connection, most
        self._wanted: OrderedDict[str, None] = OrderedDict()
        self._watched: OrderedDict[str, list[str]] = OrderedDict()
        self._left: set[str] = set()
        self._changed = asyncio.Event()
        self._spare = float(BURST)
        self._spare_at = 0.0

    def __contains__(self, room: str) -> bool:
        return room in self._watched

    def want(self, room: str) -> None:
        """Something happened in a room."""
        if room in self._watched:
            self._watched.move_to_end(room)
            return
        self._wanted[room] = None
        self._wanted.move_to_end(room)
        while len(self._wanted) > self._most:
            self._wanted.popitem(last=False)
        self._changed.set()

    def leave(self, room: str) -> None:
        """It is closed."""
        self._wanted.pop(room, None)
        if room in self._watched:
            self._left.add(room)
            self._changed.set()

    async def run(self) -> None:
        """Subscribe as rooms are wanted, until cancelled. Raises ConnectionLost."""
        while True:
            while self._wanted:
                room, _ = self._wanted.popitem()
                await self._watch(room)
            while self._left:
                await self._unwatch(self._left.pop())
            self._changed.clear()
            await self._changed.wait()

    async def _watch(self, room: str) -> None:
        subs = self._watched.setdefault(room, [])
        for event in EVENTS:
            await self._at_pace()
            try:
                subs.append(await self._connection.subscribe(ROOM, f"{room}/{event}"))
            except NotSubscribed as exc:
                if exc.code == "too-many-requests":
                    self._spare -= REFUSED_PAUSE_S / PAUSE_S
        while len(self._watched) > self._most:
            await self._unwatch(next(iter(self._watched)))

    async def _unwatch(self, room: str) -> None:
        for each in self._watched.pop(room, ()):
            await self._connection.unsubscribe(each)

    async def _at_pace(self) -> None:
        now = asyncio.get_running_loop().time()
        self._spare = (
            min(float(BURST), self._spare + (now - self._spare_at) / PAUSE_S) if self._spare_at else self._spare
        )
        self._spare_at = now
        if self._spare < 1:
            await asyncio.sleep((1 - self._spare) * PAUSE_S)
        self._spare -= 1
