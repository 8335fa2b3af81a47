"""Requests signed after Standard Webhooks: of the companion app, of deciders, of analysers' systems."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from omnibridge.clock import Clock
from omnibridge.connector.signing import check_signature
from omnibridge.errors import IntakeError


def check_signed(keys: tuple[bytes, ...], scope: Scope, body: bytes, clock: Clock) -> str:
    """The `webhook-id`, which names a request and its repeats. Raises IntakeError."""
    try:
        return check_signature(keys, Headers(scope=scope), body, clock.now_ms() / 1000)
    except ValueError as exc:
        raise IntakeError(401, "Not signed", f"{exc}.") from None
