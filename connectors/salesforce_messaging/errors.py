"""Failures of the custom-client API -> what the outbox may do next: a table (reference 2.11).

Message ids are ours and the same for each attempt, so that what is uncertain may be sent again. Bodies of errors are
not repeated: nobody knows what is in them.
"""

from __future__ import annotations

from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.connector.failures import of_transport, seconds_to_wait

PAUSE_S, LONGEST_S = 5.0, 300.0
"""After 429 without `Retry-After`; and with one, however long: who asks for a day would leave a chat alone for it."""


class TokenDead(DeliveryRetryable):
    """The token is invalid or expired: nothing was processed. A new one is needed; that of a guest is another user."""


class NoSession(DeliveryRetryable):
    """There is no messaging session, and pre-chat is per session: send it again as the first of a new one."""


class NotVerified(DeliveryRejected):
    """The customer's JWT came back as a guest: wrong kid, issuer, signature or keys. Nothing is sent as a guest."""


REJECTED = {
    400: (
        "bad-request",
        "Salesforce refused the request: check es_developer_name and org_id, and that the deployment is published",
    ),
    403: ("forbidden", "Salesforce denied access: check the deployment's channel and its user verification"),
    404: ("not-found", "Salesforce knows no such conversation of this user: check url, or begin another one"),
    405: ("not-found", "Salesforce does not answer there: correct url"),
    413: ("too-large", "the file or text is too large for Salesforce (5 MB)"),
}


def from_exception(exc: Exception) -> DeliveryError:
    """A failure of the transport. Re-raises what is none."""
    return of_transport(exc, "Salesforce")


def from_status(status: int, retry_after: str, now_s: float) -> DeliveryError:
    """An answer that is not 2xx. retry_after: the header's value."""
    if status == 401:
        return TokenDead("the token of Salesforce is invalid or expired", code="token", answered=True)
    if status == 417:
        return NoSession("Salesforce has no messaging session for this conversation", code="no-session", answered=True)
    if status == 429:
        pause = seconds_to_wait(retry_after, now_s)
        pause = PAUSE_S if pause is None else min(pause, LONGEST_S)
        return DeliveryRetryable(
            "over a limit of Salesforce (HTTP 429)", code="http-429", retry_after_s=pause, answered=True
        )
    if status in REJECTED:
        code, what_to_do = REJECTED[status]
        return DeliveryRejected(f"HTTP {status}: {what_to_do}", code=code)
    if 300 <= status < 400:
        return DeliveryRejected(f"HTTP {status}: redirects are not followed: correct url", code="redirect")
    if status >= 500 or status in (408, 409, 425):
        return DeliveryUncertain(f"Salesforce failed (HTTP {status})", code=f"http-{status}")
    return DeliveryRejected(f"HTTP {status}: Salesforce refused the request", code=f"http-{status}")
