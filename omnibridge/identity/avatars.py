"""Pictures of external agents: fetched from hosts that the operator named, and from no others.

The address comes from outside. So: no redirects, a megabyte at most, five seconds, and a private address only for a
host that the operator wrote as an address. The check is made on the addresses that are connected to, so a name that
resolves differently a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import zlib
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from omnibridge.http import AnswerTooLarge, Wire, origin_of
from omnibridge.http.public import is_public

MOST_BYTES = 1_000_000
LIMIT_S = 5.0
MOST_AT_ONCE = 4
_HEADERS = (("User-Agent", "omnibridge"), ("Accept", "image/*"))
_AS_THEY_ARE = "/%:=&?~+!$,;'@()*[]"
"""What an address of a picture may hold unchanged; a space or a letter outside ASCII is encoded."""
_SIGNS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


class Picture(msgspec.Struct, frozen=True):
    """digest: tells whether the hub has this one already."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:32]


class NoPicture(Exception):
    """It could not be had; the text says why, without the address."""


def public_only(host: str, address: str) -> None:
    """Refuses names that lead to this machine or its network. Raises OSError."""
    if host != address and not is_public(address):
        raise OSError("the name leads to a private address")


class Avatars:
    """hosts: HOST or HOST:PORT of [agents] avatar_hosts."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._hosts = frozenset(each.lower() for each in hosts)
        self._wire = Wire(MOST_AT_ONCE, MOST_BYTES, LIMIT_S, public_only)

    async def aclose(self) -> None:
        self._wire.close()

    async def fetch(self, url: str) -> Picture:
        """Raises NoPicture."""
        self._check(url)
        try:
            async with asyncio.timeout(LIMIT_S):
                content = await self._read(url)
        except AnswerTooLarge:
            raise NoPicture(f"the picture is larger than {MOST_BYTES} bytes, or compressed") from None
        except (httpx2.TransportError, TimeoutError) as exc:
            raise NoPicture(f"the picture could not be fetched ({type(exc).__name__})") from None
        for sign, media_type in _SIGNS:
            if content.startswith(sign) and (sign != b"RIFF" or content[8:12] == b"WEBP"):
                return Picture(content, media_type)
        raise NoPicture("what is there is no PNG, JPEG, GIF or WebP")

    def may_be_shown(self, url: str) -> bool:
        """Whether staff's browsers may be sent to this picture: they tell its host who looks at the room."""
        try:
            self._check(url)
        except NoPicture:
            return False
        return True

    def _check(self, url: str) -> None:
        """Raises NoPicture."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise NoPicture("the address of the picture is none") from None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise NoPicture("the address of the picture is not http or https")
        if f"{host}:{port}" not in self._hosts and not (host in self._hosts and port in (None, 80, 443)):
            raise NoPicture("the host of the picture is not in [agents] avatar_hosts")

    async def _read(self, url: str) -> bytes:
        origin, _ = origin_of(url)
        parts = urlsplit(url)
        path = quote(parts.path, safe=_AS_THEY_ARE) + (
            f"?{quote(parts.query, safe=_AS_THEY_ARE)}" if parts.query else ""
        )
        answer = await self._wire.exchange(origin, "GET", path, _HEADERS, None)
        if answer.status != 200:
            raise NoPicture(f"the picture could not be fetched (HTTP {answer.status})")
        return answer.body


def plain(seed: str, side: int = 64) -> Picture:
    """A square of one colour, for a persona without a picture: a proxy must not keep the face it had before."""
    red, green, blue = (96 + each % 128 for each in hashlib.sha256(seed.encode()).digest()[:3])
    rows = (b"\0" + bytes((red, green, blue)) * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts: list[Any] = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
              for kind, data in parts)  # fmt: skip
    return Picture(_SIGNS[0][0] + b"".join(chunks), "image/png")
