"""Rasa's failures -> what the outbox may do next: a table. Addresses are not repeated: they hold the token."""

from __future__ import annotations

import httpx2

from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
"""Certainly not processed. Everything else of the transport may have been: Rasa keeps no request ids."""


def from_exception(exc: Exception) -> DeliveryError:
    """A failure of the transport. Re-raises what is none."""
    name = type(exc).__name__
    if isinstance(exc, NOT_SENT):
        return DeliveryRetryable(f"Rasa cannot be reached ({name})", code="not-sent")
    if isinstance(exc, httpx2.HTTPError | httpx2.InvalidURL | TimeoutError):
        return DeliveryUncertain(f"no answer from Rasa ({name})", code="no-answer")
    raise exc


def from_status(status: int) -> DeliveryError:
    """An answer that is not 200."""
    if status in (401, 403):
        return DeliveryRejected("Rasa refused: set token to its --auth-token", code="unauthorized")
    if status == 404:
        return DeliveryRejected("not found: enable the channel in credentials.yml, and --enable-api", code="not-found")
    if status in (409, 429, 503):
        return DeliveryRetryable(f"Rasa is not ready (HTTP {status})", code=f"http-{status}")
    if status >= 500:
        return DeliveryUncertain(f"Rasa failed (HTTP {status})", code=f"http-{status}")
    return DeliveryRejected(f"Rasa refused (HTTP {status})", code=f"http-{status}")
