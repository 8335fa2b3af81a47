"""What an analyser's system names a message by when it posts findings later. Pure.

It names analyser, conversation, message and text, and an end; signed, so nothing has to be remembered for it.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

import msgspec

LONGEST = 1_000
_encode = msgspec.json.Encoder().encode


class Correlation(msgspec.Struct, frozen=True, array_like=True):
    """event_id: of the text. until: ms."""

    analyser: str
    conversation_id: int
    message_id: str
    event_id: int
    until: int


_decode = msgspec.json.Decoder(Correlation)


def seal(secret: bytes, what: Correlation) -> str:
    """Letters, digits, `-` and `_`, with one full stop."""
    body = _encode(what)
    return f"{_text(body)}.{_text(_tag(secret, body))}"


def unseal(secret: bytes, given: str) -> Correlation | None:
    """None for what we did not make. Whether its time is over is not looked at."""
    body, _, tag = given.partition(".")
    if len(given) > LONGEST or not given.isascii():
        return None
    try:
        plain, found = urlsafe_b64decode(_full(body)), urlsafe_b64decode(_full(tag))
        return _decode.decode(plain) if hmac.compare_digest(_tag(secret, plain), found) else None
    except (ValueError, msgspec.DecodeError):
        return None


def _tag(secret: bytes, body: bytes) -> bytes:
    return blake2b(b"findings/" + body, digest_size=16, key=secret[:64]).digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _full(text: str) -> str:
    return text + "=" * (-len(text) % 4)
