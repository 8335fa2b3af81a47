"""The HTTP client over sockets, against servers that answer in every way there is, and in some there is not."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.http import Answer, AnswerTooLarge, Origin, Wire, create_client, origin_of
from omnibridge.http import wire as http_wire
from omnibridge.http.connection import Connection
from tests.certificates import server_context
from tests.stream_server import StreamServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Way: a\r\nx-way: b\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Play = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


class Server:
    """Plays one connection after the other. requests: what came, per connection."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.requests: list[list[bytes]] = []
        self.ended = 0

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = StreamServer(self._serve, tls)
        self.port = self._server.port
        self.origin = Origin("https" if tls else "http", "127.0.0.1", self.port, f"127.0.0.1:{self.port}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.requests)
        self.requests.append([])
        try:
            await self._play(number, reader, writer)
        finally:
            self.ended += 1

    async def read(self, number: int, reader: asyncio.StreamReader) -> bytes:
        """One request, with its body."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
        request = head + await reader.readexactly(length)
        self.requests[number].append(request)
        return request

    async def stop(self) -> None:
        await self._server.aclose()


@asynccontextmanager
async def played(
    play: Play, *, tls: ssl.SSLContext | None = None, **options: int | float
) -> AsyncIterator[tuple[Server, Wire]]:
    server = Server(play)
    await server.start(tls)
    wire = Wire(int(options.pop("max_connections", 8)), **options)  # type: ignore[arg-type]
    try:
        yield server, wire
    finally:
        wire.close()
        await server.stop()


def answering(*parts: bytes, then_close: bool = False) -> tuple[Play, list[Server]]:
    """Each request gets the same answer, in these parts."""
    servers: list[Server] = []

    async def play(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await servers[0].read(number, reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if then_close:
                return

    return play, servers


async def get(wire: Wire, server: Server, target: str = "/") -> Answer:
    async with asyncio.timeout(30):
        return await wire.exchange(server.origin, "GET", target, (), None)


async def post(wire: Wire, server: Server, content: bytes = b"x") -> Answer:
    async with asyncio.timeout(30):
        return await wire.exchange(server.origin, "POST", "/", (), content)


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


class FakeTransport(asyncio.Transport):
    """Takes everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n"])
async def test_body_that_ends_with_the_connection(head: bytes) -> None:
    play, servers = answering(head, b"o", b"k", then_close=True)
    async with played(play) as (server, wire):
        servers.append(server)
        assert (await get(wire, server)).body == b"ok"
        assert (await get(wire, server)).body == b"ok"
        assert len(server.requests) == 2


async def test_connection_that_is_to_be_closed_is_not_used_again() -> None:
    play, servers = answering(OK.replace(b"X-Way: a", b"Connection: close"))
    async with played(play) as (server, wire):
        servers.append(server)
        assert [(await get(wire, server)).body for _ in range(3)] == [b"ok"] * 3
        assert len(server.requests) == 3
        await eventually(lambda: server.ended == 3)


async def closing_after_the_first(
    server: Server, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """The first connection answers once, reads a second request and closes without a word."""
    await server.read(number, reader)
    writer.write(OK)
    await server.read(number, reader)
    if number:
        writer.write(OK)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_only_what_reads_is_sent_again_when_a_kept_connection_dies(method: str) -> None:
    async def play(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closing_after_the_first(server, number, reader, writer)

    async with played(play) as (server, wire):
        call = get if method == "GET" else post
        await call(wire, server)
        if method == "GET":
            assert (await get(wire, server)).body == b"ok"
        else:
            with pytest.raises(httpx2.RemoteProtocolError):
                await post(wire, server)
        sent = sum(len(each) for each in server.requests)
        assert sent == (3 if method == "GET" else 2)


async def test_new_connection_that_dies_is_an_error() -> None:
    async def play(number: int, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await server.read(number, reader)

    async with played(play) as (server, wire):
        with pytest.raises(httpx2.RemoteProtocolError):
            await get(wire, server)
        assert len(server.requests) == 1, "once, so that a server that dies of a request is not asked for ever"


async def test_what_nobody_asked_for_is_no_answer() -> None:
    """Otherwise who can make a server say two things gives the next call his answer."""
    forged = OK.replace(b"ok", b"no")

    async def play(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(number, reader)
        if number == 0:
            writer.write(OK + forged)
        elif number == 1:
            writer.write(OK)
            await writer.drain()
            writer.write(forged)  # while the connection lies idle
        else:
            writer.write(OK)
        await server.read(number, reader)

    async with played(play) as (server, wire):
        assert (await get(wire, server)).body == b"ok"
        assert (await get(wire, server)).body == b"ok"
        await eventually(lambda: server.ended == 2)
        assert (await get(wire, server)).body == b"ok"
        assert [len(each) for each in server.requests] == [1, 1, 1]


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


async def test_answer_before_the_request_was_read_ends_the_connection() -> None:
    """Else the next call would wait behind the rest of it."""

    async def play(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        if number == 0:
            await left.wait()

    left = asyncio.Event()
    async with played(play) as (server, wire):
        assert (await post(wire, server, bytes(20_000_000))).body == b"ok"
        assert (await post(wire, server)).body == b"ok"
        left.set()
        await eventually(lambda: server.ended == 2)


async def test_read_is_repeated_when_a_kept_connection_was_reset() -> None:
    """That is an end without an answer, as `RemoteProtocolError` says it; nothing else that broke is."""
    for exc, error in ((ConnectionResetError(), httpx2.RemoteProtocolError), (OSError("no route"), httpx2.ReadError)):
        connection = Connection(0)
        connection.connection_made(FakeTransport())
        asked = connection.ask(b"request")
        connection.connection_lost(exc)
        with pytest.raises(error):
            await asked


async def test_connection_that_ended_before_anything_was_sent_is_not_asked() -> None:
    """And says so, instead of an answer that nobody would wait for in vain for ever."""
    connection = Connection(0)
    connection.connection_made(FakeTransport())
    connection.connection_lost(None)
    with pytest.raises(httpx2.ConnectError):
        connection.ask(b"request")


async def test_late_answer_of_a_call_that_was_given_up_reaches_nobody() -> None:
    late = asyncio.Event()

    async def play(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(number, reader)
        if number == 0:
            await late.wait()
            writer.write(OK.replace(b"ok", b"no"))
        else:
            writer.write(OK)
            await server.read(number, reader)

    async with played(play) as (server, wire):
        given_up = asyncio.create_task(wire.exchange(server.origin, "POST", "/", (), b"slow"))
        await eventually(lambda: bool(server.requests and server.requests[0]))
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        late.set()
        assert (await get(wire, server)).body == b"ok"
        assert len(server.requests) == 2


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


async def test_more_calls_than_connections_wait_in_line() -> None:
    play, servers = answering(OK)
    async with played(play, max_connections=2) as (server, wire):
        servers.append(server)
        answers = await asyncio.gather(*(get(wire, server, f"/{n}") for n in range(20)))
        assert {each.body for each in answers} == {b"ok"}
        assert len(server.requests) == 2
        assert sum(len(each) for each in server.requests) == 20


async def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "IDLE_S", 0.05)
    play, servers = answering(OK)
    async with played(play) as (server, wire):
        servers.append(server)
        await asyncio.gather(get(wire, server), get(wire, server))
        await eventually(lambda: server.ended == 2)
        assert wire._idle == {} and wire._sweeper is None


async def test_closed_client_sends_nothing() -> None:
    play, servers = answering(OK)
    async with played(play) as (server, wire):
        servers.append(server)
        await get(wire, server)
        wire.close()
        await eventually(lambda: server.ended == 1)
        with pytest.raises(httpx2.ConnectError):
            await get(wire, server)


async def test_client_that_is_closed_while_it_connects_keeps_nothing() -> None:
    play, servers = answering(OK)
    async with played(play) as (server, wire):
        servers.append(server)
        wire._judge = lambda _, __: wire.close()
        with pytest.raises(httpx2.ConnectError, match="closed"):
            async with wire.lines(server.origin, "GET", "/", (), idle_s=5, max_line_bytes=100):
                pass
        wire._is_closed = False
        with pytest.raises(httpx2.ConnectError, match="closed"):
            await get(wire, server)
        await eventually(lambda: server.ended == 2)
        assert server.requests == [[], []]


async def test_nobody_listens_and_no_such_name() -> None:
    wire = Wire(2)
    for url in ("127.0.0.1:1", "localhost:1", "no-such-host.invalid", "a..b", "x" * 64):
        with pytest.raises(httpx2.ConnectError) as caught:
            await wire.exchange(origin_of(f"http://{url}")[0], "GET", "/", (), None)
        assert isinstance(caught.value.__cause__, OSError | UnicodeError)


async def test_plug_is_closed_when_there_is_no_trust() -> None:
    def none() -> ssl.SSLContext:
        raise OSError("no such file")

    play, servers = answering(OK)
    async with played(play) as (server, _):
        servers.append(server)
        wire = Wire(1, trust=none)
        with pytest.raises(httpx2.ConnectError, match="no such file") as caught:
            await wire.exchange(server.origin._replace(scheme="https"), "GET", "/", (), None)
        await eventually(lambda: server.ended == 1)  # while the traceback still holds it
        assert caught


async def test_address_that_is_not_allowed_is_not_connected_to() -> None:
    def judge(host: str, address: str) -> None:
        raise OSError(f"{host} leads to {address}")

    play, _ = answering(OK)
    async with played(play) as (server, _):
        wire = Wire(2, judge=judge)
        with pytest.raises(httpx2.ConnectError, match=r"leads to 127\.0\.0\.1"):
            await wire.exchange(server.origin, "GET", "/", (), None)
        assert server.requests == []


async def test_server_that_takes_the_connection_and_says_nothing_of_tls() -> None:
    async def play(_: int, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with played(play, connect_s=0.1) as (server, wire):
        with pytest.raises(httpx2.ConnectTimeout):
            await wire.exchange(server.origin._replace(scheme="https"), "GET", "/", (), None)


async def test_tls_trusts_only_who_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, trusted = server_context(tmp_path, "127.0.0.1")
    play, servers = answering(OK)
    async with played(play, tls=context) as (server, wire):
        servers.append(server)
        http_wire.trusted.cache_clear()
        with pytest.raises(httpx2.ConnectError) as caught:
            await get(wire, server)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)

        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        http_wire.trusted.cache_clear()
        assert [(await get(wire, server)).body for _ in range(2)] == [b"ok"] * 2
        assert [len(each) for each in server.requests if each] == [2]

        other = server.origin._replace(name="localhost")  # the certificate is for the address alone
        with pytest.raises(httpx2.ConnectError):
            await wire.exchange(other, "GET", "/", (), None)
    http_wire.trusted.cache_clear()


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
