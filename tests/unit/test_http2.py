"""Streams that share a connection, in every trouble: what a server does to one, to some, and to all of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import h2.events as told
import httpx2
import pytest
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PushPromiseFrame, RstStreamFrame

from omnibridge.errors import ConfigError
from omnibridge.http import Client, LineStream, create_client, http2, shared
from omnibridge.http.shared_stream import SharedStream
from tests.conftest import until
from tests.http2_front import Fronted, Play, Saying, client_of, fronted, playing


async def say_and_wait(say: Saying) -> None:
    await say.head()
    await say.body(b"first\n")
    await say.gone()


class Scene:
    """A server, our client, and the streams of it that were opened with `open`."""

    def __init__(self, front: Fronted, client: Client) -> None:
        self.front, self.client, self.streams = front, client, AsyncExitStack()

    async def open(self, count: int = 1, idle_s: float = 5.0) -> list[LineStream]:
        async def one() -> LineStream:
            found = await self.streams.enter_async_context(self.client.lines("GET", "/", idle_s=idle_s))
            assert await anext(found) == b"first"
            return found

        return list(await asyncio.gather(*(one() for _ in range(count))))

    def calls(self) -> list[int]:
        """Streams that each connection has, as its server knows."""
        return [len(each.calls) for each in self.front.live]

    def taking(self) -> int:
        """Connections on which our side would begin another stream."""
        assert self.client._wire and self.client._wire._shared
        return sum(len(each.connections) for each in self.client._wire._shared._places.values())


@asynccontextmanager
async def scene(
    folder: Path, monkeypatch: pytest.MonkeyPatch, play: Play = say_and_wait, most_streams: int = 100
) -> AsyncIterator[Scene]:
    async with asyncio.timeout(30), fronted(playing(play), folder, most_streams=most_streams) as front:
        async with client_of(front, monkeypatch) as client:
            found = Scene(front, client)
            async with found.streams:
                yield found


async def ends(stream: LineStream) -> str:
    """The error that comes next."""
    try:
        return f"line {await anext(stream)!r}"
    except StopAsyncIteration:
        return "end"
    except httpx2.TransportError as exc:
        return type(exc).__name__


def say_all(one: Scene, data: bytes, connection: int = 0) -> None:
    served = one.front.connections[connection]
    for number in served.calls:
        served.send_data(number, data)


# -- which connection -------------------------------------------------------------------------------------


async def test_streams_fill_a_connection_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch, most_streams=10) as one:
        streams = await one.open(25)
        assert one.calls() == [10, 10, 5]
        for each in streams[:10]:
            each.close()
        await until(lambda: sum(one.calls()) == 15)
        await one.open(5)
        assert sorted(one.calls(), reverse=True)[0] == 10 and len(one.front.connections) == 3


async def test_a_hundred_at_most_whatever_the_server_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "MOST", 3)
    async with scene(tmp_path, monkeypatch, most_streams=1000) as one:
        await one.open(7)
        assert one.calls() == [3, 3, 1]


async def test_settings_that_change_are_kept_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch) as one:
        await one.open(3)
        served = one.front.connections[0]
        served.say(
            lambda h2: h2.update_settings(
                {
                    SettingCodes.MAX_CONCURRENT_STREAMS: 4,
                    SettingCodes.INITIAL_WINDOW_SIZE: 5,
                    SettingCodes.MAX_FRAME_SIZE: 20_000,
                    SettingCodes.HEADER_TABLE_SIZE: 0,
                }
            )
        )
        await until(lambda: len(served.heard(told.SettingsAcknowledged)) == 2)
        await one.open(3)
        assert one.calls() == [4, 2]


async def test_server_that_takes_no_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch, most_streams=0) as one:
        with pytest.raises(httpx2.ConnectError, match="no streams"):
            await one.open()


async def test_who_speaks_http1_alone_is_spoken_to_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked once: the next streams do not ask again."""
    offered: list[bool] = []
    async with scene(tmp_path, monkeypatch) as one:
        one.front.context.set_alpn_protocols(["http/1.1"])
        one.front.context.sni_callback = lambda *_: offered.append(True)
        streams = await one.open(5)
        assert not any(each.is_shared for each in streams) and one.front.connections == []
        assert len(offered) == 6


async def test_server_may_ask_for_http1_by_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(say: Saying) -> None:
        if say.scope["http_version"] == "2":
            say.reset(0xD)
        else:
            await say_and_wait(say)

    async with scene(tmp_path, monkeypatch, play) as one:
        (stream,) = await one.open()
        assert not stream.is_shared


async def test_all_who_wait_for_a_connection_hear_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One attempt, not one after the other: a host that is silent would cost each of them five seconds more."""
    tried = 0

    async def refuse(*_: object) -> None:
        nonlocal tried
        tried += 1
        await asyncio.sleep(0.01)
        raise OSError("no route")

    monkeypatch.setattr("omnibridge.http.wire.connect", refuse)
    client = create_client(base_url="https://org.example", streams="http2")

    async def read() -> None:
        async with client.lines("GET", "/", idle_s=5):
            raise AssertionError("it opened")

    found = await asyncio.gather(*(read() for _ in range(50)), return_exceptions=True)
    assert {type(each) for each in found} == {httpx2.ConnectError} and tried == 1
    assert len({id(each) for each in found}) == 50
    await client.aclose()


def test_without_h2_it_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnibridge.http.client.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        create_client(streams="http2")


# -- one stream -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 2, 7, 8])
async def test_reset_of_one_ends_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    async with scene(tmp_path, monkeypatch) as one:
        first, second, third = await one.open(3)
        served = one.front.connections[0]
        served.calls[3].abort(code)
        assert await ends(second) == "ReadError"
        say_all(one, b"on\n")
        assert [await ends(first), await ends(third)] == ["line b'on'"] * 2
        await one.open(1)
        assert one.calls() == [3]


async def test_request_that_was_refused_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [1, 2]

    async def play(say: Saying) -> None:
        if refused:
            refused.pop()
            say.reset(7)
        else:
            await say_and_wait(say)

    async with scene(tmp_path, monkeypatch, play) as one:
        await one.open()
        refused[:] = range(5)
        with pytest.raises(httpx2.ConnectError):
            await one.open()
        assert refused == [0, 1]


async def test_trailers_end_the_stream_in_good_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch) as one:
        (stream,) = await one.open()
        one.front.connections[0].say(lambda h2: h2.send_headers(1, [(b"x-sum", b"1")], end_stream=True))
        assert await ends(stream) == "end" and "x-sum" not in stream.headers


async def test_what_is_said_of_a_stream_that_we_left_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path, monkeypatch) as one:
        first, second = await one.open(2)
        served = one.front.connections[0]
        first.close()
        for each in (DataFrame(1, b"late\n"), RstStreamFrame(1, error_code=8), DataFrame(1, b"more")):
            served.transport.write(each.serialize())
        served.send_data(3, b"on\n")
        assert await ends(second) == "line b'on'"


async def test_head_that_is_refused_with_its_end_in_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """h2 has the end of the stream before we see its head."""

    async def play(say: Saying) -> None:
        if say.scope["path"] == "/":
            return await say_and_wait(say)
        served, number = one.front.connections[0], 3

        def at_once(h2: object) -> None:
            head = [(b":status", b"200"), (b"content-encoding", b"gzip")]
            served.h2.send_headers(number, head)
            served.h2.send_data(number, b"x", end_stream=True)

        served.say(at_once)
        await say.gone()

    async with scene(tmp_path, monkeypatch, play) as one:
        (stream,) = await one.open()
        with pytest.raises(httpx2.ReadError, match="compressed"):
            async with one.client.lines("GET", "/gzip", idle_s=5):
                pass
        one.front.connections[0].send_data(1, b"on\n")
        assert await ends(stream) == "line b'on'"


# -- flow -------------------------------------------------------------------------------------------------


async def test_who_does_not_read_stalls_himself_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine do not read, one reads twice the window of all; then the others read what was kept for them."""
    monkeypatch.setattr(http2, "MOST", 10)
    monkeypatch.setattr(http2, "SHARED_WINDOW", http2.SHARED_WINDOW // 10)
    line = b"x" * 9_999 + b"\n"

    async def play(say: Saying) -> None:
        await say.head()
        await say.body(b"first\n")
        for _ in range(600):
            await say.body(line)
        await say.end()

    async with scene(tmp_path, monkeypatch, play) as one:
        *stalled, reader = await one.open(10)
        assert sum([1 async for _ in reader]) == 600
        assert len(one.front.connections) == 1
        assert all(each._size <= http2.WINDOW for each in stalled)
        for each in stalled:
            assert sum([1 async for _ in each]) == 600


async def test_pieces_of_a_byte_and_padding_are_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch) as one:
        (stream,) = await one.open()
        served = one.front.connections[0]
        for _ in range(5):  # twice the window, nearly all of it padding
            for _ in range(100):
                served.say(lambda h2: h2.send_data(1, b"x", pad_length=255))
            await until(lambda: len(stream._chunks) == 1 and stream._size == 100)
            served.send_data(1, b"\n")
            assert await anext(stream) == b"x" * 100
            await until(lambda: served.h2.local_flow_control_window(1) > 26_000)


# -- the connection ---------------------------------------------------------------------------------------


async def test_server_that_leaves_lets_some_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First it says that it will leave, then which streams it took: those above begin again elsewhere."""
    held = asyncio.Event()

    async def play(say: Saying) -> None:
        if say.scope["path"] == "/held" and len(one.front.connections) == 1:
            held.set()
            return await say.gone()
        await say_and_wait(say)

    async with scene(tmp_path, monkeypatch, play) as one:
        first, second, third = await one.open(3)
        late = asyncio.create_task(one.streams.enter_async_context(one.client.lines("GET", "/held", idle_s=5)))
        await held.wait()
        served = one.front.connections[0]
        served.goes_away(0x7FFF_FFFF)
        await until(lambda: one.taking() == 0)
        (fourth,) = await one.open()
        assert len(one.front.connections) == 2
        served.goes_away(3)
        assert await ends(third) == "ReadError"
        assert await anext(await late) == b"first"
        say_all(one, b"on\n")
        assert [await ends(first), await ends(second)] == ["line b'on'"] * 2
        first.close()
        second.close()
        await until(served.transport.is_closing)
        assert one.calls() == [2]
        say_all(one, b"on\n", connection=1)
        assert await ends(fourth) == "line b'on'"


CUTS = {"reset": lambda served: served.transport.abort(), "good-bye": lambda served: served.transport.close()}


@pytest.mark.parametrize("way", CUTS)
async def test_cut_connection_ends_all_of_its_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    async with scene(tmp_path, monkeypatch, most_streams=3) as one:
        streams = await one.open(5)
        waiting = [asyncio.create_task(ends(each)) for each in streams]
        await asyncio.sleep(0)
        CUTS[way](one.front.connections[0])
        assert await asyncio.gather(*waiting[:3]) == ["ReadError"] * 3
        say_all(one, b"on\n", connection=1)
        assert await asyncio.gather(*waiting[3:]) == ["line b'on'"] * 2
        await one.open(3)
        assert sum(one.calls()) == 5


def _endless(served: object) -> bytes:
    head = HeadersFrame(1, b"\x88")
    more = [ContinuationFrame(1, b"\x00" * 16_000) for _ in range(200)]
    return b"".join(each.serialize() for each in (head, *more))


BROKEN = {
    "no frames": lambda served: b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10,
    "too large": lambda served: b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 100,
    "push": lambda served: PushPromiseFrame(1, promised_stream_id=2, data=b"\x88", flags=["END_HEADERS"]).serialize(),
    "stream that nobody opened": lambda served: DataFrame(77, b"x").serialize(),
    "headers without end": _endless,
    "GOAWAY that is too short": lambda served: b"\x00\x00\x04\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    "over the window": lambda served: b"".join(DataFrame(1, b"x" * 16_384).serialize() for _ in range(5)),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_no_http2_ends_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async with scene(tmp_path, monkeypatch) as one:
        streams = await one.open(2)
        served = one.front.connections[0]
        served.transport.write(BROKEN[what](served))
        assert {await ends(streams[1])} == {"ReadError"}
        await until(served.transport.is_closing)


async def test_who_asks_and_does_not_read_the_answers_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "UNSENT", 65_536)
    async with scene(tmp_path, monkeypatch) as one:
        (stream,) = await one.open()
        assert isinstance(stream, SharedStream) and stream._connection
        served = one.front.connections[0]
        for each in (stream._connection._transport, served.transport):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 4096)
        served.transport._ssl_protocol._transport.pause_reading()  # of TLS it would read on for a while
        served.transport.write(PingFrame(0, b"12345678").serialize() * 10_000)
        assert await ends(stream) == "WriteError"


async def test_dead_peer_is_noticed_and_a_living_one_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "QUIET_S", 0.05)
    monkeypatch.setattr(http2, "ANSWER_S", 0.3)
    async with scene(tmp_path, monkeypatch) as one:
        (stream,) = await one.open()
        served = one.front.connections[0]
        await until(lambda: len(served.heard(told.PingReceived)) > 2)
        served.transport.pause_reading()
        assert await ends(stream) == "ReadTimeout"


async def test_stream_that_begins_on_a_dead_connection_finds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "ANSWER_S", 0.2)
    async with scene(tmp_path, monkeypatch) as one:
        (stream,) = await one.open()
        assert isinstance(stream, SharedStream)
        await until(lambda: stream._connection and not stream._connection._is_asked)  # the first answer was heard
        one.front.connections[0].transport.pause_reading()
        waiting = asyncio.create_task(ends(stream))
        with pytest.raises(httpx2.ReadTimeout):
            await one.open()
        assert await waiting == "ReadTimeout"
        await one.open()


async def test_connection_without_a_stream_is_closed_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "IDLE_S", 0.1)
    async with scene(tmp_path, monkeypatch) as one:
        for _ in range(2):
            (stream,) = await one.open()
            stream.close()
        assert len(one.front.connections) == 1
        served = one.front.connections[0]
        await until(served.transport.is_closing)
        assert len(served.heard(told.ConnectionTerminated)) == 1
        await one.open()
        assert len(one.front.connections) == 2


async def test_server_that_never_settles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "SETTLED_S", 0.05)
    monkeypatch.setattr("tests.http2_front.Served.say", lambda *_: None)
    async with scene(tmp_path, monkeypatch) as one:
        with pytest.raises(httpx2.ConnectTimeout):
            await one.open()


async def test_who_is_cancelled_while_he_waits_takes_nobody_with_him(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path, monkeypatch) as one:
        tasks = [asyncio.create_task(one.open()) for _ in range(6)]
        await asyncio.sleep(0)
        for each in tasks[:3]:
            each.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in found] == [True] * 3 + [False] * 3
        assert one.calls() == [3]
