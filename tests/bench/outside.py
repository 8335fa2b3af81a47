"""Everything around the relay, in one process and as cheap as it can be: visitors, bot, hub.

Speaks HTTP through httptools on bare asyncio protocols, so that what is measured is the relay. The visitors
write what a hub of 8.x sends; the bot answers in Rasa's shape with the visitor's own words; the hub takes
posts, and remembers when it saw each text.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httptools
import msgspec

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
NOT_FOUND = b'{"success": false}'
Handler = Callable[[str, bytes], bytes]
"""(path with query, body) -> JSON body of a 200."""


class _Served(asyncio.Protocol):
    """One connection of a server."""

    def __init__(self, handler: Handler) -> None:
        self._handler, self._parser = handler, httptools.HttpRequestParser(self)
        self._url, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body = self._handler(self._url.decode(), self._body)
        # As the hub: what it does not know is a 400.
        status = b"400 Bad Request" if body is NOT_FOUND else b"200 OK"
        head = b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)  # type: ignore[attr-defined]


class Caller(asyncio.Protocol):
    """One keep-alive connection that sends webhooks, one at a time."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._parser = transport, httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the relay closed the connection"))

    def post(self, body: bytes) -> asyncio.Future[int]:
        """The status, when it is there."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(_HEAD % len(body) + body)  # type: ignore[attr-defined]
        return self._waiting

    def close(self) -> None:
        self._transport.close()  # type: ignore[attr-defined]


_HEAD = (
    b"POST /webhooks/rocketchat/bench HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"x-rocketchat-livechat-token: bench-token\r\nuser-agent: Rocket.Chat\r\ncontent-length: %d\r\n\r\n"
)


class Outside:
    """bot_answers: off = the bot's port answers nothing to say."""

    def __init__(self) -> None:
        self.posted: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._ids: dict[str, dict[str, Any]] = {}
        self._servers: list[asyncio.Server] = []
        self.hub_url = self.bot_url = ""
        self.doubled = 0
        self.looks = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        urls = []
        for handler in (self._bot, self._hub):
            server = await loop.create_server(lambda handler=handler: _Served(handler), "127.0.0.1", 0)  # type: ignore[misc]
            self._servers.append(server)
            urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        self.bot_url, self.hub_url = urls

    async def stop(self) -> None:
        for each in self._servers:
            each.close()

    def expect(self, text: str) -> asyncio.Future[float]:
        """When the hub got this text back from the bot (monotonic)."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[text] = future
        return future

    def _bot(self, path: str, body: bytes) -> bytes:
        if not path.startswith("/webhooks/rest/webhook"):
            return b"{}"
        turn = decode(body)
        return encode([{"recipient_id": turn["sender"], "text": turn["message"]}])

    def _hub(self, path: str, body: bytes) -> bytes:
        if path.startswith("/api/v1/chat.sendMessage"):
            message = decode(body)["message"]
            return self._post(message)
        self.looks += 1
        if path.startswith("/api/v1/chat.getMessage"):
            found = self._ids.get(path.partition("msgId=")[2])
            return encode({"success": True, "message": found}) if found else NOT_FOUND
        if path.startswith("/api/v1/rooms.info"):
            return encode({"success": True, "room": room_of(path.partition("roomId=")[2])})
        return b'{"success": true, "version": "8.3.0"}'

    def _post(self, message: dict[str, Any]) -> bytes:
        text = message["msg"]
        if text in self.posted:
            self.doubled += 1
        self.posted[text] = time.monotonic()
        self._ids[message["_id"]] = {**message, "u": BOT}
        waiting = self._waiting.pop(text, None)
        if waiting and not waiting.done():
            waiting.set_result(self.posted[text])
        return encode({"success": True, "message": {**message, "ts": "2026-11-21T10:00:00.000Z", "u": BOT}})


BOT = {"_id": "botId", "username": "assistant", "name": "Assistant"}


def room_of(room: str) -> dict[str, Any]:
    return {"_id": room, "t": "l", "open": True, "servedBy": BOT, "v": {"_id": "v", "token": "t"}}


def webhook(kind: str, room: str, text: str = "", at_ms: int = 0) -> bytes:
    """A body as 8.x sends it, about 1.1 KB."""
    visitor = {
        "_id": f"v-{room}", "token": f"token-{room}-0123456789abcdef", "name": "Vera Visitor",
        "username": f"guest-{room}", "ip": "203.0.113.9", "os": "Linux 6.1", "browser": "Firefox 145.0",
        "customFields": {"plan": "gold", "shop": "north"}, "email": [{"address": "vera@example.test"}],
    }  # fmt: skip
    body: dict[str, Any] = {
        "_id": room, "type": kind, "label": "Vera Visitor", "createdAt": "2026-11-21T09:59:00.000Z",
        "lastMessageAt": "2026-11-21T10:00:00.000Z", "tags": ["web"], "visitor": visitor,
        "agent": {**BOT, "email": "assistant@example.test"}, "messages": [],
    }  # fmt: skip
    if text:
        from omnibridge.rocketchat.leaves import iso_of

        stamp = iso_of(at_ms or int(time.time() * 1000))
        author = {"_id": f"v-{room}", "username": f"guest-{room}", "name": "Vera Visitor"}
        message = {
            "u": author, "_id": f"m-{text}", "username": author["username"], "msg": text, "ts": stamp,
            "rid": room, "_updatedAt": stamp,
        }  # fmt: skip
        body["messages"] = [message]
    return encode(body)
