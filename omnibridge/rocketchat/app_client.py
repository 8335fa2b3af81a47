"""What we ask of the companion app: `POST /api/apps/public/APP_ID/bridge` with `{"payload": "JSON text"}`, signed.

Every action may be repeated, each attempt under an id of its own. Source: deploy/rocketchat-app/README.md, "What it
answers", and rocketchat-apps 7.7.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from omnibridge.clock import Clock
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.http import Client, create_client
from omnibridge.rocketchat.errors import from_exception
from omnibridge.rocketchat.leaves import list_of, table_of, text_of

APP_ID = "c6a1b8f0-5d0e-4c57-9b1e-2f3a7d84e9b1"
"""Of deploy/rocketchat-app/app.json."""

LONGEST_ANSWER = 1 << 16
Sign = Callable[[str, int, bytes], Mapping[str, str]]
"""(webhook-id, seconds, bytes) -> the headers of one attempt."""

_encode = msgspec.json.Encoder().encode


class AppStatus(msgspec.Struct, frozen=True):
    """What the app says of itself. waiting: events on their way to us; dropped: given up, ever."""

    version: str
    waiting: int
    dropped: int


class AppClient:
    """The app of one workspace. app_id: as it is installed there. timeout_s: for each call."""

    def __init__(
        self,
        base_url: str,
        sign: Sign,
        clock: Clock,
        *,
        app_id: str = APP_ID,
        timeout_s: float = 5.0,
        client: Client | None = None,
    ) -> None:
        self._app_id, self._path = app_id, f"/api/apps/public/{app_id}/bridge"
        self._client = client or create_client(base_url=base_url, max_connections=8, max_answer_bytes=LONGEST_ANSWER)
        self._sign, self._clock, self._timeout_s = sign, clock, timeout_s

    async def aclose(self) -> None:
        await self._client.aclose()

    async def update(
        self,
        room: str,
        message: str,
        *,
        text: str | None = None,
        blocks: list[dict[str, Any]] | None = None,
        attachments: list[dict[str, Any]] | None = None,
    ) -> None:
        """What is None stays as it is. Raises DeliveryError."""
        given = {"text": text, "blocks": blocks, "attachments": attachments}
        wish = {"action": "message.update", "room": room, "message": message}
        await self._ask({**wish, **{name: value for name, value in given.items() if value is not None}})

    async def remove_choices(self, room: str, message: str) -> None:
        """Raises DeliveryError."""
        await self._ask({"action": "message.remove_buttons", "room": room, "message": message})

    async def ping(self) -> AppStatus:
        """Raises DeliveryError."""
        found = await self._ask({"action": "ping"})
        outbox = table_of(found.get("outbox"))
        dropped = table_of(outbox.get("dropped")).get("count")
        return AppStatus(text_of(found.get("version")), _number(outbox.get("waiting")), _number(dropped))

    async def _ask(self, wish: dict[str, Any]) -> dict[str, Any]:
        payload = _encode({"app": self._app_id, **wish}).decode()
        request_id = f"ask_{secrets.token_hex(12)}"
        signed = self._sign(request_id, self._clock.now_ms() // 1000, payload.encode())
        headers = {"content-type": "application/json", "user-agent": "omnibridge", **signed}
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.exchange(
                    "POST", self._path, content=_encode({"payload": payload}), headers=headers
                )
        except DeliveryError:
            raise
        except Exception as exc:
            raise from_exception(exc) from exc
        body = _table(answer.body)
        if answer.status != 200:
            raise refusal(answer.status, body)
        return body


def refusal(status: int, body: Mapping[str, Any]) -> DeliveryError:
    """body: {} where it was no JSON object: then somebody else answered than the app."""
    error = text_of(body.get("error"))
    if status == 401:
        return DeliveryRejected(
            "the companion app does not know our signature: give its setting bridge_secret the value of the "
            f"workspace's app_secret, and compare the clocks ({error[:80]})",
            code="app-not-signed",
        )
    if status == 404 and "message" in error:
        return DeliveryRejected("there is no such message in that conversation", code="message-unknown")
    if status == 404:
        return DeliveryRejected(
            "the companion app is not installed or not enabled; without it take app_secret out", code="app-missing"
        )
    if status == 409:
        return DeliveryRetryable("the id of the attempt was used before", code="app-id-used")
    if status == 503 and error:
        return DeliveryRejected(
            f"the companion app is not configured: set bridge_url and bridge_secret there ({error[:80]})",
            code="app-not-configured",
        )
    if status == 429:
        return DeliveryRetryable("Rocket.Chat asks to slow down", code="rate-limited")
    if status >= 500:
        return DeliveryUncertain(f"the companion app failed (HTTP {status})", code=f"app-{status}")
    return DeliveryRejected(f"the companion app refused (HTTP {status}): {error[:120]}", code="app-refused")


def message_blocks(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of a message, each an object."""
    return [each for each in list_of(raw.get("blocks")) if isinstance(each, dict)]


def _number(raw: Any) -> int:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else 0


def _table(body: bytes) -> dict[str, Any]:
    try:
        return table_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
