"""Sends webhooks as the hub does, faults included. Source: rocketchat-api 2.6.

Success is exactly 200. Retries live in memory, 4 x the HTTP timeout apart: ten attempts for everything that
is not 200 up to 7.7, where the first one runs inside the save of a message; five for 429, 5xx, time-outs and
network errors on 8.x, where any other status loses the event. Redirects are not followed.
Duplicates, overtaking, lateness and losses are injected at seeded rates and counted from what was really sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import msgspec

from omnibridge.sandbox.state import Room, now_ms

_encode = msgspec.json.Encoder().encode


RETRY_TIMEOUTS = 4.0
"""HTTP timeouts between two attempts."""

NOT_SENT = -1
"""Status of an attempt that could not even connect; 0 = sent, perhaps taken, but no answer came."""


class WebhookSender:
    """Its public fields may be changed while it runs. is_blocking: up to 7.7. unsettled: not yet 200 or given up."""

    def __init__(self, *, is_blocking: bool, seed: int) -> None:
        self.url, self.token = "", ""
        self.http_timeout_ms = 5000
        self.duplicate_rate = self.swap_rate = self.late_rate = 0.0
        self.drop_rate = 0.0
        self.swap_hold_ms, self.late_ms = 40, 1000
        self.log: list[dict[str, Any]] = []
        self.duplicates_sent = self.reordered_sent = self.dropped = 0
        self.unsettled = 0
        self.on_settled: Callable[[], None] = lambda: None
        self._is_blocking = is_blocking
        self._random = random.Random(seed)
        self._lossy = random.Random(seed + 1)  # of its own, so that losses leave the other faults where they were
        self._newest_sent: dict[str, int] = {}
        self._held: defaultdict[str, dict[int, asyncio.Event]] = defaultdict(dict)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def reseed(self, seed: int) -> None:
        self._random.seed(seed)
        self._lossy.seed(seed + 1)

    async def fire(self, body: dict[str, Any], room: Room | None, *, inside_save: bool = False) -> None:
        """Send one event. Up to 7.7 a save returns after the first attempt; everything else returns at once."""
        if not self.url:
            return
        entry = self._log_entry(body)
        if self._lossy.random() < self.drop_rate:
            self._drop(entry)
            return
        data = _encode(body)
        # Always three draws, so that changing one rate leaves the other faults where they were.
        swap, late, double = (self._random.random() for _ in range(3))
        hold_s = self.swap_hold_ms / 1000 if swap < self.swap_rate else 0.0
        late_s = self.late_ms / 1000 if late < self.late_rate else 0.0
        if double < self.duplicate_rate:
            entry["duplicate"] = self._random.uniform(0.005, 0.1)
            self.unsettled += 1
        if self._is_blocking and inside_save:
            if not await self._first(entry, data, room, hold_s, late_s):
                self._start(self._go_on(entry, data, room))
        else:
            self._start(self._send(entry, data, room, hold_s, late_s))

    async def test(self, body: dict[str, Any]) -> int:
        """Post a sample once, outside the log of events. Returns the status, 0 without an answer."""
        status, _ = await self._exchange(_encode(body), {"Accept": "application/json"})
        return status

    async def reset(self) -> None:
        """Forget everything that was sent or waits for a retry."""
        await self._cancel()
        self.log, self.duplicates_sent, self.reordered_sent, self.unsettled = [], 0, 0, 0
        self.dropped = 0
        self._newest_sent.clear()
        self._held.clear()
        self.on_settled()

    async def aclose(self) -> None:
        await self._cancel()
        if self._session:
            await self._session.close()

    def _log_entry(self, body: dict[str, Any]) -> dict[str, Any]:
        """attempts: [started_at, status, finished_at, is_duplicate] each; status 0 = no answer, -1 = not even
        connected, so that nobody can have taken it."""
        message = body["messages"][0] if body["type"] == "Message" else {}
        entry: dict[str, Any] = {
            "n": len(self.log),
            "type": body["type"],
            "rid": body.get("_id", ""),
            "message": message.get("_id", ""),
            "attempts": [],
            "ok_at": None,
            "given_up": False,
            "swapped": False,
            "duplicate": None,
        }
        self.log.append(entry)
        self.unsettled += 1
        return entry

    async def _send(self, entry: dict[str, Any], data: bytes, room: Room | None, hold_s: float, late_s: float) -> None:
        if not await self._first(entry, data, room, hold_s, late_s):
            await self._go_on(entry, data, room)

    async def _first(self, entry: dict[str, Any], data: bytes, room: Room | None, hold_s: float, late_s: float) -> bool:
        """The first attempt, held back by the injected faults; whether the event is settled after it."""
        if late_s:
            await asyncio.sleep(late_s)
        if hold_s:
            await self._hold(entry, hold_s)
        settled = await self._attempt(entry, data, room)
        if entry["duplicate"] is not None:
            self._start(self._send_again(entry, data))
        return settled

    async def _hold(self, entry: dict[str, Any], seconds: float) -> None:
        """Until a younger webhook of the same room was answered, at most `seconds`."""
        overtaken = self._held[entry["rid"]][entry["n"]] = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(overtaken.wait(), seconds)
        held = self._held[entry["rid"]]
        del held[entry["n"]]
        if not held:
            del self._held[entry["rid"]]

    async def _go_on(self, entry: dict[str, Any], data: bytes, room: Room | None) -> None:
        """Attempts after the first."""
        for _ in range((10 if self._is_blocking else 5) - 1):
            await asyncio.sleep(RETRY_TIMEOUTS * self.http_timeout_ms / 1000)
            if await self._attempt(entry, data, room):
                return
        entry["given_up"] = True
        self._settle()

    async def _attempt(self, entry: dict[str, Any], data: bytes, room: Room | None) -> bool:
        """One delivery; whether nothing more is to come: it was taken, or will never be tried again."""
        self._note_order(entry)
        status, text = await self._deliver(entry, data, is_duplicate=False)
        for n, overtaken in self._held.get(entry["rid"], {}).items():
            if n < entry["n"]:
                overtaken.set()
        if status == 200:
            entry["ok_at"] = now_ms()
            if room is not None:
                room.crm_data = text
        elif self._is_blocking or status <= 0 or status == 429 or status >= 500:
            return False
        else:
            entry["given_up"] = True
        self._settle()
        return True

    async def _send_again(self, entry: dict[str, Any], data: bytes) -> None:
        """The injected duplicate; as a hub that timed out on an answer, but without the 20 s."""
        await asyncio.sleep(entry["duplicate"])
        self.duplicates_sent += 1
        await self._deliver(entry, data, is_duplicate=True)
        self._settle()

    def _note_order(self, entry: dict[str, Any]) -> None:
        newest = self._newest_sent.get(entry["rid"], -1)
        if entry["n"] < newest and not entry["swapped"]:
            entry["swapped"] = True
            self.reordered_sent += 1
        self._newest_sent[entry["rid"]] = max(newest, entry["n"])

    async def _deliver(self, entry: dict[str, Any], data: bytes, *, is_duplicate: bool) -> tuple[int, str]:
        began = now_ms()
        status, text = await self._exchange(data, {})
        entry["attempts"].append([began, status, now_ms(), is_duplicate])
        return status, text

    async def _exchange(self, data: bytes, more_headers: dict[str, str]) -> tuple[int, str]:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256))
        headers = {"Content-Type": "application/json", **more_headers}
        if self.token:
            headers["X-RocketChat-Livechat-Token"] = self.token
        limit = aiohttp.ClientTimeout(total=self.http_timeout_ms / 1000)
        try:
            async with self._session.post(
                self.url, data=data, headers=headers, timeout=limit, allow_redirects=False
            ) as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientConnectorError:
            return NOT_SENT, ""
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, ""

    def _drop(self, entry: dict[str, Any]) -> None:
        """As after the last retry of an outage, or a restart of the hub, which forgets its retries (2.6)."""
        entry["given_up"] = True
        self.dropped += 1
        self._settle()

    def _settle(self) -> None:
        self.unsettled = max(0, self.unsettled - 1)  # a reset may have come in between
        self.on_settled()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
