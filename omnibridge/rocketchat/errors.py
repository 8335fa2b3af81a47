"""How Rocket.Chat's REST failures are told to the outbox: tables. Source: rocketchat-api 1.2, 1.6, 4.2, 5.3.

Nothing sent -> retryable. Perhaps processed -> uncertain. Refused for good -> rejected. Messages name codes
and what to do; they never repeat addresses, tokens, bodies or words of a conversation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
"""Nothing left. Refused connections and failed look-ups of names are ConnectErrors."""

MAYBE_PROCESSED = (httpx2.HTTPError, TimeoutError)
"""All else that the transport raises, and the time limit of the whole call."""

NOT_OF_A_REQUEST = (httpx2.StreamError, httpx2.CookieConflict)
"""Raised by httpx2 for wrong use of a body or a cookie jar: defects of ours, never translated."""

TRY_AGAIN = frozenset({"error-room-cannot-be-closed-try-again", "error-agent-is-locked", "error-too-many-requests"})
"""Codes of 400 answers after which the same request may work.

Not among them: `error-mac-limit-reached` (lasts until the month or the licence changes) and
`error-forwarding-chat` (the reference promises nothing; the next rung of the handover does).
"""

_PERMISSION = "give the account the role or permission that rocketchat-api names for this call"
WHAT_TO_DO = {
    "not-logged-in": "check user_id and auth_token of the workspace, or rocketchat_token of the connection",
    "error-unauthorized": _PERMISSION,
    "unauthorized": _PERMISSION,
    "forbidden": _PERMISSION,
    "error-not-allowed": "the account neither serves the room nor holds view-livechat-rooms",
    "error-mac-limit-reached": "the licence's monthly active contacts are used up",
    "totp-required": "make the provisioner's personal access token with bypassTwoFactor",
    "error-action-not-allowed": "give the provisioner the permissions that README names in section Agents",
    "error-license-user-limit-reached": "the licence allows no further active user",
    "error-comment-is-required": "Livechat_request_comment_when_closing_conversation asks for a comment",
}

_BRACKETED = re.compile(r"\[([\w.-]+)\]\s*$")
_SECONDS = re.compile(r"wait (\d+) seconds")
_DUPLICATE = re.compile(
    r"E11000|Cannot (read propert|destructure)|\b(undefined|null) is not|is (undefined|not iterable)"
)


def from_exception(exc: Exception) -> DeliveryError:
    """A failure of the transport. Raises what is no failure of a request: a defect must not be retried."""
    name = type(exc).__name__
    if isinstance(exc, NOT_SENT):
        return DeliveryRetryable(f"Rocket.Chat cannot be reached ({name})", code="not-sent")
    if isinstance(exc, MAYBE_PROCESSED):
        return DeliveryUncertain(f"no answer from Rocket.Chat ({name})", code="no-answer")
    raise exc


def from_answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> DeliveryError:
    """An answer that is no success. body: {} when it was no JSON object, as a proxy's page is."""
    code = code_of(body) or f"http-{status}"
    if status == 429 or code == "error-too-many-requests":
        return DeliveryRetryable(
            "Rocket.Chat asks to slow down", code="rate-limited", retry_after_s=_pause(body, headers)
        )
    if status == 401:
        return DeliveryRejected(f"not logged in: {WHAT_TO_DO['not-logged-in']}", code="not-logged-in")
    if status >= 500:
        return DeliveryUncertain(f"Rocket.Chat failed (HTTP {status})", code=f"http-{status}")
    if 300 <= status < 400:
        return DeliveryRejected(f"redirected (HTTP {status}): set the workspace's url to the final address", code=code)
    if status == 200:
        return unreadable()
    if not body:
        # A proxy in front answers so while the hub restarts: nothing was processed.
        return DeliveryRetryable(f"answered by something else than Rocket.Chat (HTTP {status})", code="not-rocketchat")
    if code in TRY_AGAIN:
        return DeliveryRetryable(f"Rocket.Chat asks to try again ({code})", code=code)
    hint = WHAT_TO_DO.get(code)
    return DeliveryRejected(f"Rocket.Chat refused ({code})" + (f": {hint}" if hint else ""), code=code)


def unreadable() -> DeliveryError:
    """HTTP 200 without the envelope or the record asked for: a proxy's page, or an API that changed."""
    return DeliveryUncertain("the answer is not what Rocket.Chat's API gives", code="unreadable-answer")


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
    """A send whose `_id` exists: a TypeError's text, which varies with UI_Use_Real_Name, or Mongo's (5.3)."""
    text = body.get("error")
    return isinstance(text, str) and bool(_DUPLICATE.search(text))


def _pause(body: Mapping[str, Any], headers: Mapping[str, str]) -> float:
    """Seconds to wait, 0.5 to 120: X-RateLimit-Reset is an epoch in ms, the text names seconds (1.6)."""
    reset = headers.get("x-ratelimit-reset", "")
    if reset.isdigit():
        return min(120.0, max(0.5, int(reset) / 1000 - time.time()))
    found = _SECONDS.search(str(body.get("error", "")))
    return min(120.0, max(0.5, float(found.group(1)))) if found else 5.0
