"""Telling an external system that its agents' availability changed in Rocket.Chat: signed like questions to deciders.

    {"type": "agent.presence", "workspace", "external_system", "external_id", "available"} -> 2xx

It is a state, so only the last one of each agent is kept, in memory: after a start every agent's is told anew.
No connection, 429 and 5xx are tried again until it is told, or changes; any other status is final.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2
import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.connector.signing import signed_headers
from omnibridge.domain.agents import AgentPresence
from omnibridge.http import Client

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
LIMIT_S = 4.0
AT_A_TIME = 8

_log = structlog.get_logger("omnibridge.presence")
Key = tuple[str, str, str]


class PresenceTeller:
    """client: its base_url is the whole address. boot: makes ids that no other process uses. count: by outcome."""

    def __init__(
        self, client: Client, keys: tuple[bytes, ...], clock: Clock, boot: str, count: Callable[[str], None]
    ) -> None:
        self._client, self._keys, self._clock, self._boot, self._count = client, keys, clock, boot, count
        self._due: dict[Key, tuple[int, AgentPresence]] = {}  # with the number of the change
        self._n = 0
        self._rung = asyncio.Event()

    def tell(self, presence: AgentPresence) -> None:
        """As soon as it can be; replaces what was to be told of this agent before."""
        self._n += 1
        self._due[presence.workspace, presence.system, presence.external_id] = (self._n, presence)
        self._rung.set()

    async def serve(self) -> None:
        """Until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            self._rung.clear()
            slots = asyncio.Semaphore(AT_A_TIME)
            told = await asyncio.gather(*(self._one(key, slots) for key in list(self._due)))
            if all(told):
                pause_s = FIRST_PAUSE_S
                await self._rung.wait()
                continue
            try:
                async with asyncio.timeout(pause_s):  # a change meanwhile is told at once
                    await self._rung.wait()
            except TimeoutError:
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _one(self, key: Key, slots: asyncio.Semaphore) -> bool:
        """False = it has to be tried again."""
        async with slots:
            number, presence = self._due[key]
            status = await self._post(number, presence)
        if status == 429 or status >= 500:
            self._count("retried")
            return False
        self._count("told" if status < 300 else "refused")
        if status >= 300:
            _log.warning("presence_refused", workspace=key[0], system=key[1], status=status)
        if self._due[key][0] == number:
            del self._due[key]
        return True

    async def _post(self, number: int, presence: AgentPresence) -> int:
        """Its status; 599 = no answer."""
        body = msgspec.json.encode(
            {
                "type": "agent.presence",
                "workspace": presence.workspace,
                "external_system": presence.system,
                "external_id": presence.external_id,
                "available": presence.available,
            }
        )
        now_s = self._clock.now_ms() // 1000
        signed = signed_headers(self._keys, f"pres_{self._boot}_{number}", now_s, body)
        headers = {"content-type": "application/json", "user-agent": "omnibridge", **signed}
        try:
            async with asyncio.timeout(LIMIT_S):
                answer = await self._client.exchange("POST", "", content=body, headers=headers)
        except (httpx2.HTTPError, TimeoutError) as exc:
            _log.info("presence_not_told", reason=type(exc).__name__)
            return 599
        return answer.status
