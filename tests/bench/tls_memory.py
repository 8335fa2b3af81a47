"""`python -m tests.bench.tls_memory`: what an idle connection takes in memory, part by part.

Each row is a process of its own that opens connections to a server (another process), hears one line on each, and then
only listens. Told is the growth of its resident memory for each connection, after the first ones. The server has a
chain of RSA certificates as public ones do: its own, an intermediate, a root that the client knows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import uvloop

from omnibridge.http import Origin, Wire, trusting
from omnibridge.http.lines import OwnStream
from omnibridge.http.request import request_bytes
from omnibridge.listening import Serving, listen
from tests.bench.chats import FILES, allow_files
from tests.certificates import chain
from tests.http2_front import Front, Saying, playing, speaks_http2

FIRST = 64
"""Opened before memory is measured: what is filled once, and the session that the others resume."""
AT_A_TIME = 32
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n"
IDLE_S = 3600.0

ROWS = {
    "openssl_1.3_full": "OpenSSL alone, TLS 1.3, full handshake",
    "openssl_1.3_resumed": "the same, resumed",
    "openssl_1.3_resumed_write": 'the same, and nothing (b"") was written after the tickets',
    "openssl_1.2_full": "OpenSSL alone, TLS 1.2, full handshake",
    "openssl_1.2_resumed": "the same, resumed",
    "lines_plain": "a stream of lines of ours on uvloop, plain",
    "lines_1.3": "the same, TLS 1.3",
    "lines_1.2": "the same, TLS 1.2",
    "lines_http2": "streams of lines that share connections, HTTP/2, TLS 1.3",
    "uvloop_1.3": "the same on uvloop's own TLS, TLS 1.3",
}
Opener = Callable[[], Awaitable[object]]


async def serve(certificate: str) -> None:
    """Prints its ports, plain, TLS and TLS with HTTP/2, and serves until it is killed."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await reader.read()
        writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    servers = [await asyncio.start_server(play, "127.0.0.1", 0, ssl=each, backlog=512) for each in (None, context)]
    ports = [each.sockets[0].getsockname()[1] for each in servers]
    listening = listen("127.0.0.1", 0)
    sharing = Serving(playing(say), listening, grace_s=1, http=Front, ssl_certfile=certificate, log_level="error")
    speaks_http2(sharing.config)
    await sharing.start()
    print(*ports, listening.getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def say(say: Saying) -> None:
    await say.head()
    await say.body(b"first\n")
    await say.gone()


class ByHand:
    """OpenSSL on two buffers and a blocking socket: as little else as Python allows."""

    def __init__(self, port: int, context: ssl.SSLContext, name: str) -> None:
        self._port, self._context = port, context
        self._resumes, self._writes_nothing = "resumed" in name, name.endswith("_write")
        self._session: ssl.SSLSession | None = None

    async def open(self) -> object:
        plug = socket.create_connection(("127.0.0.1", self._port))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1", session=self._session)

        def until(step: Callable[[], object]) -> None:
            while True:
                try:
                    step()
                    return
                except ssl.SSLWantReadError:
                    plug.sendall(outgoing.read())
                    incoming.write(plug.recv(4096))
                finally:
                    plug.sendall(outgoing.read())

        until(tls.do_handshake)
        until(lambda: tls.write(REQUEST))
        heard = bytearray()
        while not heard.endswith(b"first\n\r\n"):
            until(lambda: heard.extend(tls.read(4096)))
        if self._resumes and self._session is None:
            self._session = tls.session
        if self._writes_nothing:
            tls.write(b"")
        return plug, tls, incoming, outgoing


class Ours:
    """`Wire.lines`."""

    def __init__(self, origin: Origin, trusted: ssl.SSLContext, *, shares: bool = False) -> None:
        self._origin = origin
        self._wire = Wire(AT_A_TIME, trust=lambda: trusted, shares=(lambda: trusted) if shares else None)

    async def open(self) -> object:
        call = self._wire.lines(self._origin, "GET", "/", (), idle_s=IDLE_S, max_line_bytes=4096)
        found = await call.__aenter__()
        assert await anext(found) == b"first"
        return call, found


class Uvloops:
    """The protocol that `Wire.lines` has, on TLS of uvloop."""

    def __init__(self, origin: Origin, trusted: ssl.SSLContext) -> None:
        self._origin, self._trusted = origin, trusted

    async def open(self) -> object:
        found = OwnStream(IDLE_S, 4096)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: found, self._origin.name, self._origin.port, ssl=self._trusted)
        await found.open(request_bytes(self._origin, "GET", "/", (), None))
        assert await anext(found) == b"first"
        return found


def opener(name: str, plain: int, secure: int, shared: int, root: str) -> Opener:
    context = trusting(root)
    if name == "lines_http2":
        context.set_alpn_protocols(["h2"])
        return Ours(Origin("https", "127.0.0.1", shared, "x"), context, shares=True).open
    if "1.2" in name:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if name.startswith("openssl"):
        return ByHand(secure, context, name).open
    origin = Origin("https", "127.0.0.1", secure, "x")
    if name.startswith("uvloop"):
        return Uvloops(origin, context).open
    return Ours(origin._replace(scheme="http", port=plain) if "plain" in name else origin, context).open


def memory_kb() -> int:
    gc.collect()
    rows = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return int(rows["Rss"].split()[0])


async def grown_kb(one: Opener, connections: int) -> float:
    kept = [await one()]  # its session is for the others
    kept += [await one() for _ in range(FIRST - 1)]
    before = memory_kb()
    for _ in range(0, connections, AT_A_TIME):
        kept += await asyncio.gather(*(one() for _ in range(AT_A_TIME)))
    return (memory_kb() - before) / (len(kept) - FIRST)


@contextlib.contextmanager
def server(certificate: Path) -> Iterator[list[int]]:
    process = subprocess.Popen([*_SELF, "--serve", str(certificate)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield [int(each) for each in process.stdout.readline().split()]
    finally:
        process.kill()
        process.communicate()


_SELF = (sys.executable, "-m", "tests.bench.tls_memory")


def measure(connections: int, rows: tuple[str, ...] = tuple(ROWS)) -> dict[str, float]:
    """KB for each connection."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="omnibridge-bench-") as folder:
        own, root = chain(Path(folder), "127.0.0.1")
        for name in rows:
            with server(own) as ports:
                asked = [*_SELF, "--row", name, "--connections", str(connections), "--ports", *map(str, ports)]
                found[name] = float(subprocess.check_output([*asked, "--root", str(root)], text=True))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tls_memory", description=__doc__)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    for inside in ("--serve", "--row", "--root"):
        parser.add_argument(inside, help=argparse.SUPPRESS)
    parser.add_argument("--ports", nargs=3, type=int, help=argparse.SUPPRESS)
    wish = parser.parse_args()
    allow_files(wish.connections + FILES)
    if wish.serve:
        asyncio.run(serve(wish.serve))
    elif wish.row:
        one = opener(wish.row, *wish.ports, Path(wish.root).read_text())
        print(uvloop.run(grown_kb(one, wish.connections)), flush=True)
        os._exit(0)  # without taking leave of each connection
    elif wish.json:
        print(json.dumps(measure(wish.connections)))
    else:
        for name, kb in measure(wish.connections).items():
            print(f"{ROWS[name]:60} {kb:6.1f} KB", flush=True)


if __name__ == "__main__":
    main()
