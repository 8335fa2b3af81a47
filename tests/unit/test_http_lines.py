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
from omnibridge.http.lines import Lines, OwnStream
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


async def test_chunks_of_a_byte_are_kept_as_one() -> None:
    """Each by itself would take sixty times its size; to take them one by one from the front, minutes."""
    stream = OwnStream(5, 1 << 20)
    stream.data_received(CHUNKED + chunk(b"x") * 40_000 + chunk(b"\n"))

    assert (len(stream._chunks), stream._size) == (1, 40_001)
    assert await anext(stream) == b"x" * 40_000
