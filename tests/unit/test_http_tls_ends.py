"""TLS servers that hang up, cut in pieces, warn, forget and speak too early: played byte by byte."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest
import uvloop

from omnibridge.http import LineStream, Origin, Wire
from omnibridge.http import wire as http_wire
from omnibridge.http.streaming import stream
from omnibridge.http.tls import MOST_SESSIONS, Secured, Sessions
from tests.certificates import chain, server_context
from tests.stream_server import stream_server
from tests.unit.in_memory import InMemory

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\none\n"


class Peer:
    """The server's side of one connection. Nothing is sent but what the play sends."""

    def __init__(self, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._reader, self.writer = reader, writer

    def made(self) -> bytes:
        """Records that are to be sent."""
        return self._out.read()

    def says(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.made()

    async def shake(self, bytes_at_once: int = 0) -> None:
        """But for the last that the server sends."""
        while True:
            try:
                self.tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                await self.send(self.made(), bytes_at_once)
                await self._more()

    async def hear(self) -> bytes:
        """A request's head."""
        found = b""
        while not found.endswith(b"\r\n\r\n"):
            try:
                found += self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self.send(self.made())
                await self._more()
        return found

    async def send(self, raw: bytes, bytes_at_once: int = 0) -> None:
        for at in range(0, len(raw), bytes_at_once or len(raw) or 1):
            self.writer.write(raw[at : at + bytes_at_once] if bytes_at_once else raw)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def _more(self) -> None:
        data = await self._reader.read(65536)
        if not data:
            raise ConnectionError
        self._in.write(data)


Play = Callable[[int, Peer], Awaitable[None]]


@asynccontextmanager
async def played(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    play: Play,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    contexts: list[ssl.SSLContext] | None = None,
) -> AsyncIterator[tuple[Wire, Origin]]:
    """contexts: of the first connections, if not the usual one; they have its certificate."""
    context, trusted = server_context(folder, "127.0.0.1")
    context.maximum_version = version
    for each in contexts or []:
        each.load_cert_chain(folder / "both.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    http_wire.trusted.cache_clear()
    numbers = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(numbers)
        own = contexts[number] if contexts and number < len(contexts) else context
        await play(number, Peer(own, reader, writer))

    async with stream_server(serve) as server, asyncio.timeout(30):
        wire = Wire(8)
        try:
            yield wire, Origin("https", "127.0.0.1", server.port, f"127.0.0.1:{server.port}")
        finally:
            wire.close()
            http_wire.trusted.cache_clear()


async def by_exchange(wire: Wire, origin: Origin) -> bytes:
    return (await wire.exchange(origin, "GET", "/", (), None)).body


async def by_lines(wire: Wire, origin: Origin) -> bytes:
    found: LineStream
    async with wire.lines(origin, "GET", "/", (), idle_s=5, max_line_bytes=1000) as found:
        return b"".join([each + b"\n" async for each in found])


async def by_stream(_: Wire, origin: Origin) -> bytes:
    async with stream(origin, "GET", "/") as found:
        return await found.whole(1000)


WAYS = {"exchange": by_exchange, "lines": by_lines, "stream": by_stream}
Call = Callable[[Wire, Origin], Awaitable[bytes]]


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize(
    ("answer", "has_goodbye", "is_whole"),
    [(UNTIL_CLOSED, True, True), (UNTIL_CLOSED, False, False), (LENGTH, True, True), (LENGTH, False, True)],
)
async def test_answer_that_somebody_may_have_cut_off_is_not_taken_for_whole(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    version: ssl.TLSVersion,
    answer: bytes,
    has_goodbye: bool,
    is_whole: bool,
) -> None:
    """Anybody on the way can hang up; the good-bye of TLS he cannot forge."""

    async def play(_: int, peer: Peer) -> None:
        await peer.shake()
        await peer.hear()
        said = peer.says(answer)
        if has_goodbye:
            with suppress(ssl.SSLWantReadError):
                peer.tls.unwrap()
        await peer.send(said + peer.made())

    async with played(tmp_path, monkeypatch, play, version) as (wire, origin):
        if is_whole:
            assert await call(wire, origin) == b"one\n"
        else:
            with pytest.raises(httpx2.ReadError):
                await call(wire, origin)


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_records_come_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call, version: ssl.TLSVersion
) -> None:
    async def play(_: int, peer: Peer) -> None:
        await peer.shake(bytes_at_once=7)
        await peer.send(peer.made(), 1)
        await peer.hear()
        await peer.send(peer.says(LENGTH), 1)

    async with played(tmp_path, monkeypatch, play, version) as (wire, origin):
        assert await call(wire, origin) == b"one\n"


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("what", ["alert", "forged record"])
async def test_answer_that_is_broken_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call, what: str
) -> None:
    """An alert of TLS 1.2 in plain text as an attacker may send it, a record that was changed."""

    async def play(_: int, peer: Peer) -> None:
        await peer.shake()
        await peer.send(peer.made())
        await peer.hear()
        first, second = peer.says(LENGTH[:-2]), peer.says(LENGTH[-2:])
        forged = b"\x15\x03\x03\x00\x02\x02\x28" if what == "alert" else second[:-1] + bytes([second[-1] ^ 1])
        await peer.send(first + forged)
        await peer.hear()

    async with played(tmp_path, monkeypatch, play) as (wire, origin):
        with pytest.raises(httpx2.ReadError):
            await call(wire, origin)


async def test_upload_waits_for_a_server_that_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept meanwhile is what sockets keep, not the file."""
    made = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield bytes(65_536)

    async def play(_: int, peer: Peer) -> None:
        await peer.shake()
        await peer.send(peer.made())
        await asyncio.Event().wait()

    async with played(tmp_path, monkeypatch, play) as (_, origin):
        with pytest.raises(httpx2.WriteTimeout):
            async with stream(origin, "POST", "/", body=body(), length=65_536_000, silent_s=0.1):
                pass
    assert made < 300


async def test_read_is_repeated_when_a_kept_connection_ended_without_goodbye(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many servers end idle connections so."""

    async def play(number: int, peer: Peer) -> None:
        await peer.shake()
        await peer.hear()
        await peer.send(peer.says(LENGTH))
        await peer.hear()
        if number:
            await peer.send(peer.says(LENGTH))

    async with played(tmp_path, monkeypatch, play) as (wire, origin):
        assert [await by_exchange(wire, origin) for _ in range(3)] == [b"one\n"] * 3


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
async def test_what_came_with_the_handshake_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """In the same bytes as the end of the handshake, before anything was asked, as a server says 408 and hangs up."""

    async def play(_: int, peer: Peer) -> None:
        await peer.shake()
        early = peer.says(LENGTH.replace(b"one", b"bad"))
        with suppress(ssl.SSLWantReadError):
            peer.tls.unwrap()
        await peer.send(early + peer.made())
        await peer.hear()

    async with played(tmp_path, monkeypatch, play, ssl.TLSVersion.TLSv1_2) as (wire, origin):
        with pytest.raises(httpx2.ConnectError):  # certainly nothing was sent
            await call(wire, origin)


async def test_server_that_forgot_the_session_gives_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was started again; the session that it refused must not be tried for an hour."""
    reused: list[bool] = []

    async def play(_: int, peer: Peer) -> None:
        await peer.shake()
        reused.append(bool(peer.tls.session_reused))
        await peer.hear()
        await peer.send(peer.says(LENGTH.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")))

    before = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with played(tmp_path, monkeypatch, play, contexts=[before, before]) as (wire, origin):
        for _ in range(4):
            await by_exchange(wire, origin)
    assert reused == [False, True, False, True]


async def in_memory(server: ssl.SSLContext, ours: ssl.SSLContext, name: tuple[str, int], sessions: Sessions) -> Secured:
    """A connection that is secure, after the tickets; and whose server was forgotten."""
    to_server, to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = server.wrap_bio(to_server, to_us, server_side=True)
    secured = Secured(asyncio.Protocol(), ours, name, sessions)
    secured.connection_made(InMemory(to_server))
    shaking = asyncio.create_task(secured.secure())
    while True:
        await asyncio.sleep(0)
        if shaking.done():
            break
        with suppress(ssl.SSLWantReadError):
            far.do_handshake()
        secured.data_received(to_us.read())
    await shaking
    secured.write(b"request")
    far.do_handshake()
    assert far.read(100) == b"request"
    secured.data_received(to_us.read())  # the tickets
    return secured


async def test_sessions_are_kept_of_so_many_servers_only(tmp_path: Path) -> None:
    server, trusted = server_context(tmp_path, "127.0.0.1")
    ours, sessions = ssl.create_default_context(cafile=str(trusted)), Sessions()
    for port in range(MOST_SESSIONS + 2):
        await in_memory(server, ours, ("127.0.0.1", port), sessions)

    assert [sessions.of(("127.0.0.1", port)) is not None for port in (0, 1, 2, MOST_SESSIONS + 1)] == [
        False, False, True, True,
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
async def test_idle_connection_takes_no_buffers(tmp_path: Path) -> None:
    """OpenSSL would keep 16 KB for writing after the tickets."""
    glibc = ctypes.CDLL(None)
    if not hasattr(glibc, "mallinfo2"):
        pytest.skip("asks glibc 2.33")

    class Info(ctypes.Structure):
        _fields_ = [
            (name, ctypes.c_size_t)
            for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks in_use fordblks keepcost".split()
        ]

    glibc.mallinfo2.restype = Info
    own, root = chain(tmp_path, "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own)
    ours, sessions = ssl.create_default_context(cafile=str(root)), Sessions()
    await in_memory(server, ours, ("127.0.0.1", 443), sessions)
    gc.collect()
    before = glibc.mallinfo2().in_use
    kept = [await in_memory(server, ours, ("127.0.0.1", 443), sessions) for _ in range(20)]
    gc.collect()
    assert (glibc.mallinfo2().in_use - before) / len(kept) < 30_000


def test_the_same_on_uvloop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(number: int, peer: Peer) -> None:
        await peer.shake(bytes_at_once=7)
        await peer.hear()
        await peer.send(peer.says(UNTIL_CLOSED))
        if number % 2:
            with suppress(ssl.SSLWantReadError):
                peer.tls.unwrap()
        await peer.send(peer.made())

    async def run() -> None:
        async with played(tmp_path, monkeypatch, play) as (wire, origin):
            for call in WAYS.values():
                with pytest.raises(httpx2.ReadError):
                    await call(wire, origin)
                assert await call(wire, origin) == b"one\n"

    uvloop.run(run())
