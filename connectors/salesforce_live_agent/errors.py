"""Failures of the Chat REST API -> what the outbox may do next: a table (reference 1.3). Bodies are not repeated.

A post has a sequence number, and the server drops a repeat of one that it took: what is uncertain is posted again under
the same number, and nothing else before it (`poll.py`).
"""

from __future__ import annotations

from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.connector.failures import of_transport


class SessionGone(DeliveryRejected):
    """The chat is over or its session expired: nothing can be sent in it. may_be_sent: an attempt before this one was
    uncertain, and nobody can tell any more."""

    def __init__(self, message: str, *, code: str, may_be_sent: bool = False) -> None:
        super().__init__(message, code=code)
        self.may_be_sent = may_be_sent


class NotYet(DeliveryRetryable):
    """No agent is there, or the session is being restored: nothing was sent."""


class ServerMoved(DeliveryUncertain):
    """503: the affinity has changed. The session is reconnected, and then it is known what arrived."""


class Switched(DeliveryRetryable):
    """The org moved to another address. new_base: the one to use from now on."""

    def __init__(self, new_base: str) -> None:
        super().__init__("the org of Salesforce moved to another address", code="switched")
        self.new_base = new_base


REJECTED = {
    400: ("bad-request", "Live Agent does not understand the request: check the ids of org, deployment and button"),
    404: ("not-found", "Live Agent does not answer there: correct endpoint"),
    405: ("not-found", "Live Agent does not answer there: correct endpoint"),
    413: ("too-large", "the file or text is too large for Live Agent (5 MB)"),
}
GONE = {403: "expired", 409: "duplicate-poll"}


def from_exception(exc: Exception) -> DeliveryError:
    """A failure of the transport. Re-raises what is none."""
    return of_transport(exc, "Live Agent")


def from_status(status: int) -> DeliveryError:
    """An answer that is not 2xx."""
    if status in GONE:
        return SessionGone(f"the session of Live Agent is gone (HTTP {status})", code=GONE[status])
    if status == 503:
        return ServerMoved("the chat moved to another server (HTTP 503)", code="moved")
    if status in REJECTED:
        code, what_to_do = REJECTED[status]
        return DeliveryRejected(f"HTTP {status}: {what_to_do}", code=code)
    if 300 <= status < 400:
        return DeliveryRejected(f"HTTP {status}: redirects are not followed: correct endpoint", code="redirect")
    if status == 429:
        return DeliveryRetryable("over a limit of Live Agent (HTTP 429)", code="http-429", retry_after_s=5.0)
    if status >= 500 or status in (408, 425):
        return DeliveryUncertain(f"Live Agent failed (HTTP {status})", code=f"http-{status}")
    return DeliveryRejected(f"HTTP {status}: Live Agent refused the request", code=f"http-{status}")
