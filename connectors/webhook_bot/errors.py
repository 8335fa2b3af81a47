"""Failures of a webhook bot -> what the outbox may do next: a table. Addresses are not repeated: they may hold a key.

5xx is *uncertain*, not *retryable*: the bot may have worked on the turn before it failed. It is sent again all
the same, under the same `webhook-id`, unless the connection says `on_uncertain = "bury"`.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx2

from omnibridge.connector import AnswerTooLarge, DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
"""Certainly not processed. Everything else of the transport may have been."""

REJECTED = {
    400: ("bad-request", "it cannot read our request: see what it logged, and connectors/webhook_bot/README.md"),
    401: ("unauthorized", "it refused the signature: set secret to its secret, and compare the clocks"),
    403: ("unauthorized", "it refused the signature: set secret to its secret, and compare the clocks"),
    404: ("not-found", "nothing is there: correct url"),
    405: ("not-found", "it takes no POST there: correct url"),
    410: ("gone", "it wants no more requests: remove the connection, or correct url"),
    413: ("too-large", "the message is too long for it: raise its limit"),
}
NOT_NOW = frozenset({409, 425, 429, 503})
"""Answers that promise that the turn was not processed."""


def from_exception(exc: Exception) -> DeliveryError:
    """A failure of the transport. Re-raises what is none."""
    name = type(exc).__name__
    if isinstance(exc, NOT_SENT):
        return DeliveryRetryable(f"the bot cannot be reached ({name})", code="not-sent")
    if isinstance(exc, AnswerTooLarge):
        return DeliveryRejected(f"{exc}: answer less, and uncompressed", code="answer-too-large")
    if isinstance(exc, httpx2.HTTPError | httpx2.InvalidURL | TimeoutError):
        return DeliveryUncertain(f"no answer from the bot ({name})", code="no-answer")
    raise exc


def from_status(status: int, retry_after: str, now_s: float) -> DeliveryError:
    """An answer that is not 2xx. retry_after: the header's value."""
    if status in NOT_NOW:
        pause = seconds_to_wait(retry_after, now_s)
        return DeliveryRetryable(f"the bot is not ready (HTTP {status})", code=f"http-{status}", retry_after_s=pause)
    if status >= 500:
        return DeliveryUncertain(f"the bot failed (HTTP {status})", code=f"http-{status}")
    if 300 <= status < 400:
        return DeliveryRejected(f"HTTP {status}: redirects are not followed: set url to the new one", code="redirect")
    code, what_to_do = REJECTED.get(status, (f"http-{status}", "the bot refused: see what it logged"))
    return DeliveryRejected(f"HTTP {status}: {what_to_do}", code=code)


def seconds_to_wait(retry_after: str, now_s: float) -> float | None:
    """`Retry-After` as seconds or as a date (RFC 9110, 10.2.3) -> seconds; None when it says nothing."""
    plain = retry_after.strip()
    if plain.isascii() and plain.isdigit():
        return float(plain[:9])
    try:
        return max(0.0, parsedate_to_datetime(plain).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
