"""The one factory of HTTP clients: httpx2's API on our own connections, one client per destination.

httpx2 is the maintained continuation of httpx by its author, with the same API; httpx 0.28 is frozen and
loses its pool when requests are cancelled. `Client.exchange` is for the calls that every message makes: the same
connections and the same exceptions without httpx2's request, URL and response objects, which cost more than all else
around a small call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlencode

import httpx2

from omnibridge.errors import ConfigError
from omnibridge.http.connection import Answer, Headers
from omnibridge.http.lines import LineStream
from omnibridge.http.request import Origin, origin_of
from omnibridge.http.wire import CONNECT_S, Wire, trusted_for_streams

_MADE_HERE = (b"host", b"content-length", b"transfer-encoding", b"connection")


class Client(httpx2.AsyncClient):
    """httpx2's client, and `exchange`. Made by `create_client`; a transport of your own is for tests."""

    def __init__(self, *, transport: httpx2.AsyncBaseTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._wire = transport.wire if isinstance(transport, _Transport) else None
        self._base: tuple[Origin, str] | None = None

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send and read whole, whatever the status. path: joined to base_url, percent-encoded already.

        headers: all that are sent but Host and the length. Raises httpx2.TransportError. The only time limit
        is that of connecting: put `asyncio.timeout()` around it.
        """
        if self._wire is None:
            response = await self.request(method, path, params=query, content=content, headers=headers)
            return Answer(response.status_code, Headers(response.headers.raw), response.content)
        origin, target = self._target(path, query)
        return await self._wire.exchange(origin, method, target, headers.items() if headers else (), content)

    def lines(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_s: float,
        max_line_bytes: int = 1 << 20,
    ) -> AbstractAsyncContextManager[LineStream]:
        """`async with client.lines(…) as stream: async for line in stream`: an answer that is read while it comes.

        path, headers: as in `exchange`. idle_s: longest silence from line to line. Raises httpx2.TransportError.
        httpx2's own `stream` reads the answer whole here.
        """
        if self._wire is None:
            raise RuntimeError("only a client made by create_client reads line by line")
        origin, target = self._target(path, query)
        given = headers.items() if headers else ()
        return self._wire.lines(origin, method, target, given, idle_s=idle_s, max_line_bytes=max_line_bytes)

    def _target(self, path: str, query: Mapping[str, str] | None) -> tuple[Origin, str]:
        if self._base is None:
            self._base = origin_of(str(self.base_url))
        origin, root = self._base
        return origin, f"{root}{path}?{urlencode(query)}" if query else root + path


def create_client(
    *,
    base_url: str = "",
    timeout_s: float = 30.0,
    headers: Mapping[str, str] | None = None,
    max_connections: int = 64,
    max_answer_bytes: int = 0,
    streams: Literal["http1", "http2"] = "http1",
) -> Client:
    """A pooled client. Redirects are not followed; proxies of the environment are not used.

    timeout_s: from connected to answered; `exchange` has none. Connecting takes 5 s at most.
    max_answer_bytes: a longer answer is not read to its end, but raises AnswerTooLarge; 0 = any length.
    streams: http2 = those of `lines` share connections where the server speaks HTTP/2 over TLS. Raises ConfigError:
    the package h2 is not there.
    """
    if streams == "http2" and find_spec("h2") is None:
        raise ConfigError('HTTP/2 for streams needs h2: pip install "omnibridge[salesforce]"')
    connect_s = min(CONNECT_S, timeout_s)
    wished = httpx2.Headers({"accept-encoding": "identity"})  # httpx2 would ask for gzip: of any size, unpacked
    wished.update(headers)
    return Client(
        base_url=base_url,
        timeout=httpx2.Timeout(timeout_s, connect=connect_s),
        headers=wished,
        transport=_Transport(
            Wire(
                *(max_connections, max_answer_bytes, connect_s),
                shares=trusted_for_streams if streams == "http2" else None,
            )
        ),
        trust_env=False,
        follow_redirects=False,
    )


class _Transport(httpx2.AsyncBaseTransport):
    """What httpx2 asks of a transport. Answers are read whole."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        origin, _ = origin_of(f"{request.url.scheme}://{request.url.netloc.decode('ascii')}")  # its log-in is a header
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in _MADE_HERE
        ]
        content = await request.aread()
        limit = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(limit):
                target = request.url.raw_path.decode("ascii")
                answer = await self.wire.exchange(origin, request.method, target, headers, content or None)
        except TimeoutError as exc:
            raise httpx2.ReadTimeout("no answer in time", request=request) from exc
        except httpx2.TransportError as exc:
            exc.request = request
            raise
        return httpx2.Response(answer.status, headers=answer.headers.raw, content=answer.body)

    async def aclose(self) -> None:
        self.wire.close()
