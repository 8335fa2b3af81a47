"""A large file passes through without being in memory: downloads, fetching, uploads, over real sockets."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from hashlib import sha256

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from omnibridge.clock import FixedClock
from omnibridge.domain.files import FilePolicy, FileRef, FileSource
from omnibridge.files.download import FileDownloads, FileFetcher, FileHub
from omnibridge.files.fetching import Source
from omnibridge.files.links import FileLinks
from omnibridge.http import origin_of
from omnibridge.http.streaming import stream
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.rocketchat.uploads import FileCalls
from omnibridge.sandbox.server import Socket

PIECE = bytes(range(256)) * 256
PIECES = 320
SIZE = len(PIECE) * PIECES
"""20 MB."""

MOST = 4_000_000
RELAY = Credentials("relay", "token")


def digest() -> str:
    whole = sha256()
    for _ in range(PIECES):
        whole.update(PIECE)
    return whole.hexdigest()


class Stock:
    """A hub that makes its files up, and counts what is uploaded without keeping it."""

    def __init__(self) -> None:
        self.uploaded = 0
        self.links = FileLinks(b"s" * 32, FixedClock(), lambda: "", 60)
        routes = [
            Route("/file-upload/{id}/{name}", self.file),
            Route("/api/v1/rooms.media/{rid}", self.media, methods=["POST"]),
        ]
        self.socket = Socket(Starlette(routes=routes), "127.0.0.1", 0)
        self.client = RocketChatClient(self.socket.url, RELAY)
        hub = FileHub.of(self.socket.url, RELAY, self.client)
        downloads = FileDownloads(self.links, FileFetcher(lambda: {"main": hub}), lambda reason: None)
        self.bridge = Socket(Starlette(routes=[Route("/files/{token}", downloads)]), "127.0.0.1", 0)

    async def file(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(PIECES):
                yield PIECE

        return StreamingResponse(pieces(), headers={"content-length": str(SIZE)}, media_type="application/pdf")

    async def media(self, request: Request) -> Response:
        async for each in request.stream():
            self.uploaded += len(each)
        return JSONResponse({"success": True, "file": {"_id": "f1"}})


@pytest_asyncio.fixture
async def stock() -> AsyncIterator[Stock]:
    found = Stock()
    await found.socket.start()
    await found.bridge.start()
    yield found
    await found.bridge.stop()
    await found.socket.stop()
    await found.client.aclose()


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        yield
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < MOST, f"{peak / 1e6:.1f} MB at the most"


async def test_download_of_20_mb_is_not_in_memory(stock: Stock) -> None:
    origin, _ = origin_of(stock.bridge.url)
    token = stock.links.token("main", "room1", FileRef("f1", "a.pdf", "application/pdf", SIZE))
    seen = sha256()
    with little_memory():
        async with stream(origin, "GET", f"/files/{token}") as found:
            assert (found.status, found.size) == (200, SIZE)
            async for piece in found.pieces():
                seen.update(piece)

    assert seen.hexdigest() == digest()


async def test_download_ends_where_the_policy_says(stock: Stock) -> None:
    """Told before anything was sent, because the hub tells the size."""
    origin, _ = origin_of(stock.bridge.url)
    token = stock.links.token("main", "room1", FileRef("f1", "a.pdf"), 1_000_000)
    async with stream(origin, "GET", f"/files/{token}") as found:
        assert (found.status, await found.whole(100)) == (413, b"too-big\n")


async def test_20_mb_are_fetched_and_uploaded_through_a_temporary_file(stock: Stock) -> None:
    source = Source.of(stock.socket.url, (), FilePolicy((), SIZE), 30)
    calls = FileCalls(stock.socket.url, 30)
    wish = FileSource(f"{stock.socket.url}/file-upload/x/a.pdf")
    with little_memory():
        async with source.fetch(wish) as file:
            assert (file.size, file.name, file.media_type) == (SIZE, "a.pdf", "application/pdf")
            assert await calls.media("room1", file, RELAY) == "f1"
            file.content.seek(0)
            seen = sha256()
            while piece := file.content.read(65536):
                seen.update(piece)

    assert seen.hexdigest() == digest()
    assert SIZE < stock.uploaded < SIZE + 1000


@pytest.mark.parametrize("limit", [SIZE - 1, 1000])
async def test_fetching_ends_where_the_policy_says(stock: Stock, limit: int) -> None:
    source = Source.of(stock.socket.url, (), FilePolicy((), limit), 30)
    with pytest.raises(Exception, match="too-big"):
        async with source.fetch(FileSource(f"{stock.socket.url}/file-upload/x/a.pdf")):
            pass
