"""The one factory of HTTP clients: httpx2's API on aiohttp's connection pool, one client per destination.

httpx2 is the maintained continuation of httpx by its author, with the same API; httpx 0.28 is frozen and
loses its pool when requests are cancelled. aiohttp's pool costs a third of the CPU of httpx2's own. The
transport is ours and not `httpx-aiohttp`, because that one reports a connection that the server dropped
after the request was sent as "could not connect", and an outbox must never mix up those two.

`Client.exchange` is for the calls that every message makes: the same pool and the same exceptions without
httpx2's request, URL and response objects, which cost more than all else around a small call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
import httpx2
from yarl import URL

_NO_AUTOMATIC_HEADERS = frozenset({"User-Agent", "Accept", "Accept-Encoding", "Content-Type"})


class Answer(NamedTuple):
    """headers: names in any case find their value."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client(httpx2.AsyncClient):
    """httpx2's client, and `exchange`. Made by `create_client`; a transport of your own is for tests."""

    def __init__(self, *, transport: httpx2.AsyncBaseTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._pool = transport if isinstance(transport, PooledTransport) else None
        self._limits = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout.connect)
        self._url = lru_cache(maxsize=512)(self._make_url)

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
        if self._pool is None:
            response = await self.request(method, path, params=query, content=content, headers=headers)
            return Answer(response.status_code, response.headers, response.content)
        url = URL(f"{self._url(path)}?{urlencode(query)}", encoded=True) if query else self._url(path)
        try:
            async with self._pool.session.request(
                method,
                url,
                data=content,
                headers=headers,
                allow_redirects=False,
                timeout=self._limits,
            ) as answer:
                return Answer(answer.status, answer.headers, await self._pool.read(answer))
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise translate(exc)(str(exc)) from exc

    def _make_url(self, path: str) -> URL:
        return URL(str(self.base_url).rstrip("/") + path, encoded=True)


def create_client(
    *,
    base_url: str = "",
    timeout_s: float = 30.0,
    headers: Mapping[str, str] | None = None,
    max_connections: int = 64,
    max_answer_bytes: int = 0,
) -> Client:
    """A pooled client. Redirects are not followed; proxies of the environment are not used.

    timeout_s limits the wait for each part of an answer; put `asyncio.timeout()` around the whole call.
    max_answer_bytes: a longer answer is not read to its end, but raises AnswerTooLarge; 0 = any length.
    """
    return Client(
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
        limits = request.extensions.get("timeout", {})
        try:
            async with self.session.request(
                request.method,
                URL(str(request.url), encoded=True),
                data=await request.aread(),
                headers=request.headers.multi_items(),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=limits.get("pool"),
                    sock_connect=limits.get("connect"),
                    sock_read=limits.get("read"),
                ),
            ) as answer:
                body = await self.read(answer)
                return httpx2.Response(answer.status, headers=list(answer.raw_headers), content=body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise translate(exc)(str(exc), request=request) from exc

    async def read(self, answer: aiohttp.ClientResponse) -> bytes:
        """The whole body. Raises AnswerTooLarge."""
        limit = self._max_answer_bytes
        return await _read_at_most(answer, limit) if limit else await answer.read()

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool itself."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(loop=asyncio.get_running_loop()),
                auto_decompress=False,
                skip_auto_headers=_NO_AUTOMATIC_HEADERS,
            )
        return self._session


async def _read_at_most(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Leaving early closes the connection. Nothing is unpacked here: few bytes may unpack to very many."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise AnswerTooLarge("the answer is compressed")
    parts, size = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise AnswerTooLarge(f"the answer is longer than {limit} bytes")
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
