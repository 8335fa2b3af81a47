"""What holds for every stream of lines, on a connection of its own and on one that is shared, over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from omnibridge.http import AnswerTooLarge, Client
from omnibridge.http.lines import HIGH
from tests.conftest import until
from tests.http2_front import Play, Saying, client_of, fronted, playing

Serving = Callable[[Play], AbstractAsyncContextManager[Client]]


@pytest.fixture(params=["http1", "http2"])
def serving(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    @asynccontextmanager
    async def served(play: Play) -> AsyncIterator[Client]:
        async with fronted(playing(play), tmp_path) as front, asyncio.timeout(30):
            async with client_of(front, monkeypatch, request.param) as client:
                yield client

    return served


async def read(client: Client, path: str = "/sse", idle_s: float = 5, max_line_bytes: int = 1 << 20) -> list[bytes]:
    async with client.lines("GET", path, idle_s=idle_s, max_line_bytes=max_line_bytes) as stream:
        return [line async for line in stream]


async def test_lines_in_pieces_and_the_end(serving: Serving) -> None:
    async def play(say: Saying) -> None:
        await say.head()
        for each in (b"a\nb", b"\r", b"\n\nc\n", b"rest"):
            await say.body(each)
        await say.end()

    async with serving(play) as client:
        for _ in range(3):
            assert await read(client) == [b"a", b"b", b"", b"c", b"rest"]


async def test_request_arrives_as_it_was_given(serving: Serving) -> None:
    seen: list[Saying] = []

    async def play(say: Saying) -> None:
        seen.append(say)
        await say.head(204)
        await say.end()

    async with serving(play) as client:
        headers = {"Authorization": "Bearer secret", "X-Org-Id": "00D", "Last-Event-Id": "17"}
        async with client.lines("GET", "/v1/sse", query={"a": "b c"}, headers=headers, idle_s=5) as stream:
            assert (stream.status, [each async for each in stream]) == (204, [])
    (call,) = seen
    got = {name.decode(): value.decode() for name, value in call.scope["headers"]}
    assert got.pop("host").startswith("127.0.0.1:")
    assert got == {name.lower(): value for name, value in headers.items()}
    assert (call.scope["method"], call.scope["path"], call.scope["query_string"]) == ("GET", "/v1/sse", b"a=b+c")


async def test_lines_are_told_while_the_answer_comes(serving: Serving) -> None:
    async def play(say: Saying) -> None:
        await say.head()
        await say.body(b"first\n")
        await say.gone()

    async with serving(play) as client:
        async with client.lines("GET", "/", idle_s=5) as one, client.lines("GET", "/", idle_s=5) as two:
            assert (one.status, one.headers["content-type"]) == (200, "text/event-stream")
            assert [await anext(one), await anext(two)] == [b"first", b"first"]


async def test_lines_before_the_break_are_told(serving: Serving) -> None:
    async def play(say: Saying) -> None:
        await say.head()
        await say.body(b"a\nb\nhalf")
        await told.wait()
        say.cut()

    told = asyncio.Event()
    async with serving(play) as client, client.lines("GET", "/", idle_s=5) as stream:
        assert [await anext(stream), await anext(stream)] == [b"a", b"b"]
        told.set()
        for _ in range(2):
            with pytest.raises(httpx2.ReadError):
                await anext(stream)


async def test_broken_off_before_the_head(serving: Serving) -> None:
    async def play(say: Saying) -> None:
        say.cut()

    async with serving(play) as client:
        with pytest.raises(httpx2.ReadError):
            await read(client)


async def test_silence_ends_the_stream_also_when_bytes_drip(serving: Serving) -> None:
    async def drip(say: Saying) -> None:
        if say.scope["path"] == "/silent":
            return await say.gone()
        await say.head()
        await say.body(b"a\n")
        gone = asyncio.create_task(say.gone())
        while not gone.done():
            await say.body(b".")
            await asyncio.wait([gone], timeout=0.01)

    async with serving(drip) as client:
        for path in ("/drip", "/silent"):
            with pytest.raises(httpx2.ReadTimeout):
                await read(client, path, idle_s=0.1)


async def test_who_does_not_read_makes_the_server_wait(serving: Serving) -> None:
    """What is kept stays small, and nothing of it is lost."""
    sent = 0
    line = b"x" * 4095 + b"\n"

    async def play(say: Saying) -> None:
        nonlocal sent
        await say.head()
        for _ in range(4000):
            await say.body(line)
            sent += 1
        await say.end()

    async with serving(play) as client, client.lines("GET", "/", idle_s=5) as stream:
        before = -1
        while sent != before:  # until the server can write no more
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 4000
        assert stream._size < HIGH + (1 << 18) + 4096
        assert [len(each) async for each in stream] == [4095] * 4000


async def test_stream_is_cancelled_or_closed_while_somebody_waits(serving: Serving) -> None:
    waits, left = asyncio.Event(), asyncio.Event()

    async def play(say: Saying) -> None:
        await say.head()
        await say.body(b"a\n")
        await say.gone()
        left.set()

    async def read_on(client: Client) -> None:
        async with client.lines("GET", "/", idle_s=30) as stream:
            assert await anext(stream) == b"a"
            waits.set()
            await anext(stream)

    async with serving(play) as client:
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


async def test_error_is_read_as_far_as_it_helps(serving: Serving) -> None:
    body = b'{"message": "no"}' + b" " * 300_000
    ends: list[str] = []

    async def play(say: Saying) -> None:
        await say.head(401)
        try:
            await say.body(body)
            await say.end()
        finally:
            ends.append("over")

    async with serving(play) as client:
        for _ in range(2):
            async with client.lines("GET", "/", idle_s=5, max_line_bytes=500_000) as stream:
                assert stream.status == 401
                assert (await stream.rest(100)).startswith(b'{"message": "no"}')
        await until(lambda: len(ends) == 2)


@pytest.mark.parametrize("what", ["line", "gzip", "head"])
async def test_too_large(serving: Serving, what: str) -> None:
    async def play(say: Saying) -> None:
        headers = {"gzip": {"content_encoding": "gzip"}, "head": {f"x{n}": "x" * 4000 for n in range(50)}}
        await say.head(**headers.get(what, {}))
        for _ in range(300):
            await say.body(b"x" * 5000)
        await say.end()

    async with serving(play) as client:
        with pytest.raises((AnswerTooLarge, httpx2.ReadError)):
            await read(client)


async def test_no_line_break_gets_into_a_request(serving: Serving) -> None:
    async def play(say: Saying) -> None:
        raise AssertionError("it came")

    async with serving(play) as client:
        for headers in ({"X": "a\r\nY: b"}, {"X\nY": "a"}, {"X": "a\0"}):
            with pytest.raises(httpx2.UnsupportedProtocol):
                async with client.lines("GET", "/", headers=headers, idle_s=1):
                    pass


async def test_wrong_name_is_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, serving: Serving
) -> None:
    async def play(say: Saying) -> None:
        raise AssertionError("it came")

    param = request.node.callspec.params["serving"]
    async with fronted(playing(play), tmp_path, "another.example") as front:
        async with client_of(front, monkeypatch, param) as client:
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await read(client)
