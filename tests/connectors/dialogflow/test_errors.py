"""Each failure has its class and its code; gRPC's and Google's whole lists have a place."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth

from connectors.dialogflow.errors import REJECTED, from_exception, from_status
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

NOT_PROCESSED = {"RESOURCE_EXHAUSTED"}


@pytest.mark.parametrize("status", [each for each in grpc.StatusCode if each is not grpc.StatusCode.OK])
def test_every_status_has_a_class(status: grpc.StatusCode) -> None:
    error = from_exception(exceptions.from_grpc_status(status, "Visitor said: my secret"))

    if status.name in REJECTED:
        assert isinstance(error, DeliveryRejected)
        assert error.code == REJECTED[status.name][0]
    elif status.name in NOT_PROCESSED:
        assert isinstance(error, DeliveryRetryable)
        assert error.retry_after_s == 1.0
    else:
        assert isinstance(error, DeliveryUncertain)
    if status.name in ("INVALID_ARGUMENT", "INTERNAL", "UNAVAILABLE"):
        assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("status", "message", "kind", "code"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; last error: …", DeliveryRetryable, "not-sent"),
        ("UNAVAILABLE", "Socket closed", DeliveryUncertain, "unavailable"),
        ("UNAVAILABLE", "Getting metadata from plugin failed with error: x", DeliveryRetryable, "credentials"),
        ("UNAVAILABLE", "The service is currently unavailable.", DeliveryUncertain, "unavailable"),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", DeliveryUncertain, "no-answer"),
        ("RESOURCE_EXHAUSTED", "Quota exceeded", DeliveryRetryable, "quota"),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)", DeliveryRejected, "answer-too-large"),
        ("PERMISSION_DENIED", "IAM permission\x1b[2J denied", DeliveryRejected, "forbidden"),
    ],
)
def test_what_is_certain(status: str, message: str, kind: type[DeliveryError], code: str) -> None:
    error = from_status(status, message)

    assert (type(error), error.code) == (kind, code)
    assert "\x1b" not in str(error)


@pytest.mark.parametrize(
    ("exc", "kind", "code"),
    [
        (TimeoutError(), DeliveryUncertain, "no-answer"),
        (auth.DefaultCredentialsError("none"), DeliveryRejected, "credentials"),  # type: ignore[no-untyped-call]
        (auth.TransportError("no network"), DeliveryRetryable, "credentials"),  # type: ignore[no-untyped-call]
        (auth.RefreshError("gone"), DeliveryRejected, "credentials"),  # type: ignore[no-untyped-call]
        (ValueError("a value that no struct holds"), DeliveryRejected, "bad-request"),
        (exceptions.RetryError("…", None), DeliveryUncertain, "no-answer"),  # type: ignore[no-untyped-call]
        (grpc.aio.UsageError("Channel is closed."), DeliveryRetryable, "closed"),
        (DeliveryRejected("x", code="y"), DeliveryRejected, "y"),
    ],
)
def test_exceptions_of_the_libraries(exc: Exception, kind: type[DeliveryError], code: str) -> None:
    error = from_exception(exc)

    assert (type(error), error.code) == (kind, code)


def test_what_is_no_failure_of_theirs_goes_on() -> None:
    with pytest.raises(ZeroDivisionError):
        from_exception(ZeroDivisionError())
    assert not isinstance(asyncio.CancelledError(), Exception)
