"""HTTP/2 for servers of tests: uvicorn has none. An app behind TLS that speaks what the client chose, and its faults.

`Front` is a protocol class for uvicorn (`http=`): HTTP/1.1 goes to uvicorn's own, HTTP/2 to `Served`. h2's server side
is what ours does not use, and GOAWAY is written by hand, because h2 takes nothing more after it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h2.events as told
import pytest
import uvicorn
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from omnibridge.http import Client, create_client, wire
from omnibridge.listening import Serving, listen
from tests.certificates import server_context


class Call:
    """One stream as an ASGI call. `send.__self__.transport.abort` is there for `omnibridge.connector.simulating.cut`:
    it resets the stream."""

    def __init__(self, connection: Served, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._connection, self._number, self.transport = connection, number, self
        pseudo = {name: value for name, value in headers if name.startswith(b":")}
        path, _, query = pseudo[b":path"].partition(b"?")
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "2",
            "method": pseudo[b":method"].decode(),
            "scheme": "https",
            "path": path.decode(),
            "raw_path": path,
            "root_path": "",
            "query_string": query,
            "headers": [
                (b"host", pseudo[b":authority"]),
                *((bytes(name), bytes(value)) for name, value in headers if not name.startswith(b":")),
            ],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "state": {},
        }
        self.is_gone, self._is_asked = asyncio.Event(), False

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        finally:
            self.is_gone.set()

    async def receive(self) -> Message:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.is_gone.is_set():
            return
        if message["type"] == "http.response.start":
            headers = [(b":status", b"%d" % message["status"]), *message.get("headers", ())]
            self._connection.say(lambda h2: h2.send_headers(self._number, headers))
            return
        data = memoryview(message.get("body", b""))
        while len(data):
            size = min(len(data), await self._connection.window(self, self._number))
            if not size:
                return
            self._connection.send_data(self._number, data[:size].tobytes())
            data = data[size:]
        if not message.get("more_body") and not self.is_gone.is_set():
            self._connection.say(lambda h2: h2.end_stream(self._number))

    def abort(self, code: int = 2) -> None:
        """Reset the stream."""
        if not self.is_gone.is_set():
            self._connection.say(lambda h2: h2.reset_stream(self._number, code))
            self.is_gone.set()


class Served(asyncio.Protocol):
    """One connection in HTTP/2, as uvicorn's own protocols are. calls: those under way, by stream."""

    def __init__(self, config: uvicorn.Config, server_state: Any) -> None:
        self._app, self._state = config.loaded_app, server_state
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.h2.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = Front.most_streams
        self.h2.local_settings.acknowledge()
        self.calls: dict[int, Call] = {}
        self.events: list[told.Event] = []
        """Of the whole life of the connection but requests and data."""
        self._opened = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._state.connections.add(self)
        Front.connections.append(self)
        self.say(lambda h2: h2.initiate_connection())

    def data_received(self, data: bytes) -> None:
        try:
            for event in self.h2.receive_data(data):
                self._take(event)
        except H2Error:
            self.transport.abort()
            raise
        self.say(lambda h2: None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        for each in self.calls.values():
            each.is_gone.set()
        self._opened.set()

    def shutdown(self) -> None:
        self.transport.close()

    def _take(self, event: told.Event) -> None:
        match event:
            case told.RequestReceived(stream_id=number, headers=headers):
                self.calls[number] = call = Call(self, number, headers)  # type: ignore[arg-type]
                task = asyncio.get_running_loop().create_task(call.run(self._app))
                self._state.tasks.add(task)
                task.add_done_callback(self._state.tasks.discard)
                task.add_done_callback(lambda _: self.calls.pop(number, None))
                return
            case told.StreamReset(stream_id=number) if number in self.calls:
                self.calls[number].is_gone.set()
        self.events.append(event)
        self._opened.set()

    def say(self, what: Callable[[H2Connection], None]) -> None:
        """Nothing, where the connection is gone."""
        if not self.transport.is_closing():
            what(self.h2)
            self.transport.write(self.h2.data_to_send())

    def send_data(self, number: int, data: bytes) -> None:
        self.say(lambda h2: h2.send_data(number, data))

    async def window(self, call: Call, number: int) -> int:
        """Bytes that the stream may send now, once there are any; 0: none any more."""
        while not call.is_gone.is_set() and not self.transport.is_closing():
            found = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if found:
                return found
            self._opened.clear()
            await self._opened.wait()
        return 0

    def heard(self, kind: type[told.Event]) -> list[Any]:
        return [each for each in self.events if isinstance(each, kind)]

    def goes_away(self, last: int, code: int = 0) -> None:
        self.transport.write(GoAwayFrame(0, last_stream_id=last, error_code=code).serialize())


class Front(asyncio.Protocol):
    """most_streams, connections: of all, cleared by `fronted`."""

    most_streams = 100
    connections: list[Served] = []  # noqa: RUF012 - one for all is meant

    def __init__(self, config: uvicorn.Config, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self._made = config, server_state, app_state

    def connection_made(self, transport: Any) -> None:
        config, server_state, app_state = self._made
        chosen: asyncio.Protocol
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            chosen = Served(config, server_state)
        else:
            chosen = HttpToolsProtocol(config, server_state, app_state)
        transport.set_protocol(chosen)
        chosen.connection_made(transport)


class Fronted:
    """A running server. trusted: file with its certificate."""

    def __init__(self, url: str, trusted: Path, context: ssl.SSLContext) -> None:
        self.url, self.trusted, self.context = url, trusted, context
        self.connections = Front.connections

    @property
    def live(self) -> list[Served]:
        return [each for each in self.connections if not each.transport.is_closing()]


def speaks_http2(config: uvicorn.Config) -> None:
    """For a config with TLS that is loaded."""
    assert config.ssl
    config.ssl.set_alpn_protocols(["h2", "http/1.1"])


class Saying:
    """An ASGI call as a play has it, the same in HTTP/1.1 and HTTP/2."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self._receive, self._send = scope, receive, send

    async def head(self, status: int = 200, **headers: str) -> None:
        given = {"content_type": "text/event-stream"} | headers
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def body(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def gone(self) -> None:
        """Until the caller has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def cut(self) -> None:
        """The connection, or in HTTP/2 the stream."""
        self._send.__self__.transport.abort()  # type: ignore[attr-defined]

    def reset(self, code: int) -> None:
        """The stream. Of HTTP/2."""
        self._send.__self__.abort(code)  # type: ignore[attr-defined]


Play = Callable[[Saying], Awaitable[None]]


def playing(play: Play) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await play(Saying(scope, receive, send))

    return app


@asynccontextmanager
async def client_of(front: Fronted, monkeypatch: pytest.MonkeyPatch, streams: str = "http2") -> AsyncIterator[Client]:
    """Ours, which trusts it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(front.trusted))
    for each in (wire.trusted, wire.trusted_for_streams):
        each.cache_clear()
    client = create_client(base_url=front.url, streams=streams)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.aclose()
        for each in (wire.trusted, wire.trusted_for_streams):
            each.cache_clear()


@asynccontextmanager
async def fronted(app: ASGIApp, folder: Path, *names: str, most_streams: int = 100) -> AsyncIterator[Fronted]:
    """names: in its certificate."""
    _, trusted = server_context(folder, *(names or ("127.0.0.1",)))
    listening = listen("127.0.0.1", 0)
    Front.most_streams = most_streams
    Front.connections.clear()
    serving = Serving(
        app, listening, grace_s=1, http=Front, ssl_certfile=folder / "both.pem", lifespan="off", log_config=None
    )
    speaks_http2(serving.config)
    assert serving.config.ssl
    await serving.start()
    try:
        yield Fronted(f"https://127.0.0.1:{listening.getsockname()[1]}", trusted, serving.config.ssl)
    finally:
        for each in list(serving._server.server_state.connections):
            each.transport.abort()
        await serving.stop()
