"""Sends webhooks as the hub does, faults included. Source: rocketchat-api 2.6.

Success is exactly 200. Retries live in memory, 4 x the HTTP timeout apart: ten attempts for everything up to
7.7, where the first one runs inside the save; five for 429, 5xx, time-outs and network errors on 8.x.
Duplicates and overtaking are injected at seeded rates; both are counted from what was really sent.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from omnibridge.sandbox.state import Room, now_ms

_encode = msgspec.json.Encoder().encode


class WebhookSender:
    """url, token, http_timeout_ms and the rates may be changed while it runs."""

    def __init__(self, is_blocking: bool, seed: int) -> None:
        self.url, self.token = "", ""
        self.http_timeout_ms = 5000
        self.duplicate_rate = self.swap_rate = 0.0
        self.swap_hold_ms = 40
        self.log: list[dict[str, Any]] = []
        self.duplicates_sent = self.reordered_sent = 0
        self.unsettled = 0
        self._is_blocking = is_blocking
        self._random = random.Random(seed)
        self._newest_sent: dict[str, int] = {}
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_settled: Callable[[], None] = lambda: None

    def reseed(self, seed: int) -> None:
        self._random.seed(seed)

    async def fire(self, body: dict[str, Any], room: Room | None) -> None:
        """Send one event. Up to 7.7 this returns after the first attempt, from 8.x on at once."""
        if not self.url:
            return
        messages = body.get("messages") or [{}]
        entry: dict[str, Any] = {
            "n": len(self.log),
            "type": body["type"],
            "rid": body.get("_id", ""),
            "message": messages[0].get("_id", "") if body["type"] == "Message" else "",
            "attempts": [],
            "ok_at": None,
            "given_up": False,
        }
        self.log.append(entry)
        self.unsettled += 1
        data = _encode(body)
        hold_s = self.swap_hold_ms / 1000 if self._random.random() < self.swap_rate else 0.0
        if self._random.random() < self.duplicate_rate:
            self._start(self._duplicate(entry, data, self._random.uniform(0.0, 0.2)))
        if self._is_blocking and not hold_s:
            retry = not await self._attempt(entry, data, room)
            if retry:
                self._start(self._go_on(entry, data, room))
        else:
            self._start(self._send(entry, data, room, hold_s))

    async def test(self, body: dict[str, Any]) -> int:
        """Post a sample once, outside the log of events. Returns the status, 0 without an answer."""
        status, _ = await self._post({"rid": "", "attempts": []}, _encode(body))
        return status

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def _send(self, entry: dict[str, Any], data: bytes, room: Room | None, hold_s: float) -> None:
        if hold_s:
            await asyncio.sleep(hold_s)
        if not await self._attempt(entry, data, room):
            await self._go_on(entry, data, room)

    async def _go_on(self, entry: dict[str, Any], data: bytes, room: Room | None) -> None:
        """Attempts after the first."""
        for _ in range((10 if self._is_blocking else 5) - 1):
            if entry["given_up"]:
                return
            await asyncio.sleep(4 * self.http_timeout_ms / 1000)
            if await self._attempt(entry, data, room):
                return
        if not entry["given_up"]:
            self._give_up(entry)

    async def _attempt(self, entry: dict[str, Any], data: bytes, room: Room | None) -> bool:
        status, text = await self._post(entry, data)
        if status == 200:
            entry["ok_at"] = now_ms()
            if room is not None:
                room.crm_data = text
            self.unsettled -= 1
            self.on_settled()
            return True
        if not self._is_blocking and status and status != 429 and status < 500:
            self._give_up(entry)
        return False

    def _give_up(self, entry: dict[str, Any]) -> None:
        entry["given_up"] = True
        self.unsettled -= 1
        self.on_settled()

    async def _duplicate(self, entry: dict[str, Any], data: bytes, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        self.duplicates_sent += 1
        await self._post({**entry, "attempts": entry["attempts"]}, data, is_duplicate=True)

    async def _post(self, entry: dict[str, Any], data: bytes, *, is_duplicate: bool = False) -> tuple[int, str]:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256))
        if not is_duplicate and entry["rid"]:
            newest = self._newest_sent.get(entry["rid"], -1)
            self.reordered_sent += entry["n"] < newest
            self._newest_sent[entry["rid"]] = max(newest, entry["n"])
        began = now_ms()
        headers = {"Content-Type": "application/json", "X-RocketChat-Livechat-Token": self.token}
        status, text = 0, ""
        try:
            limit = aiohttp.ClientTimeout(total=self.http_timeout_ms / 1000)
            async with self._session.post(self.url, data=data, headers=headers, timeout=limit) as answer:
                status, text = answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = 0
        entry["attempts"].append([began, status, now_ms(), is_duplicate])
        return status, text

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
