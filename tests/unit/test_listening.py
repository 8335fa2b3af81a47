"""A server that ends: what is under way ends first, and nobody is left behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from omnibridge.listening import Serving, listen

Received = Callable[[], Awaitable[Any]]
Sent = Callable[[Any], Awaitable[None]]
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class App:
    """Answers when it is let; `on` and `off` are told by the lifespan."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.was_cancelled = False
        self.lifespan: list[str] = []

    async def __call__(self, scope: Any, receive: Received, send: Sent) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                kind = (await receive())["type"]
                self.lifespan.append(kind)
                await send({"type": f"{kind}.complete"})
            return
        self.asked.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def serving(app: Any, grace_s: int = 1, **options: Any) -> tuple[Serving, tuple[str, int]]:
    listening = listen("127.0.0.1", 0)
    found = Serving(app, listening, grace_s=grace_s, log_config=None, lifespan="on", **options)
    address = listening.getsockname()
    await found.start()
    return found, address


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionResetError):
        await writer.wait_closed()


@pytest.mark.parametrize("rounds", range(5))
async def test_connection_accepted_while_it_ends_is_ended_too(rounds: int) -> None:
    """rounds: of the event loop, between the connection's arrival and the end. No Date: nothing awaits before it."""
    found, address = await serving(App(), grace_s=60, date_header=False)
    callers = [socket.create_connection(address) for _ in range(3)]
    for _ in range(rounds):
        await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await found.stop()

    for each in callers:
        each.settimeout(5)
        with each, suppress(ConnectionResetError):  # if it had not been accepted yet
            assert each.recv(1) == b""


async def test_request_under_way_is_answered_before_it_ends() -> None:
    app = App()
    found, address = await serving(app, grace_s=60)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(GET)
    await app.asked.wait()

    ending = asyncio.create_task(found.stop())
    await asyncio.sleep(0)
    app.may_answer.set()
    answer = await reader.read()
    await ending
    await gone(writer)

    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok")
    assert app.lifespan == ["lifespan.startup", "lifespan.shutdown"]


async def test_request_that_does_not_end_is_cut_after_the_grace() -> None:
    app = App()
    found, address = await serving(app, grace_s=0)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(GET)
    await app.asked.wait()

    await found.stop()

    async with asyncio.timeout(30):
        with suppress(ConnectionResetError):  # no answer either
            assert b"200" not in await reader.read()
    await gone(writer)
    assert app.was_cancelled


async def test_app_that_does_not_start_closes_the_socket() -> None:
    async def broken(scope: Any, receive: Received, send: Sent) -> None:
        raise OSError("no")

    listening = listen("127.0.0.1", 0)
    found = Serving(broken, listening, grace_s=1, log_config=None, lifespan="on")
    with pytest.raises(RuntimeError, match="does not start"):
        await found.start()
    await found.stop()

    assert listening.fileno() == -1
