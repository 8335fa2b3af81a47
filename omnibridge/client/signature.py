"""Whether a webhook's request comes from the bridge: Standard Webhooks 1.0.0, symmetric."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping

import msgspec

from omnibridge.client.shapes import Update

TOLERANCE_S = 300


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float | None = None) -> Update:
    """The update. secret: `whsec_…` as in `signing_secret`, several with blanks between. now_s: None = the clock's.

    Raises ValueError saying why it is not to be believed. An update may come twice: know it by its `update_id`.
    """
    given = {name.casefold(): value for name, value in headers.items()}
    identity, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not identity or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise ValueError("webhook-id and webhook-timestamp are missing or malformed")
    stamped = f"{identity}.{stamp}.".encode() + body
    keys = [base64.b64decode(each.removeprefix("whsec_") + "==") for each in secret.split()]
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, stamped, "sha256")) for key in keys if key]
    signatures = [each.encode() for each in given.get("webhook-signature", "").split()[:8]]
    if not any([hmac.compare_digest(one, other) for one in signatures for other in wanted]):
        raise ValueError("no signature is right: check that both sides hold the same secret")
    if abs((time.time() if now_s is None else now_s) - int(stamp)) > TOLERANCE_S:
        raise ValueError(f"webhook-timestamp is more than {TOLERANCE_S} s off: check the clocks")
    try:
        return msgspec.json.decode(body, type=Update)
    except msgspec.DecodeError as exc:
        raise ValueError("signed, but no update") from exc
