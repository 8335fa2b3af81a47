"""The desk's side of a soak, whatever its protocol: who serves there, and what a run asks of its ledger.

`messaging.py` and `live_agent.py` are the two there are. Each runs its simulator on a socket of this process. Agents
accept what they are offered after a moment, and say each thing that they read back: `echo …`.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from typing import Any, ClassVar, NamedTuple

from connectors.salesforce.ids import long_id
from connectors.salesforce.simulator import ChatSimulator
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
    CHAT: key of a chat in its ledger. TROUBLES: of one request each. OTHERS: names of those of `other`.
    """

    name = ""
    grace_s = 0.0
    CHAT: ClassVar[str]
    TROUBLES: ClassVar[dict[str, dict[str, Any]]]
    OTHERS: ClassVar[tuple[str, ...]]

    def __init__(self, seed: int, simulator: ChatSimulator) -> None:
        self._simulator, self._desk = simulator, simulator.desk
        self.random = random.Random(seed)
        self.rooms: dict[str, str] = {}
        self.live: dict[str, None] = {}
        self.faults: Counter[str] = Counter()
        self._passed: dict[str, int] = {}
        """Endpoint -> calls that had passed when it was made to fail last."""
        self.url = ""
        self._of_room: dict[str, str] = {}
        self._socket: Socket | None = None

    async def start(self) -> None:
        self._socket = Socket(self._simulator.app(), "127.0.0.1", 0)
        await self._socket.start()
        self.url = self._socket.url

    async def stop(self) -> None:
        self._simulator.release()
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
        self._desk.end(chat)
        return True

    def transfer(self, room: str) -> bool:
        """To some agent; False = it is over, or nobody has accepted."""
        chat = self.chat_of(room)
        if not chat or not self.is_served(chat):
            return False
        self._desk.transfer(chat, *self.random.choice(AGENTS))
        return True

    def prune(self) -> None:
        for each in [chat for chat in self.live if not self.is_live(chat)]:
            del self.live[each]

    def accept(self, chat: str, agent: str, name: str) -> None:
        self._desk.accept(chat, agent, name)

    def trouble(self) -> str:
        """One fault of the vendor's, by chance; what it is called, empty = none this time."""
        name = self.random.choice([*self.TROUBLES, *self.OTHERS])
        if name not in self.TROUBLES:
            self.other(name)
            return name
        faults, on = self._simulator.faults, self.TROUBLES[name]["on"]
        if any(each.on == on for each in faults.waiting) or faults.passed[on] <= self._passed.get(on, -1):
            return ""  # a request shall not fail again and again, which it would where one chat is left
        self._passed[on] = faults.passed[on]
        faults.add([self.TROUBLES[name]])
        return name

    def calm(self) -> None:
        """No faults from now on."""
        self._simulator.wish({"clear_failures": True})

    def reached(self) -> dict[str, list[str]]:
        """Room -> texts that agents read, in order; those of a chat's history too."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for row in self._simulator.vendor.desk:
            if row["kind"] == "message":
                found[self.rooms[row[self.CHAT]]].append(row["text"])
        return found

    # -- of the protocol ----------------------------------------------------------------------------------

    @abstractmethod
    def connection(self) -> str:
        """TOML of the connection, besides its name and its user. The room must get to the desk."""

    @abstractmethod
    def is_live(self, chat: str) -> bool: ...

    @abstractmethod
    def is_served(self, chat: str) -> bool: ...

    @abstractmethod
    def is_followed(self, chat: str) -> bool:
        """Somebody asks for news of it at this moment."""

    @abstractmethod
    def other(self, name: str) -> None:
        """One of OTHERS."""

    @abstractmethod
    def told(self) -> dict[str, list[str]]:
        """Room -> texts that agents said, in order."""

    @abstractmethod
    def over(self) -> list[Ended]: ...

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """duplicate_polls, sequence_gaps, early_posts, and whatever the ledger counts besides."""
