"""The HTTP calls to a webhook bot. One attempt each: the outbox has the retries."""

from __future__ import annotations

import asyncio

import httpx2

from connectors.webhook_bot.errors import from_exception, from_status
from connectors.webhook_bot.signing import read_secrets, signed_headers
from omnibridge.connector import ConfigError, ConnectorContext, DeliveryRetryable

MAX_ANSWER_BYTES = 1 << 20
"""Unless `max_answer_bytes` says otherwise."""

HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "omnibridge"}


class WebhookClient:
    """Raises ConfigError for settings that cannot work; its calls raise DeliveryError."""

    def __init__(self, context: ConnectorContext) -> None:
        settings = context.settings
        for key, url in (("url", settings.url), ("health_url", settings.health_url)):
            if not url.startswith(("http://", "https://")) and (url or key == "url"):
                raise ConfigError(f"connection {context.name}: {key} must begin with http:// or https://")
        try:
            self._keys = read_secrets(settings.secret)
        except ValueError as exc:
            raise ConfigError(f"connection {context.name}: {exc}") from None
        if not self._keys:
            context.log("requests_not_signed", connection=context.name)
        self._settings, self._clock = settings, context.clock
        self._client = context.create_client(
            timeout_s=settings.turn_timeout_s, headers=HEADERS, max_answer_bytes=settings.max_answer_bytes
        )
        self._is_open = True

    async def post(self, webhook_id: str, body: bytes) -> bytes:
        """One signed POST: the body of a 2xx answer. The same id means the same turn."""
        headers = signed_headers(self._keys, webhook_id, self._clock.now_ms() // 1000, body)
        headers["Content-Type"] = "application/json"
        answer = await self._call("POST", self._settings.url, self._settings.turn_timeout_s, headers, body)
        if not answer.is_success:
            raise self._refusal(answer)
        return answer.content

    async def health(self) -> int:
        """The status of a GET. Without a health_url any answer shows that somebody is there."""
        url = self._settings.health_url
        answer = await self._call("GET", url or self._settings.url, 10.0)
        if url and not answer.is_success:
            raise self._refusal(answer)
        return answer.status_code

    async def aclose(self) -> None:
        self._is_open = False
        await self._client.aclose()

    async def _call(
        self, method: str, url: str, timeout_s: float, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> httpx2.Response:
        if not self._is_open:
            raise DeliveryRetryable("the connection is closed", code="closed")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._client.request(method, url, headers=headers, content=body)
        except Exception as exc:
            raise from_exception(exc) from exc

    def _refusal(self, answer: httpx2.Response) -> Exception:
        return from_status(answer.status_code, answer.headers.get("retry-after", ""), self._clock.now_ms() / 1000)
