"""Bodies that pass through piece by piece, with servers that say too much or take their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from omnibridge.http import AnswerTooLarge, Origin
from omnibridge.http.streaming import stream
from tests.loop_time import pass_by
from tests.stream_server import stream_server

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(play: Play) -> AsyncIterator[Origin]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await play(reader, writer)
        finally:
            ended.set()

    ended = asyncio.Event()
    async with stream_server(serve) as server, asyncio.timeout(30):
        yield Origin("http", "127.0.0.1", server.port, f"127.0.0.1:{server.port}")
        await ended.wait()


def saying(raw: bytes) -> Play:
    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return play


WAYS = {
    "a second answer": OK + b"HTTP/1.1 500 No\r\nX-More: x\r\nContent-Length: 3\r\n\r\nbad",
    "continue": b"HTTP/1.1 100 Continue\r\nX-More: x\r\n\r\n" + OK,
    "trailers": CHUNKED + b"2\r\nok\r\n0\r\nX-More: x\r\n\r\n",
    "until closed": b"HTTP/1.1 200 OK\r\n\r\nok",
}


@pytest.mark.parametrize("way", WAYS)
async def test_answer_is_what_was_asked_for_and_nothing_else(way: str) -> None:
    async with served(saying(WAYS[way])) as origin, stream(origin, "GET", "/") as found:
        assert await found.whole(1000) == b"ok"
        assert (found.status, "x-more" in found.headers) == (200, False)


ENDLESS = {
    "head": b"HTTP/1.1 200 OK\r\n" + b"X-Long: 0123456789abcdef\r\n" * 30_000,
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 9000,
    "trailers": CHUNKED + b"1\r\nx\r\n0\r\n" + b"X-Long: 0123456789abcdef\r\n" * 30_000,
    "extension": CHUNKED + b"1;x=" + b"x" * 300_000,
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_is_no_body_has_a_limit(what: str) -> None:
    async with served(saying(ENDLESS[what])) as origin:
        with pytest.raises(AnswerTooLarge):
            async with stream(origin, "GET", "/") as found:
                await found.whole(1000)


async def test_upload_may_take_longer_than_silence_may() -> None:
    """Two seconds for each piece, by the clock of the loop."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(6):
            pass_by(2.0)
            await asyncio.sleep(0)
            yield b"x" * 10

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(60)
        writer.write(OK)

    async with served(play) as origin:
        async with stream(origin, "POST", "/", body=body(), length=60, silent_s=3) as found:
            assert await found.whole(100) == b"ok"


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Len", OK[:-1]], ids=["all", "head", "body"])
async def test_silence_ends_it(raw: bytes) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await reader.read()

    async with served(play) as origin:
        with pytest.raises(httpx2.ReadTimeout):
            async with stream(origin, "GET", "/", silent_s=0.05) as found:
                await found.whole(100)


async def test_connection_is_closed_also_when_the_call_is_cancelled_at_its_end() -> None:
    """In the very moment in which it waits for its reader. This left sockets open that nobody knew of."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        assert await reader.read() == b""

    async def call(origin: Origin) -> None:
        async with stream(origin, "GET", "/") as found:
            await found.whole(100)
            task = asyncio.current_task()
            assert task
            asyncio.get_running_loop().call_soon(task.cancel)

    async with served(play) as origin:
        calling = asyncio.create_task(call(origin))
        await asyncio.wait([calling])
        assert calling.cancelled()
