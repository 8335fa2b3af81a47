"""What these tests share: the simulated service on a socket, and calls to it by a client that is not ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID, ORG_ID
from connectors.salesforce_live_agent.simulator import ROOT, Simulator
from omnibridge.sandbox.server import Socket

INIT = {
    "organizationId": ORG_ID,
    "deploymentId": DEPLOYMENT_ID,
    "buttonId": BUTTON_ID,
    "userAgent": "x",
    "language": "en-US",
    "screenResolution": "1900x1080",
    "visitorName": "Vera",
    "prechatDetails": [],
    "prechatEntities": [],
    "receiveQueueUpdates": True,
    "isPost": True,
}


class RunningService(Simulator):
    """On a socket that can go and come back under the same address, with all sessions."""

    url = ""
    _socket: Socket | None = None

    def service_calls(self) -> list[dict[str, Any]]:
        return self.api.calls

    async def listen(self) -> None:
        port = int(self.url.rsplit(":", 1)[1]) if self.url else 0
        self._socket = Socket(self.app(), "127.0.0.1", port)
        await self._socket.start()
        self.url = self._socket.url

    async def hang_up(self) -> None:
        """From now on connections are refused."""
        socket, self._socket = self._socket, None
        if socket:
            await socket.stop()


@asynccontextmanager
async def at_other_address(found: RunningService) -> AsyncIterator[str]:
    """The same service, with its sessions, on a second socket."""
    socket = Socket(found.app(), "127.0.0.1", 0)
    await socket.start()
    try:
        yield socket.url
    finally:
        await socket.stop()


@asynccontextmanager
async def service(**options: Any) -> AsyncIterator[RunningService]:
    found = RunningService()
    await found.listen()
    found.wish({"options": {"poll_s": 1.0, **options}})
    try:
        yield found
    finally:
        for each in found.service.sessions.values():
            found.service.kill(each, "test is over")
        await found.hang_up()


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


class Page:
    """One visitor's page. sequence: of its next post."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session
        self.id = self.key = self.affinity = ""
        self.sequence, self.ack, self.offset = 1, -1, -1

    async def call(
        self, method: str, path: str, body: Any = None, *, sequence: int | None = None, affinity: str = "", **query: Any
    ) -> tuple[int, Any]:
        headers = {"X-LIVEAGENT-API-VERSION": "49", "X-LIVEAGENT-AFFINITY": affinity or self.affinity or "null"}
        if self.key:
            headers["X-LIVEAGENT-SESSION-KEY"] = self.key
        if sequence is not None:
            headers["X-LIVEAGENT-SEQUENCE"] = str(sequence)
        root = "" if path.startswith("/_") else f"{ROOT}/"
        async with self.session.request(
            method, f"{self.url}{root}{path}", json=body, headers=headers, params=query
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type and text else text

    async def come(self, **init: Any) -> None:
        _, found = await self.call("GET", "System/SessionId")
        self.id, self.key, self.affinity = found["id"], found["key"], found["affinityToken"]
        assert await self.post("ChasitorInit", {**INIT, "sessionId": self.id, **init}) == 200

    async def post(self, noun: str, body: Any = None) -> int:
        path = noun if "/" in noun else f"Chasitor/{noun}"
        status, _ = await self.call("POST", path, body or {}, sequence=self.sequence)
        self.sequence += status == 200
        return status

    async def poll(self) -> tuple[int, list[dict[str, Any]]]:
        status, found = await self.call("GET", "System/Messages", ack=str(self.ack))
        if status != 200:
            return status, []
        self.ack, self.offset = found["sequence"], found["offset"]
        return status, found["messages"]

    async def types(self) -> list[str]:
        return [each["type"] for each in (await self.poll())[1]]


@asynccontextmanager
async def page(found: RunningService, *, accepted: bool = False, **init: Any) -> AsyncIterator[Page]:
    async with aiohttp.ClientSession() as session:
        visitor = Page(found.url, session)
        await visitor.come(**init)
        if accepted:
            found.desk.accept(visitor.id)
            assert await visitor.types() == ["ChatRequestSuccess", "ChatEstablished"]
        yield visitor
