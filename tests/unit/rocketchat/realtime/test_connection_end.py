"""The end of a realtime connection."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from omnibridge.rocketchat.realtime.connection import Connection, Timing


class Socket:
    is_closed = False

    async def close(self) -> None:
        self.is_closed = True


async def test_socket_is_closed_also_when_who_ends_it_is_cancelled() -> None:
    """A stop that comes while a connection that broke is being tidied up."""

    async def hear(_: object) -> None:
        raise AssertionError("nothing is read here")

    socket = Socket()
    connection = Connection(cast(Any, socket), Timing(), hear, lambda _: None)
    reading = asyncio.create_task(asyncio.Event().wait())
    ending = asyncio.create_task(connection.end(cast(Any, reading)))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait([ending])

    assert (ending.cancelled(), reading.cancelled(), socket.is_closed) == (True, True, True)
