"""A bare DDP client: it knows frames and nothing of what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import websockets

if TYPE_CHECKING:
    from .conftest import Hub

Frame = dict[str, Any]


class Ddp:
    """One connection. Frames that nobody has asked for yet wait in `seen`."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket, self.seen, self._n = socket, list[Frame](), 0

    async def send(self, **frame: Any) -> None:
        await self.socket.send(msgspec.json.encode(frame).decode())

    async def take(self, is_wanted: Callable[[Frame], bool]) -> Frame:
        """The first such frame that nobody has taken; waits for it."""
        async with asyncio.timeout(30):
            while True:
                for each in self.seen:
                    if is_wanted(each):
                        self.seen.remove(each)
                        return each
                self.seen.append(msgspec.json.decode(await self.socket.recv()))

    async def get(self, **wanted: Any) -> Frame:
        """The next frame with these values."""
        return await self.take(lambda each: all(each.get(key) == value for key, value in wanted.items()))

    async def connect(self, version: str = "1") -> Ddp:
        await self.send(msg="connect", version=version, support=["1", "pre2", "pre1"])
        await self.get(msg="connected")
        return self

    async def call(self, method: str, *params: Any) -> Frame:
        """The `result` frame; `updated` must come too."""
        self._n += 1
        await self.send(msg="method", id=str(self._n), method=method, params=params)
        found = await self.get(msg="result", id=str(self._n))
        await self.get(msg="updated", methods=[str(self._n)])
        return found

    async def login(self, account: dict[str, str]) -> Ddp:
        assert (await self.call("login", {"resume": account["auth_token"]}))["result"]["id"] == account["user_id"]
        return self

    async def subscribe(self, name: str, event: str, extra: Any = False) -> Frame:
        """`ready` or `nosub`."""
        self._n += 1
        wanted = str(self._n)
        await self.send(msg="sub", id=wanted, name=name, params=[event, extra])
        return await self.take(
            lambda each: each.get("subs") == [wanted] or (each.get("msg") == "nosub" and each["id"] == wanted)
        )

    async def heard(self, stream: str, event: str) -> list[Any]:
        """`args` of the next event of that name."""
        found = await self.take(
            lambda each: (
                (each.get("msg"), each.get("collection")) == ("changed", stream)
                and each["fields"]["eventName"] == event
            )
        )
        assert found["id"] == "id"
        return list(found["fields"]["args"])

    async def events(self) -> list[list[Any]]:
        """`args` of all that has come and was not taken: a ping overtakes nothing that was said before it."""
        await self.send(msg="ping", id="last")
        await self.get(msg="pong", id="last")
        return [each["fields"]["args"] for each in self.seen if each.get("msg") == "changed"]


class Dialer:
    """Opens connections; `open` are those to close after the test."""

    def __init__(self) -> None:
        self.open: list[websockets.ClientConnection] = []

    async def __call__(self, hub: Hub) -> Ddp:
        socket = await websockets.connect(hub.client.url.replace("http", "ws") + "/websocket", ping_interval=None)
        self.open.append(socket)
        return Ddp(socket)

    async def user(self, hub: Hub, account: str) -> Ddp:
        return await (await (await self(hub)).connect()).login(hub.running.description[account])


def as_visitor(token: str) -> dict[str, Any]:
    """The second parameter of a visitor's subscription."""
    return {"useCollection": False, "args": [{"token": token, "visitorToken": token}]}
