"""Failures of calls over HTTP -> what the outbox may do next, as far as that is the same for every vendor."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx2

from omnibridge.errors import DeliveryError, DeliveryRetryable, DeliveryUncertain
from omnibridge.http import AnswerTooLarge

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
"""Certainly not processed. Everything else of the transport may have been."""


def of_transport(exc: Exception, whom: str) -> DeliveryError:
    """Re-raises what is no failure of a call. Addresses and bodies are not repeated: nobody knows what is in them."""
    name = type(exc).__name__
    if isinstance(exc, DeliveryError):
        return exc
    if isinstance(exc, NOT_SENT):
        return DeliveryRetryable(f"{whom} cannot be reached ({name})", code="not-sent")
    if isinstance(exc, AnswerTooLarge):
        return DeliveryUncertain(f"the answer of {whom} is too long ({name})", code="answer-too-large")
    if isinstance(exc, httpx2.HTTPError | httpx2.InvalidURL | TimeoutError):
        return DeliveryUncertain(f"no answer from {whom} ({name})", code="no-answer")
    raise exc


def seconds_to_wait(retry_after: str, now_s: float) -> float | None:
    """`Retry-After` as seconds or as a date (RFC 9110, 10.2.3) -> seconds; None when it says nothing."""
    plain = retry_after.strip()
    if plain.isascii() and plain.isdigit():
        return float(plain[:9])
    try:
        return max(0.0, parsedate_to_datetime(plain).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
