"""The parts of Rasa's HTTP interface that we use. Source: Rasa 3.6.21, REST channel and HTTP API.

Sender ids must be letters, digits, `-`, `_`, `.`: the HTTP API does not decode percent signs in paths.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from connectors.rasa.errors import from_exception, from_status
from omnibridge.connector import Client, DeliveryError, DeliveryUncertain

_any = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
_JSON = {"Content-Type": "application/json"}


class RasaClient:
    """timeout_s: for a turn; look-ups take 10 s at most."""

    def __init__(self, client: Client, token: str, timeout_s: float) -> None:
        self._client, self._token, self._timeout_s = client, token, timeout_s

    async def turn(self, body: dict[str, Any]) -> list[Any]:
        """`POST /webhooks/rest/webhook`: the bot's messages. Not idempotent. Raises DeliveryError."""
        answer = await self._call("POST", "/webhooks/rest/webhook", self._timeout_s, content=_encode(body))
        return answer if isinstance(answer, list) else []

    async def accept(self, body: dict[str, Any]) -> None:
        """`POST /webhooks/callback/webhook`: returns when the turn is over; the messages went to the callback.

        Rasa answers 500 and forgets the turn when nobody listens there. Not idempotent. Raises DeliveryError.
        """
        await self._call("POST", "/webhooks/callback/webhook", self._timeout_s, content=_encode(body), is_json=False)

    async def note(self, sender: str, name: str, value: str) -> None:
        """Keep a value in the tracker. Needs `--enable-api`.

        As metadata of an event that changes nothing: a reminder that nobody set is cancelled. A slot would have
        to be in the bot's domain, else Rasa logs an error each time it reads the tracker.
        """
        event = {"event": "cancel_reminder", "name": name, "metadata": {name: value}}
        path = f"/conversations/{sender}/tracker/events"
        await self._call("POST", path, 10.0, query={"include_events": "NONE"}, content=_encode(event))

    async def tracker(self, sender: str, include_events: str = "ALL") -> dict[str, Any]:
        """Needs `--enable-api`. An unknown sender is not an error: Rasa starts a session for it."""
        query = {"include_events": include_events}
        answer = await self._call("GET", f"/conversations/{sender}/tracker", 10.0, query=query)
        return answer if isinstance(answer, dict) else {}

    async def parse(self, text: str) -> dict[str, Any]:
        """`POST /model/parse`: what a text means; no conversation hears of it. Needs `--enable-api`."""
        answer = await self._call("POST", "/model/parse", self._timeout_s, content=_encode({"text": text}))
        return answer if isinstance(answer, dict) else {}

    async def trigger(self, sender: str, intent: str) -> None:
        """Run an intent without a message. Needs `--enable-api`."""
        path = f"/conversations/{sender}/trigger_intent"
        query = {"include_events": "NONE", "output_channel": "latest"}
        await self._call("POST", path, self._timeout_s, query=query, content=_encode({"name": intent}))

    async def version(self) -> str:
        """`GET /version`; asks for no token."""
        answer = await self._call("GET", "/version", 10.0, authenticated=False)
        return str(answer.get("version", "")) if isinstance(answer, dict) else ""

    async def channel(self) -> None:
        """`GET /webhooks/rest/`, the channel's own health; not found when credentials.yml has no `rest:`."""
        await self._call("GET", "/webhooks/rest/", 10.0, authenticated=False)

    async def model(self) -> str:
        """`GET /status`: name of the model file. Needs `--enable-api` and the token; 409 without a model."""
        answer = await self._call("GET", "/status", 10.0)
        return str(answer.get("model_file", "")) if isinstance(answer, dict) else ""

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        timeout_s: float,
        *,
        query: dict[str, str] | None = None,
        content: bytes | None = None,
        authenticated: bool = True,
        is_json: bool = True,
    ) -> Any:
        params = dict(query or {})
        if authenticated and self._token:
            params["token"] = self._token
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._client.exchange(
                    method, path, query=params, content=content, headers=None if content is None else _JSON
                )
        except DeliveryError:
            raise
        except Exception as exc:
            raise from_exception(exc) from exc
        if found.status != 200:
            raise from_status(found.status)
        if not is_json:
            return None
        try:
            return _any.decode(found.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise DeliveryUncertain("Rasa's answer is not JSON", code="not-json") from exc
