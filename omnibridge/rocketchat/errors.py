"""How Rocket.Chat's REST failures are told to the outbox: one table. Source: rocketchat-api 1.2, 1.6, 4.2.

Nothing sent -> retryable. Perhaps processed -> uncertain. Refused for good -> rejected.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
"""Through aiohttp refused connections, DNS failures and a full pool all look alike: nothing left."""

TRY_AGAIN = frozenset({"error-room-cannot-be-closed-try-again", "error-agent-is-locked", "error-too-many-requests"})
"""Codes of 400 answers after which the same request may work."""

WHAT_TO_DO = {
    "not-logged-in": "check user_id and auth_token of the workspace, or rocketchat_token of the connection",
    "error-unauthorized": "give the account the role or permission that rocketchat-api names for this call",
    "error-not-allowed": "the account neither serves the room nor holds view-livechat-rooms",
}

_BRACKETED = re.compile(r"\[([\w.-]+)\]\s*$")
_SECONDS = re.compile(r"wait (\d+) seconds")


def from_exception(exc: Exception) -> DeliveryError:
    """A failure of the transport. Addresses and bodies are not repeated: they may hold secrets."""
    name = type(exc).__name__
    if isinstance(exc, NOT_SENT):
        return DeliveryRetryable(f"Rocket.Chat cannot be reached ({name})", code="not-sent")
    if isinstance(exc, httpx2.HTTPError | httpx2.InvalidURL | TimeoutError):
        return DeliveryUncertain(f"no answer from Rocket.Chat ({name})", code="no-answer")
    raise exc


def from_answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> DeliveryError:
    """An answer that is no success."""
    code = code_of(body) or f"http-{status}"
    if status == 429 or code == "error-too-many-requests":
        return DeliveryRetryable(
            "Rocket.Chat asks to slow down", code="rate-limited", retry_after_s=_pause(body, headers)
        )
    if status == 401:
        return DeliveryRejected(f"not logged in: {WHAT_TO_DO['not-logged-in']}", code="not-logged-in")
    if status >= 500:
        return DeliveryUncertain(f"Rocket.Chat failed (HTTP {status})", code=f"http-{status}")
    if code in TRY_AGAIN:
        return DeliveryRetryable(f"Rocket.Chat asks to try again ({code})", code=code)
    hint = WHAT_TO_DO.get(code)
    return DeliveryRejected(f"Rocket.Chat refused ({code})" + (f": {hint}" if hint else ""), code=code)


def code_of(body: Mapping[str, Any]) -> str:
    """errorType, else the bracketed end of `error`, else `error` itself when it is one word."""
    kind = body.get("errorType")
    if isinstance(kind, str) and kind:
        return kind
    text = body.get("error")
    if not isinstance(text, str):
        return ""
    found = _BRACKETED.search(text)
    if found:
        return found.group(1)
    return text if re.fullmatch(r"[\w.-]{1,80}", text) else ""


def says_duplicate(body: Mapping[str, Any]) -> bool:
    """A send whose `_id` exists: 400 with a TypeError's or Mongo's text (5.3)."""
    text = body.get("error")
    return isinstance(text, str) and ("Cannot read properties of undefined" in text or "E11000" in text)


def _pause(body: Mapping[str, Any], headers: Mapping[str, str]) -> float:
    reset = headers.get("x-ratelimit-reset", "")
    if reset.isdigit():
        return min(120.0, max(0.5, int(reset) / 1000 - time.time()))
    found = _SECONDS.search(str(body.get("error", "")))
    return float(found.group(1)) if found else 5.0
