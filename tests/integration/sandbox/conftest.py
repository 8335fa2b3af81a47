"""A hub of any version on a real socket, and a receiver of its webhooks that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox import webhook_sender
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, Socket, start
from omnibridge.sandbox.visitor import AgentClient, SandboxClient, VisitorClient

from .ddp import Dialer


class Receiver:
    """statuses: answers to come, then 200. While `gate` is closed nothing is answered."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.socket = Socket(Starlette(routes=[Route("/", self._take, methods=["POST"])]), "127.0.0.1", 0)

    async def _take(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        status = self.statuses.pop(0) if self.statuses else 200
        self.arrived.set()
        await self.gate.wait()
        return Response("seen" if status == 200 else "", status)

    def last(self, kind: str) -> dict[str, Any]:
        """On 8.x, webhooks overtake one another."""
        return [each for each in self.bodies if each["type"] == kind][-1]

    def types(self) -> list[str]:
        return [each["type"] for each in self.bodies]


class Hub:
    """A running sandbox with a client, its people, and a receiver."""

    def __init__(self, running: RunningSandbox, client: SandboxClient, receiver: Receiver) -> None:
        self.running, self.client, self.receiver = running, client, receiver
        self.alice = self.account("agent_account")
        self.bot = self.account("bot_account")
        self.relay = self.account("service_account")
        self.admin = self.account("admin")

    def account(self, name: str) -> AgentClient:
        return AgentClient(self.client, self.running.description[name])

    async def visitor(self, **profile: Any) -> VisitorClient:
        """With an open room."""
        visitor = VisitorClient(self.client, "Vera")
        await visitor.open_room(**profile)
        return visitor

    async def settled_types(self) -> list[str]:
        assert await self.client.settled()
        return self.receiver.types()


Start = Callable[..., Awaitable[Hub]]


@pytest.fixture
async def start_hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """start_hub("7.7", licence="enterprise", ...); everything is stopped after the test."""
    # A second between two attempts, and a machine that stands still for one is not taken for a receiver that does.
    monkeypatch.setattr(webhook_sender, "RETRY_TIMEOUTS", 0.1)
    ends: list[Callable[[], Awaitable[None]]] = []
    async with AsyncExitStack() as stack:

        async def begin(hub_version: str = "8.3", **options: Any) -> Hub:
            receiver = Receiver()
            await receiver.socket.start()
            defaults = {"webhook_url": receiver.socket.url + "/", "http_timeout_ms": 10_000, "simulators": False}
            running = await start(SandboxOptions(hub_version=hub_version, **{**defaults, **options}))
            client = SandboxClient(running.url)
            ends.extend((running.stop, receiver.socket.stop))
            stack.push_async_callback(client.aclose)
            stack.callback(receiver.gate.set)
            return Hub(running, client, receiver)

        yield begin
    # All at once: each takes uvicorn 0.1 s.
    await asyncio.gather(*(end() for end in ends))


@pytest.fixture
async def hub(start_hub: Start) -> Hub:
    return await start_hub()


@pytest.fixture
async def dial() -> AsyncIterator[Dialer]:
    dialer = Dialer()
    yield dialer
    await asyncio.gather(*(each.close() for each in dialer.open))
