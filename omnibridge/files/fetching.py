"""Files of a bot, fetched from where it says: only from hosts that the operator named, and into a temporary file.

The address comes from outside. So: the bot's own backend and `file_hosts`, no others; a private address only of the
backend itself, or of a host that the operator wrote as an address; judged again by the address that is connected to.
No redirects, no compression, a size, a time. One megabyte of a file is in memory, the rest on disk.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import quote, unquote, urlsplit

import httpx2

from omnibridge.domain.files import FilePolicy, FileSource, plain_name
from omnibridge.http import origin_of
from omnibridge.http.public import is_public
from omnibridge.http.streaming import Streamed, stream
from omnibridge.rocketchat.uploads import Outgoing
from omnibridge.storage.uploads import Blob

IN_MEMORY = 1 << 20
_AS_THEY_ARE = "/%:=&?~+!$,;'@()*[]"
_HEADERS = (("User-Agent", "omnibridge"), ("Accept", "*/*"), ("Accept-Encoding", "identity"))


class NotFetched(Exception):
    """It cannot be had, or must not. reason: a word for counter and log; the address is in neither."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Source:
    """Where a connection's files may come from. backend: HOST:PORT of its own url; hosts: HOST or HOST:PORT."""

    backend: str
    hosts: frozenset[str]
    policy: FilePolicy
    limit_s: float

    @classmethod
    def of(cls, url: str, hosts: tuple[str, ...], policy: FilePolicy, limit_s: float) -> Source:
        """url: of its backend; '' = it has none that we call."""
        return cls(_place(url) if url else "", frozenset(each.lower() for each in hosts), policy, limit_s)

    def check(self, url: str) -> None:
        """Raises NotFetched."""
        place = _place(url)
        host, _, port = place.rpartition(":")
        is_named = place in self.hosts or (host.strip("[]") in self.hosts and port in ("80", "443"))
        if not is_named and place != self.backend:
            raise NotFetched("host-not-allowed")

    def judge(self, url: str, host: str, address: str) -> None:
        """Raises OSError. What the operator wrote as an address is meant; a name may lead anywhere tomorrow."""
        if _place(url) == self.backend or host == address:
            return
        if not is_public(address):
            raise OSError("the name leads to a private address")

    @asynccontextmanager
    async def fetch(self, wish: FileSource) -> AsyncIterator[Outgoing]:
        """Its bytes, until the end of the block. Raises NotFetched."""
        self.check(wish.url)
        with SpooledTemporaryFile(IN_MEMORY, "w+b") as content:
            try:
                async with asyncio.timeout(self.limit_s):
                    size, kind = await self._copy(wish, content)
            except TimeoutError:
                raise NotFetched("too-slow") from None
            except httpx2.TransportError as exc:
                raise NotFetched("unreachable" if isinstance(exc, httpx2.ConnectError) else "broke-off") from None
            yield Outgoing(content, size, name_of(wish, kind), kind)

    async def _copy(self, wish: FileSource, content: IO[bytes]) -> tuple[int, str]:
        origin, _ = origin_of(wish.url)
        parts = urlsplit(wish.url)
        target = quote(parts.path or "/", safe=_AS_THEY_ARE)
        if parts.query:
            target += f"?{quote(parts.query, safe=_AS_THEY_ARE)}"

        def judge(host: str, address: str) -> None:
            self.judge(wish.url, host, address)

        async with stream(origin, "GET", target, _HEADERS, judge=judge) as found:
            kind = self._checked(wish, found)
            size = 0
            async for piece in found.pieces():
                size += len(piece)
                if self.policy.max_bytes and size > self.policy.max_bytes:
                    raise NotFetched("too-big")
                content.write(piece)
            return size, kind

    def _checked(self, wish: FileSource, found: Streamed) -> str:
        """The media type."""
        if 300 <= found.status < 400:
            raise NotFetched("redirect")
        if found.status != 200:
            raise NotFetched(f"http-{found.status}")
        if found.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise NotFetched("compressed")
        kind = kind_of(wish, found.headers.get("content-type", ""))
        self.check_policy(name_of(wish, kind), kind, found.size or 0)
        return kind

    def kept(self, blob: Blob) -> Outgoing:
        """What the bot gave us as bytes. Raises NotFetched."""
        kind = kind_of(FileSource("", blob.name, blob.media_type), "")
        name = name_of(FileSource("", blob.name, kind), kind)
        self.check_policy(name, kind, len(blob.content))
        return Outgoing(BytesIO(blob.content), len(blob.content), name, kind)

    def check_policy(self, name: str, kind: str, size: int) -> None:
        """Raises NotFetched."""
        why = self.policy.refusal(name, kind, size)
        if why:
            raise NotFetched("too-big" if why == "size" else "type-not-allowed")


def kind_of(wish: FileSource, told: str) -> str:
    """What the bot says, else the server, else the name."""
    told = told.partition(";")[0].strip().lower()
    told = "" if told in ("application/octet-stream", "binary/octet-stream") else told
    given = wish.media_type.partition(";")[0].strip().lower()
    return given or told or mimetypes.guess_type(_last(wish) or wish.name)[0] or "application/octet-stream"


def name_of(wish: FileSource, kind: str) -> str:
    """The title, or the end of the address; with an extension, so that it opens."""
    title = plain_name(wish.name) if wish.name.strip() else ""
    name = title if "." in title[1:] else _last(wish) or title or "file"
    if "." not in name[1:]:
        name = f"{title or name}{mimetypes.guess_extension(kind) or ''}"
    return plain_name(name)


def _last(wish: FileSource) -> str:
    last = unquote(urlsplit(wish.url).path.rpartition("/")[2]) if wish.url else ""
    return plain_name(last) if last else ""


def _place(url: str) -> str:
    """HOST:PORT, lower case. Raises NotFetched for what is no address to fetch from."""
    try:
        origin, _ = origin_of(url)
        parts = urlsplit(url)
    except (httpx2.UnsupportedProtocol, ValueError, UnicodeError):
        raise NotFetched("not-an-address") from None
    if parts.username is not None or any(each <= " " for each in url):
        raise NotFetched("not-an-address")
    return f"{origin.name.lower()}:{origin.port}"
