"""Ids made by us: 63-bit, growing with time, so that rows of one unit can refer to each other unwritten."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b

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

    22 characters: the delivery's id and 64 bits of a keyed hash of it. A visitor chooses the ids of his own messages,
    so an id that could be foreseen could be taken before us; and an echo is known without a look-up.
    """
    row = delivery_id.to_bytes(8, "big")
    # BLAKE2's own key: as good as an HMAC, and a tenth of its cost with OpenSSL 3.
    seal = blake2b(f"{workspace}/{room}/{delivery_id}".encode(), digest_size=8, key=secret).digest()
    return urlsafe_b64encode(row + seal).decode().rstrip("=")


def is_message_id(secret: bytes, workspace: str, room: str, found: str) -> bool:
    """Whether `message_id` made this id for this room, in this installation."""
    row = delivery_of(found)
    return row > 0 and hmac.compare_digest(message_id(secret, workspace, room, row), found)


def delivery_of(found: str) -> int:
    """The delivery that a message id of ours names; 0 for what is none. Whether it is ours is not checked."""
    if len(found) != 22 or not found.isascii():
        return 0
    row = int.from_bytes(urlsafe_b64decode(found[:12])[:8], "big")
    return row if row < 1 << 63 else 0


@lru_cache(maxsize=4096)
def session_id(secret: bytes, conversation_id: int, connection: str) -> str:
    """A conversation's name at a backend: 32 hex digits, safe in URLs, tells nothing about the visitor.

    Half of it is a signature, half the conversation's id under a mask: `conversation_of` finds it again.
    """
    plain = conversation_id.to_bytes(8, "big")
    tag = blake2b(b"session/" + connection.encode() + b"/" + plain, digest_size=8, key=secret).digest()
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
    mask = blake2b(b"session-mask/" + tag, digest_size=8, key=secret).digest()
    return bytes(a ^ b for a, b in zip(plain, mask, strict=False))
