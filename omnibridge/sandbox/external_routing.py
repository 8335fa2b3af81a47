"""The routing method `External`: asks a service who takes the next inquiry of a department. Source: rocketchat-api 7.3.

Ten equal requests at once for each decision, with nothing but a department; all are awaited, the first one in the
order of sending that names an available user wins. No status is looked at, only whether the body is JSON. A queue
worker asks again for what waits, one inquiry per department and round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from omnibridge.sandbox.state import User

EXTERNAL = "External"
BURST = 10
TIMEOUT_S = 20.0


class ExternalRouting:
    """url, token: `Livechat_External_Queue_URL` and `_Token`. worker_ms: `Omnichannel_queue_delay_timeout`.

    asks_at_start: off = a new inquiry waits for the worker, as with the waiting queue of enterprise.
    ledger: one entry per decision: by (start, worker), department, answers, chosen.
    """

    def __init__(self, find: Callable[[str], User | None]) -> None:
        self._find = find
        self.url = self.token = ""
        self.worker_ms = 5_000
        self.asks_at_start = True
        self.ledger: list[dict[str, Any]] = []
        self._session: aiohttp.ClientSession | None = None
        self._worker: asyncio.Task[None] | None = None

    async def next_agent(self, department: str, ignore: str = "", by: str = "start") -> User | None:
        """None: `no-agent-online`."""
        query = {
            **({"departmentId": department} if department else {}),
            **({"ignoreAgentId": ignore} if ignore else {}),
        }
        answers = await asyncio.gather(*(self._ask(query) for _ in range(BURST)))
        users = [self._find(each) if each else None for each in answers]
        chosen = next((each for each in users if each and each.is_available), None)
        self.ledger.append(
            {
                "by": by,
                "department": department,
                "answers": answers,
                "chosen": chosen.username if chosen else None,
            }
        )
        return chosen

    def keep_asking(self, one_round: Callable[[], Awaitable[None]]) -> None:
        """Start the queue worker, once."""
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(one_round))

    async def aclose(self) -> None:
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        if self._session:
            await self._session.close()
            self._session = None

    async def _work(self, one_round: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self.worker_ms / 1000)
            await one_round()

    async def _ask(self, query: dict[str, str]) -> str:
        """The user name that was answered; empty for no answer, no JSON, or no name in it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                headers={"User-Agent": "RocketChat Server", "Accept": "application/json"},
            )
        headers = {"X-RocketChat-Secret-Token": self.token}
        try:
            async with self._session.get(self.url, params=query, headers=headers) as answer:
                found = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return ""  # logged by the real hub, and treated as no answer
        name = found.get("username") if isinstance(found, dict) else None
        return name if isinstance(name, str) else ""
