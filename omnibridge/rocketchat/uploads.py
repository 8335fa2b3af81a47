"""Files into rooms, by both generations of the API, streamed. Source: rocketchat-api 5.6, 14.

`rooms.media` keeps a file for 24 h, `rooms.mediaConfirm` posts it: not idempotent, but what it posted names the file's
id, which is known before. `rooms.upload` (gone in 8.0) does both in one step and tells nothing before.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from typing import IO, Any

import httpx2
import msgspec

from omnibridge.domain.files import plain_name
from omnibridge.errors import DeliveryRejected
from omnibridge.http import origin_of
from omnibridge.http.streaming import PIECE, stream
from omnibridge.rocketchat.calls import Answer, Credentials, checked, encode
from omnibridge.rocketchat.errors import from_exception, unreadable
from omnibridge.rocketchat.leaves import table_of, text_of
from omnibridge.rocketchat.versions import UPLOADS_IN_TWO_STEPS, Version

MOST_ANSWER = 1 << 20
NO_SUCH_ROUTE = ("http-404", "http-405")
_object = msgspec.json.Decoder(dict[str, Any])


class Outgoing(msgspec.Struct, frozen=True):
    """A file whose bytes are at hand. content: read from its beginning; size: exactly."""

    content: IO[bytes]
    size: int
    name: str
    media_type: str


class FileCalls:
    """url: of the workspace. Raises DeliveryError for every failure; what was cut off is DeliveryUncertain."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._origin, self._root = origin_of(url)
        self._timeout_s = timeout_s

    def in_two_steps(self, version: Version) -> bool:
        return version >= UPLOADS_IN_TWO_STEPS

    async def media(self, room: str, file: Outgoing, account: Credentials) -> str:
        """The id of a file that nobody sees yet. Raises DeliveryRejected `no-such-route` where this is not known."""
        answer = await self._upload(f"rooms.media/{room}", file, account, {})
        identity = text_of(table_of(_checked(answer).get("file")).get("_id"))
        if not identity:
            raise unreadable()
        return identity

    async def confirm(self, room: str, file_id: str, caption: str, account: Credentials) -> str:
        """The id of the message that shows it now."""
        body = encode({"msg": caption} if caption else {})
        headers = {"Content-Type": "application/json"}
        answer = await self._call(f"rooms.mediaConfirm/{room}/{file_id}", headers, _once(body), len(body), account)
        return text_of(table_of(_checked(answer).get("message")).get("_id"))

    async def one_step(self, room: str, file: Outgoing, caption: str, account: Credentials) -> str:
        """The id of the message that shows it."""
        fields = {"msg": caption} if caption else {}
        answer = await self._upload(f"rooms.upload/{room}", file, account, fields)
        return text_of(table_of(_checked(answer).get("message")).get("_id"))

    async def _upload(self, path: str, file: Outgoing, account: Credentials, fields: Mapping[str, str]) -> Answer:
        boundary = f"omnibridge{secrets.token_hex(16)}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        kind = file.media_type if file.media_type.isprintable() and file.media_type.isascii() else ""
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{plain_name(file.name)}"\r\n'
            f"Content-Type: {kind or 'application/octet-stream'}\r\n\r\n"
        )
        start, end = head.encode(), f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        length = len(start) + file.size + len(end)
        return await self._call(path, headers, _pieces(start, file, end), length, account)

    async def _call(
        self, path: str, headers: dict[str, str], body: AsyncIterator[bytes], length: int, account: Credentials
    ) -> Answer:
        sent = {
            "X-User-Id": account.user_id,
            "X-Auth-Token": account.auth_token,
            "User-Agent": "omnibridge",
            **headers,
        }
        target = f"{self._root}/api/v1/{path}"
        try:
            async with stream(
                self._origin, "POST", target, sent.items(), body=body, length=length, silent_s=self._timeout_s
            ) as found:
                raw = await found.whole(MOST_ANSWER)
                return Answer(found.status, _decoded(raw), found.headers)
        except httpx2.HTTPError as exc:
            raise from_exception(exc) from exc


def _checked(answer: Answer) -> dict[str, Any]:
    try:
        return checked(answer)
    except DeliveryRejected as exc:
        if exc.code in NO_SUCH_ROUTE:
            raise DeliveryRejected("this server has no such call", code="no-such-route") from exc
        raise


async def _pieces(start: bytes, file: Outgoing, end: bytes) -> AsyncIterator[bytes]:
    yield start
    file.content.seek(0)
    while piece := file.content.read(PIECE):
        yield piece
    yield end


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        return _object.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
