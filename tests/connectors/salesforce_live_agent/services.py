"""What these tests share: the simulated service on a socket, and calls to it by a client that is not ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from connectors.salesforce_live_agent.simulated.service import BUTTON_ID, DEPLOYMENT_ID, ORG_ID
from connectors.salesforce_live_agent.simulator import ROOT, Simulator
from omnibridge.sandbox.server import Socket
from tests.connectors.salesforce.running import Running, running

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


class RunningService(Simulator, Running):
    def service_calls(self) -> list[dict[str, Any]]:
        return self.api.calls


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
    async with running(RunningService()) as found:
        found.wish({"options": {"poll_s": 1.0, **options}})
        yield found


@asynccontextmanager
async def checked(**options: Any) -> AsyncIterator[RunningService]:
    """Nothing is polled twice, posted early or out of its order."""
    async with service(**options) as found:
        yield found
        ledger = found.ledger()
        assert (ledger["duplicate_polls"], ledger["sequence_gaps"], ledger["early_posts"]) == (0, 0, 0)


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
