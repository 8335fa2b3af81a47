"""Failures of Dialogflow -> what the outbox may do next: a table. Nothing of what a visitor said is repeated.

DetectIntent has no idempotency key: each call moves contexts and may run the agent's webhook, so a repeat is a second
turn. Only what was certainly not processed is retried: not connected, over quota, refused for its token. UNAVAILABLE
on a connection that stood may be either; google.rpc.Code says that a retry is not always safe then, though Google's
own clients make one (their default policy, 2.54.0). What gRPC knows no server has seen it repeats by itself.
"""

from __future__ import annotations

import re
from typing import Any

from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

NOT_CONNECTED = ("failed to connect to all addresses", "DNS resolution failed", "name resolver")
"""gRPC's words when it had no connection to send on."""

NO_CREDENTIALS = "Getting metadata from plugin failed"
"""… when the token could not be had: nothing was sent."""

QUOTA_PAUSE_S = 1.0
"""Google: back off from 1 s, doubling to 32 s; the outbox doubles by itself."""

LONGEST_PAUSE_S = 60.0
"""Of what the service asks for; a turn is over before."""

REJECTED = {
    "INVALID_ARGUMENT": ("bad-request", "refused the request: check languages, location, platform and time_zone"),
    "UNAUTHENTICATED": ("unauthorized", "refused the credentials: make a new key, and compare the clocks"),
    "PERMISSION_DENIED": (
        "forbidden",
        "denied permission: give the service account the role Dialogflow API Client, and enable the API in the project",
    ),
    "NOT_FOUND": ("not-found", "knows no such agent: check project, location, agent and environment"),
    "FAILED_PRECONDITION": ("not-ready", "is not ready to answer: look at the agent in the console"),
    "UNIMPLEMENTED": ("not-found", "does not answer there: correct url, location and edition"),
    "OUT_OF_RANGE": ("bad-request", "refused the request"),
}
"""Status -> code, and what to do. Answers that promise that the turn was not processed."""

TELLS = frozenset({"PERMISSION_DENIED", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"})
"""Those whose own words help, and hold names of ours, not of visitors."""


def from_exception(exc: Exception) -> DeliveryError:
    """Whatever a call can raise. Re-raises what is none of the libraries'."""
    if isinstance(exc, DeliveryError):
        return exc
    status = getattr(exc, "grpc_status_code", None)
    name = type(exc).__name__
    if status is not None:
        pause_s = retry_delay_s(getattr(exc, "details", None))
        return from_status(str(getattr(status, "name", status)), str(getattr(exc, "message", "")), pause_s)
    if name == "UsageError":  # gRPC's own, not Google's: the channel is closed
        return DeliveryRetryable("the connection is closed", code="closed")
    if type(exc).__module__.startswith("google.auth"):
        return _of_credentials(exc)
    if isinstance(exc, TimeoutError) or type(exc).__module__.startswith(("grpc", "google.api_core")):
        return DeliveryUncertain(f"no answer from Dialogflow ({name})", code="no-answer")
    if isinstance(exc, ValueError | TypeError):  # of a value that no request can hold
        return DeliveryRejected(f"Dialogflow's client takes no such request ({name})", code="bad-request")
    raise exc


def retry_delay_s(details: Any) -> float:
    """Of google.rpc.RetryInfo among an error's details: how long Google asks to be left alone. 0 = not told."""
    delays = [each.retry_delay for each in details or () if type(each).__name__ == "RetryInfo"]
    return min(max((each.seconds + each.nanos / 1e9 for each in delays), default=0.0), LONGEST_PAUSE_S)


def from_status(status: str, message: str = "", pause_s: float = 0.0) -> DeliveryError:
    """status: gRPC's name. message: the service's or gRPC's words. pause_s: that the service asked for."""
    if status == "UNAVAILABLE" and any(each in message for each in NOT_CONNECTED):
        return DeliveryRetryable("Dialogflow cannot be reached", code="not-sent")
    if NO_CREDENTIALS in message:
        return DeliveryRetryable("no token for Dialogflow: see credentials, and the clock", code="credentials")
    if status == "RESOURCE_EXHAUSTED":
        if "larger than max" in message:
            return DeliveryRejected("Dialogflow's answer is too large", code="answer-too-large")
        return DeliveryRetryable("over Dialogflow's quota", code="quota", retry_after_s=max(QUOTA_PAUSE_S, pause_s))
    if status in REJECTED:
        code, what_to_do = REJECTED[status]
        told = f" ({_cleaned(message)})" if status in TELLS and message else ""
        return DeliveryRejected(f"Dialogflow {what_to_do}{told}", code=code)
    code = {"UNAVAILABLE": "unavailable", "DEADLINE_EXCEEDED": "no-answer"}.get(status, status.casefold())
    return DeliveryUncertain(f"Dialogflow may have processed it ({status})", code=code)


def _of_credentials(exc: Any) -> DeliveryError:
    """Nothing was sent: the token comes first."""
    name = type(exc).__name__
    if getattr(exc, "retryable", False) or name == "TransportError":
        return DeliveryRetryable(f"no token for Dialogflow ({name})", code="credentials")
    return DeliveryRejected(f"no token for Dialogflow ({name}): set credentials to a key's JSON", code="credentials")


def _cleaned(message: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", message)[:300]
