"""The HTTP client over sockets: requests, and answers in every way there is, and in some there is not."""

from __future__ import annotations

import asyncio
import itertools

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.http import AnswerTooLarge, create_client, origin_of
from omnibridge.http.connection import Connection
from tests.unit.http_servers import CHUNKED, OK, FakeTransport, Server, answering, eventually, get, played, post


async def test_calls_share_a_connection_and_say_only_what_they_must() -> None:
    play, servers = answering(OK)
    async with played(play) as (server, wire):
        servers.append(server)
        first = await wire.exchange(server.origin, "POST", "/a?b=c%20d", [("X-One", "1")], b"body")
        second = await wire.exchange(server.origin, "GET", "", (), None)
        third = await wire.exchange(server.origin, "DELETE", "/d", (), None)

    host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
    assert server.requests == [
        [
            b"POST /a?b=c%20d HTTP/1.1\r\n" + host + b"X-One: 1\r\nContent-Length: 4\r\n\r\nbody",
            b"GET / HTTP/1.1\r\n" + host + b"\r\n",
            b"DELETE /d HTTP/1.1\r\n" + host + b"Content-Length: 0\r\n\r\n",
        ]
    ]
    assert [each.body for each in (first, second, third)] == [b"ok"] * 3
    assert (first.status, first.headers["X-WAY"], len(first.headers)) == (200, "a", 2)
    assert first.headers.get("retry-after") is None


WAYS = {
    "length": (OK, 200, b"ok"),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nT: t\r\n\r\n",
        200,
        b"ok",
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK, 200, b"ok"),
    "error": (b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy", 503, b"busy"),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_answer(way: str) -> None:
    raw, status, body = WAYS[way]
    play, servers = answering(raw)
    async with played(play) as (server, wire):
        servers.append(server)
        for _ in range(2):
            answer = await get(wire, server)
            assert (answer.status, answer.body) == (status, body)
        assert len(server.requests) == 1, "the connection is kept"


@given(way=st.sampled_from(sorted(WAYS)), cuts=st.lists(st.integers(1, 120), max_size=6))
def test_where_an_answer_is_cut_does_not_matter(way: str, cuts: list[int]) -> None:
    raw, status, body = WAYS[way]
    places = sorted({0, *(each for each in cuts if each < len(raw)), len(raw)})

    async def run() -> None:
        connection = Connection(0)
        transport = FakeTransport()
        connection.connection_made(transport)
        answer = connection.ask(b"request")
        for begin, end in itertools.pairwise(places):
            assert not answer.done()
            connection.data_received(raw[begin:end])
        assert (answer.result().status, answer.result().body) == (status, body)
        assert connection.may_be_kept

    asyncio.run(run())


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n"])
async def test_body_that_ends_with_the_connection(head: bytes) -> None:
    play, servers = answering(head, b"o", b"k", then_close=True)
    async with played(play) as (server, wire):
        servers.append(server)
        assert (await get(wire, server)).body == b"ok"
        assert (await get(wire, server)).body == b"ok"
        assert len(server.requests) == 2


BROKEN: dict[str, tuple[bytes, type[httpx2.TransportError]]] = {
    "cut in the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", httpx2.ReadError),
    "cut in a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", httpx2.ReadError),
    "cut in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", httpx2.ReadError),
    "cut after continue": (b"HTTP/1.1 100 Continue\r\n\r\n", httpx2.ReadError),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", httpx2.ReadError),
    "both": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", httpx2.ReadError),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", httpx2.ReadError),
    "another protocol": (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", httpx2.ReadError),
    "head without end": (b"HTTP/1.1 200 OK\r\n" + b"X-Long: 0123456789abcdef\r\n" * 4000, AnswerTooLarge),
    "trailers without end": (CHUNKED + b"1\r\nx\r\n0\r\n" + b"X-Long: 0123456789abcdef\r\n" * 30_000, AnswerTooLarge),
    "one trailer without end": (CHUNKED + b"1\r\nx\r\n0\r\nX-Long: " + b"x" * 300_000, AnswerTooLarge),
    "chunk with an extension without end": (CHUNKED + b"1;x=" + b"x" * 300_000, AnswerTooLarge),
    "continue without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 9000, AnswerTooLarge),
    "folded header": (b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", httpx2.ReadError),
    "NUL in a header": (b"HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 2\r\n\r\nok", httpx2.ReadError),
    "space before the colon": (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", httpx2.ReadError),
    "signed length": (b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", httpx2.ReadError),
    "huge length": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", httpx2.ReadError),
    "huge chunk": (CHUNKED + b"fffffffffffffffff\r\nok", httpx2.ReadError),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", httpx2.ReadError),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
async def test_broken_answers_are_uncertain_never_an_answer(what: str) -> None:
    raw, error = BROKEN[what]
    play, servers = answering(raw, then_close=True)
    async with played(play) as (server, wire):
        servers.append(server)
        with pytest.raises(error):
            await post(wire, server)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10\r\n0123456789abcdef\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
    ],
)
async def test_answer_longer_than_agreed_is_not_read_to_its_end(raw: bytes) -> None:
    play, servers = answering(raw)
    async with played(play, max_answer_bytes=100) as (server, wire):
        servers.append(server)
        with pytest.raises(AnswerTooLarge):
            await get(wire, server)
        await eventually(lambda: server.ended == 1)


async def test_trailers_are_no_headers() -> None:
    """They come after the body: too late to say anything about it."""
    raw = CHUNKED + b"2\r\nok\r\n0\r\nRetry-After: 9\r\nContent-Encoding: gzip\r\n\r\n"
    play, servers = answering(raw)
    async with played(play, max_answer_bytes=100) as (server, wire):
        servers.append(server)
        answer = await get(wire, server)
        assert (answer.body, dict(answer.headers)) == (b"ok", {"transfer-encoding": "chunked"})


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("/a\tb", {}),
        ("/a\x0bb", {}),
        ("/\ud800", {}),
        ("/", {"X-Name": "\udc00"}),
        ("/", {"X-Name": "a\r\nX-Other: b"}),
        ("/", {"X-Name": "a\nb"}),
        ("/", {"X-Name": "a\0b"}),
        ("/", {"X\r\nName": "a"}),
    ],
)
async def test_line_breaks_never_make_another_request(target: str, headers: dict[str, str]) -> None:
    play, servers = answering(OK)
    async with played(play) as (server, wire):
        servers.append(server)
        with pytest.raises(httpx2.UnsupportedProtocol):
            await wire.exchange(server.origin, "GET", target, headers.items(), None)
        assert server.requests == []


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://chat.example.com", "chat.example.com", 443, ""),
        ("https://chat.example.com:443/sub/", "chat.example.com", 443, "/sub"),
        ("http://chat.example.com:3000/", "chat.example.com:3000", 3000, ""),
        ("http://[::1]:5005", "[::1]:5005", 5005, ""),
        ("http://bücher.example", "xn--bcher-kva.example", 80, ""),
        ("http://faß.example", "xn--fa-hia.example", 80, ""),
    ],
)
def test_origin(url: str, host: str, port: int, path: str) -> None:
    origin, root = origin_of(url)
    assert (origin.host, origin.port, root) == (host, port, path)


@pytest.mark.parametrize(
    "url", ["", "chat.example.com", "ftp://x", "http://", "http://x:99999", "http://[::1", "http://ü..x"]
)
def test_no_origin(url: str) -> None:
    with pytest.raises(httpx2.UnsupportedProtocol):
        origin_of(url)


async def test_log_in_of_the_address_is_a_header_once() -> None:
    play, servers = answering(OK)
    server = Server(play)
    servers.append(server)
    await server.start()
    client = create_client(base_url=f"http://bot:p%40ss@127.0.0.1:{server.port}")
    await client.exchange("GET", "/a", query={"q": "ä b"})
    await client.get("/a", params={"q": "ä b"})
    await client.aclose()
    await server.stop()
    for request in server.requests[0]:
        assert request.startswith(b"GET /a?q=%C3%A4+b HTTP/1.1\r\n") or request.startswith(
            b"GET /a?q=%C3%A4%20b HTTP/1.1\r\n"
        )
        assert request.lower().count(b"authorization: basic ym90onbac3m=") == 1
