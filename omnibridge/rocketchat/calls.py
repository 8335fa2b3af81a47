"""One HTTP call to the hub: log-in headers, time limit, envelope. Source: rocketchat-api 1.2, 1.3, 6.4."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from omnibridge.errors import DeliveryError
from omnibridge.http import Client, create_client
from omnibridge.limits import TimeLimit
from omnibridge.rocketchat.errors import from_answer, from_exception, unreadable

_object = msgspec.json.Decoder(dict[str, Any])
encode = msgspec.json.Encoder().encode


AWAY_S = 60.0
"""Out of reach for longer than this is a gap: webhooks may have been given up meanwhile."""


@dataclass(frozen=True)
class Credentials:
    """A user's id and login or personal access token."""

    user_id: str
    auth_token: str

    def __repr__(self) -> str:
        return f"Credentials({self.user_id!r}, '***')"


class Answer(NamedTuple):
    """body: {} when it was no JSON object."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def is_success(self) -> bool:
        """Every success is HTTP 200 with `success: true` (1.2)."""
        return self.status == 200 and self.body.get("success") is True


class Calls:
    """Raises a DeliveryError for every failure. timeout_s: for each call as a whole.

    on_back: called when the hub answers again after more than AWAY_S without an answer.
    """

    def __init__(self, base_url: str, credentials: Credentials, timeout_s: float, client: Client | None) -> None:
        self._credentials, self._limit = credentials, TimeLimit(timeout_s)
        self._client = client or create_client(base_url=base_url, timeout_s=timeout_s)
        self._away_since: float | None = None
        self.on_back: Callable[[], None] | None = None

    async def aclose(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, query: Mapping[str, str], as_user: Credentials | None = None) -> dict[str, Any]:
        """GET below /api/v1."""
        return checked(await self.exchange("GET", f"/api/v1/{path}", query=query, as_user=as_user))

    async def post(self, path: str, body: object, as_user: Credentials | None = None) -> dict[str, Any]:
        """POST below /api/v1. body: encoded as JSON."""
        return checked(await self.exchange("POST", f"/api/v1/{path}", content=encode(body), as_user=as_user))

    async def method(self, name: str, *params: object) -> object:
        """`method.call`: the outcome is inside `message`, whatever the HTTP status (6.4). Returns its `result`."""
        call = encode({"msg": "method", "id": "1", "method": name, "params": params}).decode()
        answer = await self.exchange("POST", f"/api/v1/method.call/{name}", content=encode({"message": call}))
        inner = answer.body.get("message")
        result = _decode(inner.encode()) if isinstance(inner, str) else {}
        error = result.get("error")
        if isinstance(error, dict):
            coded = {"errorType": str(error.get("error", "")), "error": str(error.get("message", ""))}
            raise from_answer(400, coded, answer.headers)
        checked(answer)
        if result.get("msg") != "result":
            raise unreadable()
        return result.get("result")

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        content_type: str = "application/json",
        as_user: Credentials | None = None,
        second_factor: tuple[str, str] | None = None,
    ) -> Answer:
        """Send and read, whatever the status. Raises for failures of the transport only.

        second_factor: method and code, for calls that ask for one (1.5).
        """
        headers = _headers(as_user or self._credentials, content_type if content else "")
        if second_factor:
            headers = {**headers, "X-2FA-Method": second_factor[0], "X-2FA-Code": second_factor[1]}
        try:
            async with self._limit():
                found = await self._client.exchange(method, path, query=query, content=content, headers=headers)
            if found.status >= 502:  # a proxy speaks for a hub that is not there
                self._away_since = self._away_since or time.monotonic()
            elif self._away_since is not None:
                self._back()
            return Answer(found.status, _decode(found.body), found.headers)
        except DeliveryError:
            raise
        except Exception as exc:
            if self._away_since is None:
                self._away_since = time.monotonic()
            raise from_exception(exc) from exc

    def _back(self) -> None:
        away_s = time.monotonic() - (self._away_since or 0.0)
        self._away_since = None
        if self.on_back and away_s > AWAY_S:
            self.on_back()


@lru_cache(maxsize=256)
def _headers(who: Credentials, content_type: str) -> Mapping[str, str]:
    """Made once per account."""
    headers = {"X-User-Id": who.user_id, "X-Auth-Token": who.auth_token, "User-Agent": "omnibridge"}
    return {**headers, "Content-Type": content_type} if content_type else headers


def checked(answer: Answer) -> dict[str, Any]:
    """The body of a success. Raises DeliveryError otherwise."""
    if not answer.is_success:
        raise from_answer(*answer)
    return answer.body


def _decode(body: bytes) -> dict[str, Any]:
    """A JSON object, {} for anything else: proxies answer HTML."""
    try:
        return _object.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
