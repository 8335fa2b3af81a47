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
    max_answer_bytes: int = 0,
) -> httpx2.AsyncClient:
    """A pooled client. Redirects are not followed; proxies of the environment are not used.

    timeout_s limits the wait for each part of an answer; put `asyncio.timeout()` around the whole call.
    max_answer_bytes: a longer answer is not read to its end, but raises AnswerTooLarge; 0 = any length.
    """
    return httpx2.AsyncClient(
        base_url=base_url,
        timeout=httpx2.Timeout(timeout_s, connect=min(5.0, timeout_s)),
        headers=dict(headers or {}),
        transport=PooledTransport(max_connections, max_answer_bytes),
        trust_env=False,
        follow_redirects=False,
    )


class AnswerTooLarge(httpx2.ReadError):
    """The answer is longer than this client takes, or compressed: then its length cannot be known."""


class PooledTransport(httpx2.AsyncBaseTransport):
    """httpx2 transport on one aiohttp session, made at the first request. Answers are read whole."""

    def __init__(self, max_connections: int, max_answer_bytes: int = 0) -> None:
        self._max_connections, self._max_answer_bytes = max_connections, max_answer_bytes
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
                limit = self._max_answer_bytes
                body = await _read_at_most(answer, limit, request) if limit else await answer.read()
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


async def _read_at_most(answer: aiohttp.ClientResponse, limit: int, request: httpx2.Request) -> bytes:
    """Leaving early closes the connection. Nothing is unpacked here: few bytes may unpack to very many."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise AnswerTooLarge("the answer is compressed", request=request)
    parts, size = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise AnswerTooLarge(f"the answer is longer than {limit} bytes", request=request)
    return b"".join(parts)


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
