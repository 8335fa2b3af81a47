"""Addresses at which a bot may answer a click later: signed, for one message, block and action, until they expire.

All that one is bound to is in it; nothing is stored. The key is made of the installation's secret.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

PATH = "/interactions/"
_PURPOSE = b"omnibridge response_url 1"
_SEAL = 16
"""Bytes of the signature that are kept."""


class Target(msgspec.Struct, frozen=True, array_like=True):
    """What an address is for. interaction: the id of the response object that it came with. expires_s: of the epoch."""

    workspace: str
    room: str
    connection: str
    message: str
    block: str
    action: str
    thread: str
    interaction: str
    expires_s: int


class NotValid(ValueError):
    """The address was not made here, or was changed."""


class Expired(ValueError):
    """The address is too old."""


_target = msgspec.json.Decoder(Target)
_encode = msgspec.json.Encoder().encode


class ResponseUrls:
    """public_url: in front of the path; empty = the path alone. ttl_s: how long an address works."""

    def __init__(self, secret: bytes, public_url: str, ttl_s: float) -> None:
        self._key = hmac.digest(secret, _PURPOSE, "sha256")
        self._public_url, self.ttl_s = public_url.rstrip("/"), ttl_s

    def make(self, target: Target) -> str:
        body = _encode(target)
        return f"{self._public_url}{PATH}{urlsafe_b64encode(self._seal(body) + body).decode().rstrip('=')}"

    def read(self, token: str, now_s: float) -> Target:
        """token: the last part of an address. Raises NotValid, Expired."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            body = raw[_SEAL:]
            is_ours = hmac.compare_digest(self._seal(body), raw[:_SEAL]) and self._is_written_so(token, raw)
            found = _target.decode(body) if is_ours else None
        except (ValueError, msgspec.DecodeError):
            found = None
        if found is None:
            raise NotValid
        if now_s >= found.expires_s:
            raise Expired
        return found

    def _seal(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_SEAL]

    def _is_written_so(self, token: str, raw: bytes) -> bool:
        """One spelling only: base64 reads some others as the same."""
        return urlsafe_b64encode(raw).decode().rstrip("=") == token
