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


def session_id(secret: bytes, conversation_id: int, connection: str) -> str:
    """A conversation's name at a backend: 32 hex digits, safe in URLs, tells nothing about the visitor.

    Half of it is a signature, half the conversation's id under a mask: `conversation_of` finds it again.
    """
    plain = conversation_id.to_bytes(8, "big")
    tag = hmac.digest(secret, b"session/" + connection.encode() + b"/" + plain, hashlib.sha256)[:8]
    return (tag + _masked(secret, tag, plain)).hex()


def conversation_of(secret: bytes, session: str, connection: str) -> int | None:
    """The conversation that a session id was made for, None when we did not make it for this connection."""
    try:
        raw = bytes.fromhex(session)
    except ValueError:
        return None
    conversation_id = int.from_bytes(_masked(secret, raw[:8], raw[8:16]), "big")
    return conversation_id if hmac.compare_digest(session_id(secret, conversation_id, connection), session) else None


def _masked(secret: bytes, tag: bytes, plain: bytes) -> bytes:
    mask = hmac.digest(secret, b"session-mask/" + tag, hashlib.sha256)
    return bytes(a ^ b for a, b in zip(plain, mask, strict=False))
