"""Signatures after Standard Webhooks 1.0.0: those of the public API."""

from __future__ import annotations

from omnibridge.connector.signing import LONGEST, PREFIX, SHORTEST, read_secrets, signed_headers

__all__ = ["LONGEST", "PREFIX", "SHORTEST", "read_secrets", "signed_headers"]
