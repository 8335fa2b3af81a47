"""The desk's side of a soak, whatever its protocol: who serves there, and what a run asks of its ledger.

`messaging.py` and `live_agent.py` are the two there are. Each runs its simulator on a socket of this process. Agents
accept what they are offered after a moment, and say each thing that they read back: `echo …`.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, NamedTuple

from connectors.salesforce.ids import long_id
from omnibridge.sandbox.server import Socket

AGENTS = tuple((long_id(f"005SM0000000{name}"), f"{name} Agent") for name in ("Alx", "Bea", "Cid"))
LONGEST_WAIT_S = 0.5
"""So long at most an agent takes to accept."""


class Ended(NamedTuple):
    """A chat that is over at the desk. why: in the desk's words."""

    room: str
    why: str


class DeskSide(ABC):
    """name: under which its result stands. rooms: chat -> room, of every chat that the desk was offered.

    live: chats that are not over, as far as was looked. grace_s: so long may nobody ask for news of a chat, 0 = ever.
    """

    name = ""
    grace_s = 0.0

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rooms: dict[str, str] = {}
        self.live: dict[str, None] = {}
        self.faults: Counter[str] = Counter()
        self.url = ""
        self._of_room: dict[str, str] = {}
        self._socket: Socket | None = None

    async def start(self) -> None:
        self._socket = Socket(self.app(), "127.0.0.1", 0)
        await self._socket.start()
        self.url = self._socket.url

    async def stop(self) -> None:
        self.release()
        if self._socket is not None:
            await self._socket.stop()

    # -- for whoever serves -------------------------------------------------------------------------------

    def offered(self, chat: str, room: str) -> None:
        """A visitor asks."""
        self.rooms[chat] = room
        self._of_room[room] = chat
        self.live[chat] = None
        asyncio.get_running_loop().call_later(self.random.uniform(0, LONGEST_WAIT_S), self._accept, chat)

    def _accept(self, chat: str) -> None:
        if self.is_live(chat):
            self.accept(chat, *self.random.choice(AGENTS))

    def chat_of(self, room: str) -> str:
        """The last chat of a room; empty = there was none."""
        return self._of_room.get(room, "")

    def end(self, room: str) -> bool:
        """The agent ends the chat; False = it is over."""
        chat = self.chat_of(room)
        if not chat or not self.is_live(chat):
            return False
        self.end_chat(chat)
        return True

    def transfer(self, room: str) -> bool:
        """To some agent; False = it is over, or nobody has accepted."""
        chat = self.chat_of(room)
        if not chat or not self.is_served(chat):
            return False
        self.transfer_chat(chat, *self.random.choice(AGENTS))
        return True

    def prune(self) -> None:
        for each in [chat for chat in self.live if not self.is_live(chat)]:
            del self.live[each]

    # -- of the protocol ----------------------------------------------------------------------------------

    @abstractmethod
    def app(self) -> Any: ...

    @abstractmethod
    def release(self) -> None:
        """Whoever waits for news is let go."""

    @abstractmethod
    def connection(self) -> str:
        """TOML of the connection, besides its name and its user. The room must get to the desk."""

    @abstractmethod
    def accept(self, chat: str, agent: str, name: str) -> None: ...

    @abstractmethod
    def end_chat(self, chat: str) -> None: ...

    @abstractmethod
    def transfer_chat(self, chat: str, agent: str, name: str) -> None: ...

    @abstractmethod
    def is_live(self, chat: str) -> bool: ...

    @abstractmethod
    def is_served(self, chat: str) -> bool: ...

    @abstractmethod
    def is_followed(self, chat: str) -> bool:
        """Somebody asks for news of it at this moment."""

    @abstractmethod
    def trouble(self) -> str:
        """One fault of the vendor's, by chance; what it is called, empty = none this time."""

    @abstractmethod
    def calm(self) -> None:
        """No faults from now on."""

    @abstractmethod
    def reached(self) -> dict[str, list[str]]:
        """Room -> texts that agents read, in order; those of a chat's history too."""

    @abstractmethod
    def told(self) -> dict[str, list[str]]:
        """Room -> texts that agents said, in order."""

    @abstractmethod
    def over(self) -> list[Ended]: ...

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """duplicate_polls, sequence_gaps, early_posts, and whatever the ledger counts besides."""
