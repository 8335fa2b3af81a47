"""Connections of the HTTP client: kept, shared, closed by either side, refused, and not trusted."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx2
import pytest

from omnibridge.http import Wire, origin_of
from omnibridge.http import wire as http_wire
from omnibridge.http.connection import Connection
from tests.certificates import server_context
from tests.unit.http_servers import OK, FakeTransport, Server, answering, eventually, get, played, post


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
