"""Calls of either chat: their address, what fails on the way, an answer's JSON, a visitor's file."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult

import httpx2
import msgspec

from omnibridge.connector import (
    Client,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)

OVER_S, SOON_S = 2.0, 1.0


def is_safe(parts: SplitResult) -> bool:
    """https, or a simulator on this machine."""
    is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_local))


def json_object(body: bytes, whom: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        raise DeliveryUncertain(f"the answer of {whom} is no JSON object", code="bad-answer")
    return found


def over() -> DeliveryRetryable:
    """The decision that follows from the end is under way, and takes the words elsewhere."""
    return DeliveryRetryable("the chat is over", code="over", retry_after_s=OVER_S, answered=True, nobody=True)


async def fetched(files: Client, url: str) -> bytes:
    """A visitor's file, as the bridge keeps it. Raises DeliveryError: nothing was sent."""
    try:
        answer = await files.request("GET", url, headers={"Accept-Encoding": "identity"})
    except httpx2.HTTPError as exc:
        raise DeliveryRetryable("the visitor's file could not be read", code="file-unread", answered=True) from exc
    if answer.status_code == 200:
        return answer.content
    message, code = f"the visitor's file: HTTP {answer.status_code}", "file-unread"
    if answer.status_code >= 500 or answer.status_code == 429:
        raise DeliveryRetryable(message, code=code, retry_after_s=SOON_S, answered=True)
    raise DeliveryRejected(f"the visitor's file is not there any more: HTTP {answer.status_code}", code="file-gone")
