"""TLS of our own connections, with asyncio's server on the other side."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from omnibridge.http import wire as http_wire
from omnibridge.http.request import Origin
from omnibridge.http.tls import Secured, Sessions
from omnibridge.http.wire import Wire
from tests.certificates import server_context
from tests.stream_server import StreamServer
from tests.unit.in_memory import InMemory

LARGE = bytes(range(256)) * 8192


class Server:
    """Answers each request with as many bytes as its body has. resumed: of each connection."""

    def __init__(self) -> None:
        self.resumed: list[bool] = []
        self.ends: list[str] = []
        self.says_goodbye = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.resumed.append(bool(writer.get_extra_info("ssl_object").session_reused))
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0] or b"0")
                body = await reader.readexactly(length)
                close = b"Connection: close\r\n" if self.says_goodbye else b""
                writer.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (close, len(body)) + body)
                if self.says_goodbye:
                    return
        except (asyncio.IncompleteReadError, OSError) as exc:
            self.ends.append(type(exc).__name__)


@asynccontextmanager
async def served(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    names: tuple[str, ...] = ("127.0.0.1",),
) -> AsyncIterator[tuple[Server, Wire, Origin]]:
    context, trusted = server_context(folder, *names)
    context.maximum_version = version
    found = Server()
    listening = StreamServer(found.serve, context)
    port = listening.port
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    http_wire.trusted.cache_clear()
    wire = Wire(8)
    try:
        yield found, wire, Origin("https", "127.0.0.1", port, f"127.0.0.1:{port}")
    finally:
        wire.close()
        await listening.aclose()
        http_wire.trusted.cache_clear()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_large_bodies_both_ways_on_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion
) -> None:
    async with served(tmp_path, monkeypatch, version) as (server, wire, origin):
        for body in (b"small", LARGE, b"", LARGE):
            assert (await wire.exchange(origin, "POST", "/", (), body)).body == body
        assert server.resumed == [False]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_next_connection_resumes_the_session_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion
) -> None:
    async with served(tmp_path, monkeypatch, version) as (server, wire, origin):
        server.says_goodbye = True
        for _ in range(3):
            assert (await wire.exchange(origin, "POST", "/", (), b"x")).body == b"x"
        assert server.resumed == [False, True, True]


async def test_session_is_resumed_under_its_own_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who resumes is not shown the certificate: another name would not be looked for in it."""
    async with served(tmp_path, monkeypatch, names=("127.0.0.1", "localhost")) as (server, wire, origin):
        server.says_goodbye = True
        for name in ("127.0.0.1", "localhost", "127.0.0.1", "localhost"):
            await wire.exchange(origin._replace(name=name), "POST", "/", (), b"x")
        assert server.resumed == [False, False, True, True]
        await Wire(1).exchange(origin, "POST", "/", (), b"x")  # of another client: he keeps his own
        assert server.resumed[-1] is False


async def test_session_is_resumed_for_an_hour_and_with_its_own_trust_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, monkeypatch) as (server, wire, origin):
        server.says_goodbye = True
        await wire.exchange(origin, "POST", "/", (), b"x")
        http_wire.trusted.cache_clear()  # another context, as after a change of trust
        await wire.exchange(origin, "POST", "/", (), b"x")
        monkeypatch.setattr("omnibridge.http.tls.RESUMED_S", -1.0)
        await wire.exchange(origin, "POST", "/", (), b"x")
        assert server.resumed == [False, False, False]


async def test_idle_connection_that_we_close_says_goodbye(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch) as (server, wire, origin):
        await wire.exchange(origin, "POST", "/", (), b"x")
        wire.close()
        async with asyncio.timeout(30):
            while not server.ends:
                await asyncio.sleep(0.005)
        assert server.ends == ["IncompleteReadError"]  # the end of the stream, and no error of TLS or reset


async def test_lines_over_tls_until_the_server_says_goodbye(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, monkeypatch) as (server, wire, origin):
        server.says_goodbye = True
        body = b"one\ntwo\n" + b"y" * 200_000 + b"\n"
        given = {"idle_s": 5.0, "max_line_bytes": 1 << 20}
        async with wire.lines(origin, "POST", "/", (), body, **given) as stream:
            assert [each async for each in stream] == body.splitlines()


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-server\r\n"], ids=["hangs up", "no tls"])
async def test_who_speaks_no_tls_is_no_connection(says: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)

    listening = StreamServer(serve)
    wire = Wire(1)
    try:
        for _ in range(3):
            with pytest.raises(httpx2.ConnectError):
                await wire.exchange(Origin("https", "127.0.0.1", listening.port, "x"), "GET", "/", (), None)
    finally:
        wire.close()
        await listening.aclose()


async def test_connection_whose_server_said_goodbye_takes_no_more_requests(tmp_path: Path) -> None:
    """Also before the server hangs up: it would not read them, and nobody could tell."""
    context, trusted = server_context(tmp_path, "127.0.0.1")
    to_server, to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_us, server_side=True)
    ours = ssl.create_default_context(cafile=str(trusted))
    secured, plug = Secured(asyncio.Protocol(), ours, ("127.0.0.1", 443), Sessions()), InMemory(to_server)
    secured.connection_made(plug)
    shaking = asyncio.create_task(secured.secure())
    async with asyncio.timeout(30):
        while not shaking.done():
            await asyncio.sleep(0)
            with suppress(ssl.SSLWantReadError):
                server.do_handshake()
            secured.data_received(to_us.read())
    await shaking
    assert not secured.is_closing()
    with suppress(ssl.SSLWantReadError):
        server.unwrap()
    secured.data_received(to_us.read())

    assert secured.is_closing()
