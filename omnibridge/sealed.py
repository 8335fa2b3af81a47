"""Tokens that say what they are for, sealed with the installation's secret: nothing has to be kept of them. Pure.

A token of one purpose is none of another. Whether its time is over is for its reader to look at.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Seal(Generic[T]):
    """kind: the struct that a token holds. longest: characters of a token."""

    def __init__(self, purpose: str, kind: type[T], longest: int) -> None:
        self._purpose, self._decoder, self._longest = f"{purpose}/".encode(), msgspec.json.Decoder(kind), longest

    def seal(self, secret: bytes, what: T) -> str:
        """Letters, digits, `-` and `_`, with one full stop."""
        body = _encode(what)
        return f"{_text(body)}.{_text(self._tag(secret, body))}"

    def unseal(self, secret: bytes, given: str) -> T | None:
        """None for what we did not make."""
        body, _, tag = given.partition(".")
        if len(given) > self._longest or not given.isascii():
            return None
        try:
            plain, found = urlsafe_b64decode(_full(body)), urlsafe_b64decode(_full(tag))
            return self._decoder.decode(plain) if hmac.compare_digest(self._tag(secret, plain), found) else None
        except (ValueError, msgspec.DecodeError):
            return None

    def _tag(self, secret: bytes, body: bytes) -> bytes:
        return blake2b(self._purpose + body, digest_size=16, key=secret[:64]).digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _full(text: str) -> str:
    return text + "=" * (-len(text) % 4)
