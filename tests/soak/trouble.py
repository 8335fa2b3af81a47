"""What goes wrong around the bridge during a crash run: backends and hub that are down, slow, hanging or odd.

Each trouble is short enough that no delivery reaches its deadline, so nothing may be lost or given up for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp

from omnibridge.sandbox.visitor import SandboxClient

TURN_TIMEOUT_S = 3.0
"""How long the connection waits for a turn in these runs: hanging must be seen before the deadline of 30 s."""

ENGINE = "[engine]\nbreaker_open_s = 0.5"
"""A failing bot is tried again soon, so that a trouble meets many conversations."""

END: dict[str, Any] = {"clear_failures": True}
SEND = "chat.sendMessage"
BOT: dict[str, tuple[dict[str, Any], float, dict[str, Any]]] = {
    "bot_500": ({"fail_next": [{"status": 500, "count": 9}]}, 0.4, END),
    "bot_500_after_effect": ({"fail_next": [{"status": 500, "count": 9, "after_effect": True}]}, 0.4, END),
    "bot_429": ({"fail_next": [{"status": 429, "count": 9}]}, 0.4, END),
    "bot_html": ({"fail_next": [{"status": 200, "count": 9, "html": True}]}, 0.4, END),
    "bot_down": ({"down": True}, 1.0, {"down": False}),
    "bot_slow": ({"delay_ms": 600}, 1.2, {"delay_ms": 0}),
    "bot_hanging": ({"delay_ms": 8000}, 0.8, {"delay_ms": 0}),
}
"""Trouble -> what the simulator is told, for how long, and what ends it."""

HUB: dict[str, dict[str, Any]] = {
    "hub_500": {"path": SEND, "status": 500, "count": 3},
    "hub_500_after_effect": {"path": SEND, "status": 500, "count": 3, "after_effect": True},
    "hub_429": {"path": SEND, "status": 429, "count": 3},
    "hub_odd_200": {"path": SEND, "status": 200, "count": 2, "body": {"page": "sign in"}},
    "hub_hanging": {"path": SEND, "status": "hang", "seconds": 2, "count": 1},
}
"""Trouble -> an entry of the sandbox's `fail_next`."""

KINDS = (*BOT, *HUB)
PAUSE_S = 2.5


class Trouble:
    """count: how often each was made."""

    def __init__(self, hub: SandboxClient, bot_url: str) -> None:
        self._hub, self._bot_url = hub, bot_url
        self.count: Counter[str] = Counter()

    async def make(self, is_over: Callable[[], bool]) -> None:
        """One after the other, round and round, until it is over; leaves everything in order."""
        async with aiohttp.ClientSession() as session:
            while not is_over():
                for kind in KINDS:
                    if is_over():
                        break
                    await self._make(session, kind)
                    self.count[kind] += 1
                    await asyncio.sleep(PAUSE_S)

    async def _make(self, session: aiohttp.ClientSession, kind: str) -> None:
        if kind in HUB:
            await self._hub.control(fail_next=[dict(HUB[kind])])
            return
        begin, seconds, end = BOT[kind]
        await self._tell_bot(session, begin)
        try:
            await asyncio.sleep(seconds)
        finally:
            await self._tell_bot(session, end)

    async def _tell_bot(self, session: aiohttp.ClientSession, wish: dict[str, Any]) -> None:
        async with session.post(f"{self._bot_url}/_sandbox/control", json=wish) as answer:
            assert answer.status == 200, await answer.text()
