"""The one factory of HTTP clients: httpx2's API on aiohttp's connection pool, one client per destination.

httpx2 is the maintained continuation of httpx by its author, with the same API; httpx 0.28 is frozen and
loses its pool when requests are cancelled. aiohttp's pool costs a third of the CPU of httpx2's own. The
transport is ours and not `httpx-aiohttp`, because that one reports a connection that the server dropped
after the request was sent as "could not connect", and an outbox must never mix up those two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
import httpx2
from yarl import URL

_NO_AUTOMATIC_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def create_client(
    *,
    base_url: str = "",
    timeout_s: float = 30.0,
    headers: Mapping[str, str] | None = None,
    max_connections: int = 64,
) -> httpx2.AsyncClient:
    """A pooled client. Redirects are not followed; proxies of the environment are not used.

    timeout_s limits the wait for each part of an answer; put `asyncio.timeout()` around the whole call.
    """
    return httpx2.AsyncClient(
        base_url=base_url,
        timeout=httpx2.Timeout(timeout_s, connect=min(5.0, timeout_s)),
        headers=dict(headers or {}),
        transport=PooledTransport(max_connections),
        trust_env=False,
        follow_redirects=False,
    )


class PooledTransport(httpx2.AsyncBaseTransport):
    """httpx2 transport on one aiohttp session, made at the first request. Answers are read whole."""

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        session = self._session or self._open()
        limits = request.extensions.get("timeout", {})
        try:
            async with session.request(
                request.method,
                URL(str(request.url), encoded=True),
                data=await request.aread(),
                headers=request.headers.multi_items(),
                skip_auto_headers=_NO_AUTOMATIC_HEADERS,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=limits.get("pool"),
                    sock_connect=limits.get("connect"),
                    sock_read=limits.get("read"),
                ),
            ) as answer:
                body = await answer.read()
                return httpx2.Response(answer.status, headers=list(answer.raw_headers), content=body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise translate(exc)(str(exc), request=request) from exc

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(loop=asyncio.get_running_loop()),
            auto_decompress=False,
        )
        return self._session


def translate(exc: Exception) -> type[httpx2.TransportError]:
    """aiohttp's failure -> httpx2's. Only what certainly was not sent becomes a connect error."""
    match exc:
        case aiohttp.ConnectionTimeoutError():
            return httpx2.ConnectTimeout
        case aiohttp.ClientConnectorError():
            return httpx2.ConnectError
        case aiohttp.InvalidURL() | ValueError():
            return httpx2.UnsupportedProtocol
        case TimeoutError():
            return httpx2.ReadTimeout
        case aiohttp.ServerDisconnectedError():
            return httpx2.RemoteProtocolError
        case _:
            return httpx2.ReadError
