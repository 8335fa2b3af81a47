"""Bytes of a good server with mistakes in them, in any pieces: each stream ends, with lines or an error of ours."""

from __future__ import annotations

import asyncio
import random

import httpx2
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from omnibridge.http.http2 import Http2
from omnibridge.http.shared_stream import SharedStream

REQUEST = [(":method", "GET"), (":scheme", "https"), (":authority", "x"), (":path", "/")]
ANSWER = [(":status", "200"), ("content-type", "text/event-stream"), ("content-length", "1000")]


class Pipe(asyncio.Transport):
    """What is written is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.is_closed = bytearray(), False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def get_write_buffer_size(self) -> int:
        return 0


def broken(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 6)):
        at, size = chance.randrange(len(data)), chance.randrange(20)
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : min(at + size, len(data) - 1)]
            case 2:
                data[at:at] = chance.randbytes(size)
            case 3:
                data[at] ^= 1 << chance.randrange(8)


def answers(server: H2Connection, chance: random.Random) -> bytearray:
    """To four requests: a stream that goes on, one that is reset, one that ends, one with trailers."""
    for number in (1, 3, 5, 7):
        server.send_headers(number, ANSWER[: chance.choice([2, 3])])
        server.send_data(number, b"x" * chance.randrange(100) + b"\n", pad_length=chance.choice([None, 3, 200]))
    server.ping(b"12345678")
    server.reset_stream(3)
    server.end_stream(5)
    server.send_headers(7, [("x-trailer", "1")], end_stream=True)
    return bytearray(server.data_to_send())


@pytest.mark.parametrize("seeds", [range(0, 100), range(100, 200)], ids=str)
async def test_every_mistake_ends_the_streams(seeds: range) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        pipe, server = Pipe(), H2Connection(H2Configuration(client_side=False))
        ours = Http2(lambda connection: None)
        server.initiate_connection()
        ours.connection_made(pipe)
        server.receive_data(bytes(pipe.written))
        ours.data_received(server.data_to_send())
        assert ours.room == 100
        pipe.written.clear()
        streams = [SharedStream(5, 1000) for _ in range(4)]
        for each in streams:
            ours.begin(each, REQUEST)
        server.receive_data(bytes(pipe.written))
        data = answers(server, chance)
        broken(data, chance)
        while data:
            size = chance.randrange(1, 60)
            ours.data_received(bytes(data[:size]))
            del data[:size]
        ours.connection_lost(None)
        async with asyncio.timeout(5):
            for each in streams:
                try:
                    await each.head()
                    assert [line async for line in each if len(line) > 1000] == []
                except httpx2.TransportError:
                    pass  # as it should be
                each.close()
        assert ours.streams == 0 and ours.room == 0
