"""Visitors who chat with people of a desk for a while: one chat after the other, so many at a time.

A chat goes on over many kills. Its visitor says one to three numbered things, waits until each was said back to him,
and pauses. Then half of the chats are ended by the visitor, half by the agent; some have another agent by then.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.state import Message
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.soak.desk_side import DeskSide

A_SECOND = 40
"""Things that all visitors say together, at most: what one machine's hub and bridge take easily."""
MOST_A_MINUTE = 20
"""Of one visitor. Salesforce takes 22: what is above that is paced, and tested elsewhere."""
SHORTEST_PAUSE_S = 1.5
COMING_A_SECOND = 40
TRANSFERRED = 0.3
AT_ONCE = (1, 1, 2, 3)


class Load:
    """names: room -> `c17`. ended: rooms that one of the two sides of the chat has ended. answered: numbers of chats
    in which everything was heard back at least once. slowest_s: until it was."""

    def __init__(
        self,
        client: SandboxClient,
        hub: SimulatedHub,
        side: DeskSide,
        visitors: int,
        life_s: tuple[float, float],
        wait_s: float,
        seed: int,
    ) -> None:
        self._client, self._hub, self._side, self._visitors = client, hub, side, visitors
        self._life_s, self._wait_s, self._random = life_s, wait_s, random.Random(seed)
        self._pause_s = max(SHORTEST_PAUSE_S, visitors * sum(AT_ONCE) / len(AT_ONCE) / A_SECOND)
        self._stopping = asyncio.Event()
        self._n = 0
        self.names: dict[str, str] = {}
        self.ended: set[str] = set()
        self.answered: set[int] = set()
        self.transfers = 0
        self.failures: list[str] = []
        self.slowest_s = 0.0

    def start(self) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._visit(n / COMING_A_SECOND)) for n in range(self._visitors)]

    def stop(self) -> None:
        """Each chat comes to its end."""
        self._stopping.set()

    async def _visit(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while not self._stopping.is_set():
            self._n += 1
            number = self._n
            visitor = Visitor(self._client, f"Visitor {number}")
            try:
                await self._chat(visitor, number)
            except (TimeoutError, RuntimeError) as exc:  # the hub refuses what is said in a room that is closed
                self.failures.append(f"chat {number}: {exc}"[:160])
                await asyncio.sleep(SHORTEST_PAUSE_S)

    async def _chat(self, visitor: Visitor, number: int) -> None:
        self.names[await visitor.open_room()] = f"c{number}"
        loop, chance = asyncio.get_running_loop(), self._random
        life_s = chance.uniform(*self._life_s)
        ends_at = loop.time() + life_s
        transferred_at = loop.time() + chance.uniform(0, life_s) if chance.random() < TRANSFERRED else ends_at
        hearing, said = _Hearing(self._hub, visitor.rid), 0
        times: deque[float] = deque(maxlen=MOST_A_MINUTE - max(AT_ONCE))
        while not (said and (self._stopping.is_set() or loop.time() >= ends_at)):
            for _ in range(chance.choice(AT_ONCE)):
                said += 1
                times.append(loop.time())
                await visitor.say(f"c{number}-m{said:03}")
            if loop.time() >= transferred_at and self._side.transfer(visitor.rid):
                self.transfers += 1
                transferred_at = ends_at
            began = loop.time()
            await hearing.until(said, self._wait_s)
            self.slowest_s = max(self.slowest_s, loop.time() - began)
            self.answered.add(number)
            pause_s = self._pause_s * chance.uniform(0.4, 1.6)
            if len(times) == times.maxlen:
                pause_s = max(pause_s, times[0] + 61.0 - loop.time())
            await self._pause(pause_s)
        if number % 2 and self._side.end(visitor.rid):
            self.ended.add(visitor.rid)
            await visitor.wait_event("closed", timeout_ms=int(self._wait_s * 1000))
        else:
            await visitor.close()
            self.ended.add(visitor.rid)

    async def _pause(self, seconds: float) -> None:
        """Shorter when the run ends."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass  # it is over


class _Hearing:
    """What was shown to one visitor, read as it comes. A message may have several lines: found after a gap."""

    def __init__(self, hub: SimulatedHub, rid: str) -> None:
        self._hub, self._rid, self._at = hub, rid, 0
        self._heard: set[str] = set()

    async def until(self, count: int, wait_s: float) -> None:
        """Until so many different things of his were said back. Raises TimeoutError."""
        if not await self._hub.wait(self._rid, lambda: self._has(count), int(wait_s * 1000)):
            raise TimeoutError(f"waited in vain: was told {len(self._heard)} of {count}")

    def _has(self, count: int) -> bool:
        messages: list[Message] = self._hub.rooms[self._rid].messages
        for each in messages[self._at :]:
            if each.kind != "visitor" and "echo " in each.text:
                self._heard.update(tags_of(each.text))
        self._at = len(messages)
        return len(self._heard) >= count


def tags_of(text: str) -> list[str]:
    """`c3-m001` of a line, with or without `echo` before it; a message of several lines has several."""
    found = (line.rpartition("echo ")[2].strip() for line in text.splitlines())
    return [each for each in found if each.startswith("c") and "-m" in each]
