"""Ids made by us: 63-bit, growing with time, so that rows of one unit can refer to each other unwritten."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

from omnibridge.clock import Clock


class IdSequence:
    """Milliseconds << 20, raised by at least one each time; starts above what the database holds."""

    def __init__(self, clock: Clock, newest: int = 0) -> None:
        self._clock, self._last = clock, newest

    def next(self) -> int:
        self._last = max(self._last + 1, self._clock.now_ms() << 20)
        return self._last


def message_id(secret: bytes, workspace: str, room: str, delivery_id: int) -> str:
    """The id that a message of ours has in Rocket.Chat: the same for every attempt, not to be guessed.

    22 characters. A visitor chooses the ids of his own messages, so an id that could be foreseen could be
    taken before us.
    """
    name = f"{workspace}/{room}/{delivery_id}".encode()
    return urlsafe_b64encode(hmac.digest(secret, name, hashlib.sha256)[:16]).decode().rstrip("=")


def session_id(secret: bytes, workspace: str, room: str, connection: str) -> str:
    """A conversation's name at a backend: 32 hex digits, safe in URLs, tells nothing about the visitor."""
    name = f"session/{workspace}/{room}/{connection}".encode()
    return hmac.digest(secret, name, hashlib.sha256)[:16].hex()
