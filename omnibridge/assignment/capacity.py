"""How many conversations an agent may have at a time by decisions: `capacity` of the directory, 0 = any number.

The hub has a limit of its own in its paid edition only, and none that an external system sets. His open rooms are read
from the hub for each decision that names him, those on hold left out as the hub does; a room that he was chosen for a
moment ago counts as well, for its move may still be on its way. Two decisions at once cannot both have the last place:
they are counted one after the other, in this process. After a restart only what the hub shows counts, so a move that
was on its way then may make one too many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from omnibridge.clock import Clock
from omnibridge.domain.agents import AgentFound, AgentRefused
from omnibridge.domain.conversation import Conversation
from omnibridge.storage import directory

HOLD_MS = 30_000
"""A room counts for so long after its agent was chosen, whether the hub shows it or not."""

OpenRooms = Callable[[str, str], Awaitable[set[str]]]
"""(workspace, user id) -> ids of the rooms that he serves. Raises DeliveryError."""


class Capacity:
    """reader: of the directory. In memory: who was chosen for which room a moment ago."""

    def __init__(self, reader: Any, open_rooms: OpenRooms, clock: Clock) -> None:
        self._reader, self._open_rooms, self._clock = reader, open_rooms, clock
        self._chosen: dict[tuple[str, str], dict[str, int]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def refusal(self, conversation: Conversation, found: AgentFound) -> AgentRefused | None:
        """Why he cannot take this room, or None: then it counts as his from now on. Raises DeliveryError.

        One who serves it already keeps it; one bot that speaks for everybody has no limit.
        """
        row = directory.find(self._reader, conversation.workspace, found.system, found.external_id)
        server = conversation.served_by
        if row is None or row.capacity <= 0 or found.mode == "shared" or (server and server.id == found.user_id):
            return None
        key = (conversation.workspace, found.user_id)
        async with self._locks.setdefault(key, asyncio.Lock()):
            rooms = await self._open_rooms(*key)
            now = self._clock.now_ms()
            chosen = {room: until for room, until in self._chosen.get(key, {}).items() if until > now}
            has = (rooms | set(chosen)) - {conversation.room}
            if len(has) < row.capacity:
                self._chosen[key] = {**chosen, conversation.room: now + HOLD_MS}
                return None
        text = f"he has {len(has)} of {row.capacity} conversations; `omnibridge agents import` changes his capacity"
        return AgentRefused(found.system, found.external_id, "limit", text)

    def released(self, workspace: str, room: str, user_id: str) -> None:
        """He does not serve it (any more)."""
        key = (workspace, user_id)
        chosen = self._chosen.get(key, {})
        chosen.pop(room, None)
        if not chosen:
            self._chosen.pop(key, None)
            lock = self._locks.get(key)
            if lock and not lock.locked():
                del self._locks[key]
