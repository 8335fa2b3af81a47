"""Failures of a webhook bot -> what the outbox may do next: a table. Addresses are not repeated: they may hold a key.

5xx is *uncertain*, not *retryable*: the bot may have worked on the turn before it failed. It is sent again all
the same, under the same `webhook-id`, unless the connection says `on_uncertain = "bury"`.
"""

from __future__ import annotations

from omnibridge.connector import AnswerTooLarge, DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.connector.failures import of_transport, seconds_to_wait

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
    if isinstance(exc, AnswerTooLarge):
        return DeliveryRejected(f"{exc}: answer less, and uncompressed", code="answer-too-large")
    return of_transport(exc, "the bot")


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
