"""The simulated routing method `External`, as a service sees it and by what it does with the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, Socket, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor


class Service:
    """answers: one per request, in the order of arrival; the last one goes on. Waits for a whole burst first."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answers: list[tuple[bytes, int]] = [(b'{"username": "alice"}', 200)]
        self.socket = Socket(Starlette(routes=[Route("/agent", self._answer)]), "127.0.0.1", 0)

    async def _answer(self, request: Request) -> Response:
        at = len(self.requests)
        self.requests.append((request.method, dict(request.query_params), dict(request.headers)))
        async with asyncio.timeout(30):
            while len(self.requests) < (at // 10 + 1) * 10:  # all ten are under way at once, or this fails
                await asyncio.sleep(0.005)
        return Response(*self.answers[min(at, len(self.answers) - 1)])


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    await made.socket.start()
    yield made
    await made.socket.stop()


@pytest_asyncio.fixture
async def hub(service: Service, request: pytest.FixtureRequest) -> AsyncIterator[RunningSandbox]:
    """Its worker looks for waiting rooms every 50 ms, or as often as the test says."""
    running = await start(SandboxOptions(simulators=False, bot_first=False, department="sales"))
    client = SandboxClient(running.url)
    url = f"{service.socket.url}/agent?kept=1"
    wish: dict[str, Any] = {
        "external_url": url,
        "external_token": "secret-of-hub",
        "external_worker_ms": getattr(request, "param", 50),
    }
    await client.control(routing_method="External", **wish)
    yield running
    await client.aclose()
    await running.stop()


async def open_room(hub: RunningSandbox, **profile: Any) -> str:
    client = SandboxClient(hub.url)
    try:
        return await Visitor(client).open_room(**profile)
    finally:
        await client.aclose()


@pytest.mark.parametrize("hub", [3_600_000], indirect=True)
async def test_ten_equal_requests_with_a_department_and_the_token(hub: RunningSandbox, service: Service) -> None:
    room = await open_room(hub, department="sales")
    department = next(iter(hub.hub.departments))

    assert len(service.requests) == 10
    method, query, headers = service.requests[0]
    assert (method, query) == ("GET", {"kept": "1", "departmentId": department})
    assert headers["x-rocketchat-secret-token"] == "secret-of-hub"
    assert (headers["user-agent"], headers["accept"]) == ("RocketChat Server", "application/json")
    assert all(each[1] == query for each in service.requests)
    served = hub.hub.rooms[room].served_by
    assert served
    assert served.username == "alice"


async def test_without_a_department_none_is_named(hub: RunningSandbox, service: Service) -> None:
    await open_room(hub)

    assert service.requests[0][1] == {"kept": "1"}


@pytest.mark.parametrize(
    "answers",
    [
        [(b"<html>", 200)] * 9 + [(b'{"username": "alice"}', 500)],  # no status is looked at
        [(b'{"username": "nobody-knows"}', 200)] * 5 + [(b'{"username": "alice"}', 200)] * 5,
        [(b"[]", 200), (b'{"username": 7}', 200), (b"{}", 200)] + [(b'{"username": "alice"}', 200)] * 7,
    ],
)
async def test_first_usable_answer_wins(
    hub: RunningSandbox, service: Service, answers: list[tuple[bytes, int]]
) -> None:
    service.answers = answers
    room = await open_room(hub)
    served = hub.hub.rooms[room].served_by

    assert served
    assert served.username == "alice"


async def test_no_usable_answer_leaves_it_queued_and_the_worker_asks_again(
    hub: RunningSandbox, service: Service
) -> None:
    hub.hub.by_name["alice"].status_livechat = "not-available"
    room = hub.hub.rooms[await open_room(hub)]
    assert (room.served_by, room.inquiry_status) == (None, "queued")

    hub.hub.by_name["alice"].status_livechat = "available"
    async with asyncio.timeout(30):
        while room.served_by is None:
            await asyncio.sleep(0.01)
    assert len(service.requests) >= 20
    assert hub.life.external.ledger[-1]["by"] == "worker"


async def test_bot_first_goes_before_it(hub: RunningSandbox, service: Service) -> None:
    hub.life.bot_first = True
    room = hub.hub.rooms[await open_room(hub)]

    assert room.served_by
    assert (room.served_by.username, service.requests) == ("bot", [])
