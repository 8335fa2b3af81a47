"""Signatures after Standard Webhooks 1.0.0, symmetric (`v1`). Pure.

Signed are the bytes `id.timestamp.body`; so neither id nor timestamp may have a full stop in it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret."""


def read_secrets(text: str) -> tuple[bytes, ...]:
    """`whsec_<base64>`, several with blanks between them -> keys. Raises ValueError without the secret in it."""
    keys = []
    for number, each in enumerate(text.split(), 1):
        encoded = each.removeprefix(PREFIX)
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not each.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
            raise ValueError(
                f"secret number {number} is not {PREFIX} and the base64 of {SHORTEST} to {LONGEST} random bytes; "
                f'make one: echo "{PREFIX}$(openssl rand -base64 32)"'
            )
        keys.append(key)
    return tuple(keys)


def signed_headers(keys: tuple[bytes, ...], webhook_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt: one signature per key; without keys only id and timestamp."""
    stamped = f"{webhook_id}.{timestamp_s}.".encode() + body
    headers = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp_s)}
    if keys:
        signatures = (base64.b64encode(hmac.digest(key, stamped, "sha256")).decode() for key in keys)
        headers["webhook-signature"] = " ".join(f"v1,{each}" for each in signatures)
    return headers


TOLERANCE_S = 300
"""How far the timestamp of a request may be from our clock."""


def check_signature(
    keys: tuple[bytes, ...], headers: Mapping[str, str], body: bytes, now_s: float, tolerance_s: int = TOLERANCE_S
) -> str:
    """The id of a request that was signed with one of the keys, within the time. Raises ValueError saying why not.

    The id is unique for its sender: who takes each id once refuses replays.
    """
    webhook_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise ValueError("webhook-id and webhook-timestamp are missing or malformed")
    stamped = f"{webhook_id}.{stamp}.".encode() + body
    given = [each.removeprefix("v1,") for each in headers.get("webhook-signature", "").split() if each[:3] == "v1,"]
    wanted = [base64.b64encode(hmac.digest(key, stamped, "sha256")) for key in keys]
    matches = [hmac.compare_digest(one.encode(), other) for one in given[:8] for other in wanted]
    if not any(matches):
        raise ValueError("no signature is right: check that both sides hold the same secret")
    if abs(now_s - int(stamp)) > tolerance_s:
        raise ValueError(f"webhook-timestamp is more than {tolerance_s} s off: check the clocks")
    return webhook_id
