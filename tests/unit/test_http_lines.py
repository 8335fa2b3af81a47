"""Answers that are read line by line, over sockets, from servers that mean well and others."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.http import AnswerTooLarge, Client, create_client
from omnibridge.http.lines import HIGH, Lines, LineStream
from tests.stream_server import stream_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(play: Play) -> AsyncIterator[Client]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await play(reader, writer)

    async with stream_server(serve) as server:
        client = create_client(base_url=f"http://127.0.0.1:{server.port}", max_connections=1)
        try:
            yield client
        finally:
            await client.aclose()


def saying(*parts: bytes, then_stay: bool = False) -> Play:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if then_stay:
            await reader.read()

    return play


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def read(client: Client, idle_s: float = 5, max_line_bytes: int = 1 << 20) -> list[bytes]:
    async with asyncio.timeout(30):
        async with client.lines("GET", "/sse", idle_s=idle_s, max_line_bytes=max_line_bytes) as stream:
            return [line async for line in stream]


@given(
    text=st.lists(st.sampled_from([b"a", b"", b"\xc3\xa9", b"\n", b"\r", b"\r\n", b"bc"])),
    cuts=st.sets(st.integers(1, 30)),
)
def test_where_bytes_are_cut_does_not_matter(text: list[bytes], cuts: set[int]) -> None:
    whole = b"".join(text)
    places = sorted({0, *(each for each in cuts if each < len(whole)), len(whole)})
    lines = Lines(100)
    found = [line for begin, end in itertools.pairwise(places) for line in lines.feed(whole[begin:end])]
    rest = lines.rest()

    assert found + ([rest] if rest else []) == whole.splitlines()


WAYS = {
    "chunks": (CHUNKED, chunk(b"a\nb"), chunk(b"\r"), chunk(b"\n\nc\n"), b"0\r\n\r\n"),
    "length": (HEAD + b"Content-Length: 7\r\n\r\n", b"a\nb\r\n\nc"),
    "until closed": (HEAD + b"\r\n", b"a\rb\r", b"\n\nc\n"),
    "more than was asked for": (CHUNKED + chunk(b"a\nb\n\nc") + b"0\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nx\n",),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"Content-Length: 7\r\n\r\na\nb", b"\n\nc\n"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_stream(way: str) -> None:
    async with serving(saying(*WAYS[way])) as client:
        assert await read(client) == [b"a", b"b", b"", b"c"]


async def test_lines_are_told_while_the_answer_comes_and_streams_are_no_connections() -> None:
    """Two streams and a call, of a client that has one connection."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"first\n"))
        await reader.read()

    async with serving(play) as client, asyncio.timeout(30):
        async with client.lines("GET", "/", idle_s=5) as one, client.lines("GET", "/", idle_s=5) as two:
            assert (one.status, one.headers["content-type"]) == (200, "text/event-stream")
            assert [await anext(one), await anext(two)] == [b"first", b"first"]
            asking = asyncio.create_task(client.exchange("GET", "/"))
            await asyncio.sleep(0)
            assert not asking.done()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


BROKEN: dict[str, tuple[bytes, type[httpx2.TransportError]]] = {
    "cut in a chunk": (CHUNKED + b"9\r\nok", httpx2.ReadError),
    "cut between chunks": (CHUNKED + chunk(b"a\n"), httpx2.ReadError),
    "cut in the length": (HEAD + b"Content-Length: 9\r\n\r\na\n", httpx2.ReadError),
    "cut in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", httpx2.ReadError),
    "no answer": (b"", httpx2.ReadError),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", httpx2.ReadError),
    "no chunk": (CHUNKED + b"zz\r\n", httpx2.ReadError),
    "head without end": (HEAD + b"X-Long: 0123456789abcdef\r\n" * 4000, AnswerTooLarge),
    "compressed": (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", AnswerTooLarge),
    "trailers without end": (CHUNKED + chunk(b"a") + b"0\r\n" + b"X: 0123456789abcdef\r\n" * 30_000, AnswerTooLarge),
    "chunk with an extension without end": (CHUNKED + b"1;x=" + b"x" * 300_000, AnswerTooLarge),
    "continue without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 9000, AnswerTooLarge),
    "line without end": (CHUNKED + chunk(b"x" * 5000) * 300, AnswerTooLarge),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_broken_streams_raise_never_end(what: str) -> None:
    raw, error = BROKEN[what]
    async with serving(saying(raw)) as client:
        with pytest.raises(error):
            await read(client)


async def test_lines_before_the_break_are_told() -> None:
    async with serving(saying(CHUNKED + chunk(b"a\nb\nhalf"))) as client, client.lines("GET", "/", idle_s=5) as stream:
        assert [await anext(stream), await anext(stream)] == [b"a", b"b"]
        for _ in range(2):
            with pytest.raises(httpx2.ReadError):
                await anext(stream)


async def test_silence_ends_the_stream_also_when_bytes_drip() -> None:
    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"a\n"))
        while True:
            writer.write(chunk(b"."))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(play) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await read(client, idle_s=0.1)
    async with serving(saying(then_stay=True)) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await read(client, idle_s=0.05)


async def test_who_does_not_read_makes_the_server_wait() -> None:
    """What is kept stays small, and nothing of it is lost."""
    sent = 0
    line = b"x" * 4095 + b"\n"

    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        for _ in range(4000):
            writer.write(chunk(line))
            await writer.drain()
            sent += 1
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with serving(play) as client, asyncio.timeout(30), client.lines("GET", "/", idle_s=5) as stream:
        before = -1
        while sent != before:  # until the server can write no more
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 4000
        assert stream._size < HIGH + (1 << 18) + 4096
        assert [len(each) async for each in stream] == [4095] * 4000


async def test_chunks_of_a_byte_are_kept_as_one() -> None:
    """Each by itself would take sixty times its size; to take them one by one from the front, minutes."""
    stream = LineStream(5, 1 << 20)
    stream.data_received(CHUNKED + chunk(b"x") * 40_000 + chunk(b"\n"))

    assert (len(stream._chunks), stream._size) == (1, 40_001)
    assert await anext(stream) == b"x" * 40_000


async def test_stream_is_cancelled_or_closed_while_somebody_waits() -> None:
    waits, left = asyncio.Event(), asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"a\n"))
        try:
            await reader.read()
        finally:
            left.set()

    async def read_on(client: Client) -> None:
        async with client.lines("GET", "/", idle_s=30) as stream:
            assert await anext(stream) == b"a"
            waits.set()
            await anext(stream)

    async with serving(play) as client, asyncio.timeout(30):
        reading = asyncio.create_task(read_on(client))
        await waits.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await left.wait()
        waits.clear()
        reading = asyncio.create_task(read_on(client))
        await waits.wait()
        await client.aclose()
        with pytest.raises(httpx2.ReadError, match="closed"):
            await reading
        with pytest.raises(httpx2.ConnectError):
            await read(client)


async def test_error_is_read_as_far_as_it_helps() -> None:
    body = b'{"message": "no"}' + b" " * 10_000
    head = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(saying(head, body)) as client, client.lines("GET", "/", idle_s=5) as stream:
        assert stream.status == 401
        assert (await stream.rest(100)).startswith(b'{"message": "no"}')
        assert len(await stream.rest()) == 0


async def test_no_line_break_gets_into_a_request() -> None:
    async with serving(saying(HEAD + b"\r\n")) as client:
        with pytest.raises(httpx2.UnsupportedProtocol):
            async with client.lines("GET", "/", headers={"X": "a\r\nY: b"}, idle_s=1):
                pass
