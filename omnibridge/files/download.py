"""`GET /files/TOKEN`: a visitor's file, streamed from the hub to whoever has the link. Nothing is kept here.

The hub protects files (rocketchat-api 5.6): first our relay account asks, then, because an account that is no member of
the room is refused by default, the room's visitor, whose token the hub tells us. Redirects are not followed: a hub
that keeps its files elsewhere has to proxy them (FileUpload_*_Proxy_Uploads, on by default).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx2
import structlog
from starlette.types import Receive, Scope, Send

from omnibridge.domain.files import FileRef
from omnibridge.errors import DeliveryError
from omnibridge.files.links import FileLinks, Link
from omnibridge.http import Origin, origin_of
from omnibridge.http.streaming import Streamed, stream
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.rocketchat.files import path_of

_log = structlog.get_logger("omnibridge.files")
MOST_AT_ONCE = 16
"""Downloads at a time; more wait in line."""
TOO_LONG_S = 600.0


@dataclass(frozen=True)
class FileHub:
    """A workspace as files are fetched from it."""

    origin: Origin
    root: str
    relay: Credentials
    client: RocketChatClient

    @classmethod
    def of(cls, url: str, relay: Credentials, client: RocketChatClient) -> FileHub:
        return cls(*origin_of(url), relay, client)


class NoFile(Exception):
    """It cannot be had. status: what to answer; reason: a word for the counter."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class FileFetcher:
    """Opens files of the hubs. hubs: by workspace; empty until we relay."""

    def __init__(self, hubs: Callable[[], Mapping[str, FileHub]]) -> None:
        self._hubs, self._slots = hubs, asyncio.Semaphore(MOST_AT_ONCE)

    @asynccontextmanager
    async def open(self, link: Link) -> AsyncIterator[Streamed]:
        """Its answer, status 200. Raises NoFile before anything was read."""
        hub = self._hubs().get(link.workspace)
        if hub is None:
            raise NoFile(503, "not-ready")
        target = hub.root + path_of(FileRef(link.file, link.name))
        async with self._slots:
            account = {"X-User-Id": hub.relay.user_id, "X-Auth-Token": hub.relay.auth_token}
            async with self._ask(hub, target, account) as found:
                if found.status not in (401, 403):
                    _check(found, link)
                    yield found
                    return
            async with self._ask(hub, target, {"Cookie": await self._visitor(hub, link.room)}) as found:
                _check(found, link)
                yield found

    @asynccontextmanager
    async def _ask(self, hub: FileHub, target: str, headers: dict[str, str]) -> AsyncIterator[Streamed]:
        sent = {**headers, "User-Agent": "omnibridge", "Accept-Encoding": "identity"}
        try:
            async with stream(hub.origin, "GET", target, sent.items()) as found:
                yield found
        except httpx2.TransportError as exc:
            raise NoFile(502, "hub-unreachable") from exc

    async def _visitor(self, hub: FileHub, room: str) -> str:
        """Cookies, not a query: addresses stand in the logs of proxies."""
        try:
            token = await hub.client.visitor_token(room)
        except DeliveryError as exc:
            raise NoFile(502, "hub-unreachable") from exc
        if not token or any(each in token for each in ";\r\n\0 "):
            raise NoFile(404, "refused-by-hub")
        return f"rc_room_type=l; rc_rid={room}; rc_token={token}"


def _check(found: Streamed, link: Link) -> None:
    if found.status != 200:
        is_gone = found.status in (401, 403, 404, 410)
        raise NoFile(404 if is_gone else 502, "refused-by-hub" if is_gone else "hub-failed")
    if found.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise NoFile(502, "compressed")
    shows = found.headers.get("content-type", "").partition(";")[0].strip().lower()
    if shows == "text/html" and link.media_type.partition(";")[0].strip().lower() not in ("", shows):
        raise NoFile(502, "not-the-file")  # a log-in or an error page of a proxy, told as success
    if link.max_bytes and (found.size or 0) > link.max_bytes:
        raise NoFile(413, "too-big")


class FileDownloads:
    """The endpoint. count: told how each ended. The token is taken out of the scope: no log line may hold it."""

    def __init__(self, links: FileLinks, fetcher: FileFetcher, count: Callable[[str], None]) -> None:
        self._links, self._fetcher, self._count = links, fetcher, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = str(scope["path_params"].pop("token", ""))
        scope["path"], scope["raw_path"] = "/files/", b"/files/"
        link = self._links.read(token)
        if scope["method"] not in ("GET", "HEAD"):
            await self._refuse(send, 405, "method")
        elif link is None:
            await self._refuse(send, 404, "no-such-link")
        else:
            await self._serve(link, send, only_head=scope["method"] == "HEAD")

    async def _serve(self, link: Link, send: Send, *, only_head: bool) -> None:
        has_begun = False
        try:
            async with asyncio.timeout(TOO_LONG_S), self._fetcher.open(link) as found:
                await send({"type": "http.response.start", "status": 200, "headers": _headers(link, found.size)})
                has_begun = True
                if not only_head:
                    await _copy(found, link.max_bytes, send)
                await send({"type": "http.response.body", "body": b""})
        except NoFile as exc:
            if not has_begun:
                await self._refuse(send, exc.status, exc.reason)
                return
            self._broke_off(exc.reason)
        except TimeoutError:
            self._broke_off("too-slow")
        else:
            self._count("downloaded")

    def _broke_off(self, reason: str) -> None:
        """The answer has begun, so all that is left is to hang up: raised, which has the server do it."""
        self._count(reason)
        _log.warning("download_broke_off", reason=reason)
        raise ConnectionAbortedError(f"the download broke off: {reason}")

    async def _refuse(self, send: Send, status: int, reason: str) -> None:
        self._count(reason)
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": f"{reason}\n".encode()})


async def _copy(found: Streamed, max_bytes: int, send: Send) -> None:
    """Piece by piece, as fast as it is taken. Raises NoFile when it grows too long, or breaks off."""
    n_sent = 0
    try:
        async for piece in found.pieces():
            n_sent += len(piece)
            if max_bytes and n_sent > max_bytes:
                raise NoFile(413, "too-big")
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except httpx2.TransportError as exc:
        raise NoFile(502, "hub-broke-off") from exc


def _headers(link: Link, size: int | None) -> list[tuple[bytes, bytes]]:
    """Never drawn by a browser in our name: an attachment, of the type that the hub told, and no other."""
    kind = link.media_type.partition(";")[0].strip()
    plain = kind if kind.isascii() and kind.count("/") == 1 and kind.replace("/", "").isprintable() else ""
    found = [
        (b"content-type", (plain or "application/octet-stream").encode("ascii")),
        (b"content-disposition", f"attachment; filename*=UTF-8''{quote(link.name, safe='')}".encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"cache-control", b"private, no-store"),
    ]
    return found if size is None else [*found, (b"content-length", str(size).encode())]
