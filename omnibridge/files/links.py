"""Links to visitors' files: signed, bound to one room and one file, valid for a while. Pure but for the clock.

Whoever has the link has the file, as with any link of this kind; so it is short-lived, names no log-in, and says
nothing without the installation's secret: without it nobody can make one for another file or room.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b

import msgspec

from omnibridge.clock import Clock
from omnibridge.domain.files import FileRef, plain_name

LONGEST_TOKEN = 4096
_encode = msgspec.msgpack.Encoder().encode


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What a token says. max_bytes: where the download is cut off, 0 = nowhere. expires_s: epoch, seconds."""

    workspace: str
    room: str
    file: str
    name: str
    media_type: str
    max_bytes: int
    expires_s: int


_decode = msgspec.msgpack.Decoder(Link).decode


class FileLinks:
    """site: where this service is reached. valid_s: how long a link works."""

    def __init__(self, secret: bytes, clock: Clock, site: Callable[[], str], valid_s: int) -> None:
        self._key = blake2b(b"files", digest_size=32, key=secret).digest()
        self._clock, self._site, self._valid_s = clock, site, valid_s

    def token(self, workspace: str, room: str, file: FileRef, max_bytes: int = 0, valid_s: int = 0) -> str:
        """What `read` takes, until it has expired."""
        expires = self._clock.now_ms() // 1000 + (valid_s or self._valid_s)
        link = Link(workspace, room, file.id, plain_name(file.name), file.media_type, max_bytes, expires)
        plain = _encode(link)
        return f"{_text(plain)}.{_text(self._seal(plain))}"

    def url(self, workspace: str, room: str, file: FileRef, max_bytes: int = 0) -> str:
        return f"{self._site().rstrip('/')}/files/{self.token(workspace, room, file, max_bytes)}"

    def read(self, token: str) -> Link | None:
        """None for what we did not make, and what has expired."""
        plain, _, seal = token.partition(".")
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            raw = _bytes(plain)
            if not hmac.compare_digest(self._seal(raw), _bytes(seal)):
                return None
            found = _decode(raw)
        except (ValueError, msgspec.DecodeError):
            return None
        return found if found.expires_s >= self._clock.now_ms() // 1000 else None

    def _seal(self, plain: bytes) -> bytes:
        return blake2b(plain, digest_size=16, key=self._key).digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
