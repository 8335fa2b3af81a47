"""The REST calls we make, a method each; every one under a time limit, every failure a DeliveryError.

Source: rocketchat-api 1-5. Made for versions 6.14 to 8.x: where they differ, `info()` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx2
import msgspec

from omnibridge.domain.events import CandidateAgent, CandidateDepartment, UserRef
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.http import create_client
from omnibridge.rocketchat.errors import from_answer, from_exception, says_duplicate
from omnibridge.rocketchat.rooms import Inquiry, RoomInfo, read_room

_object = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Credentials:
    """A user's id and login or personal access token."""

    user_id: str
    auth_token: str

    def __repr__(self) -> str:
        return f"Credentials({self.user_id!r}, '***')"


class Version(NamedTuple):
    """Patch levels are hidden from most callers, so two numbers have to do."""

    major: int
    minor: int


class RocketChatClient:
    """The relay account's view of one workspace. timeout_s: for each call as a whole."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        timeout_s: float = 10.0,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._credentials, self._timeout_s = credentials, timeout_s
        self._client = client or create_client(base_url=base_url, timeout_s=timeout_s)
        self._version: Version | None = None

    async def aclose(self) -> None:
        await self._client.aclose()

    async def info(self) -> Version:
        """Version of the server; asked once."""
        if self._version is None:
            body = await self._call("GET", "/api/info")
            text = body.get("version") or (body.get("info") or {}).get("version") or ""
            parts = [int(part) if part.isdigit() else 0 for part in str(text).split("-")[0].split(".")[:2]]
            if not parts or not parts[0]:
                raise DeliveryRetryable("the server does not tell its version", code="no-version")
            self._version = Version(parts[0], parts[1] if len(parts) > 1 else 0)
        return self._version

    async def me(self) -> dict[str, Any]:
        """The relay account's own profile."""
        return await self._get("me")

    async def user(self, username: str) -> UserRef:
        """By user name. Raises DeliveryRejected when there is none."""
        body = await self._get("users.info", username=username)
        found = body.get("user") or {}
        return UserRef(str(found["_id"]), str(found.get("username", "")), str(found.get("name", "")))

    async def send_message(
        self,
        room: str,
        message_id: str,
        text: str,
        *,
        attachments: list[dict[str, Any]] | None = None,
        as_user: Credentials | None = None,
    ) -> None:
        """`chat.sendMessage` with our id. A repeated id raises DeliveryUncertain "maybe-duplicate": read back."""
        message: dict[str, Any] = {"_id": message_id, "rid": room, "msg": text}
        if attachments:
            message["attachments"] = attachments
        await self._post("chat.sendMessage", {"message": message}, as_user)

    async def message(self, message_id: str) -> dict[str, Any] | None:
        """A message by id, None when there is none. The relay account may read all livechat rooms."""
        try:
            body = await self._get("chat.getMessage", msgId=message_id)
        except DeliveryRejected as exc:
            if exc.code in ("not-logged-in", "error-unauthorized"):
                raise
            return None
        found = body.get("message")
        return found if isinstance(found, dict) else None

    async def confirm_message(self, room: str, message_id: str, author: str | None, text: str) -> bool:
        """Read back a send: True when it is there as we sent it, False when it is not there.

        Raises DeliveryRejected "id-taken" when the id belongs to something else.
        """
        found = await self.message(message_id)
        if found is None:
            return False
        same_author = author is None or (found.get("u") or {}).get("_id") == author
        if found.get("rid") == room and same_author and (found.get("msg") == text or found.get("editedAt")):
            return True
        raise DeliveryRejected("the message id is taken by another message", code="id-taken")

    async def room(self, room: str) -> RoomInfo:
        body = await self._get("rooms.info", roomId=room)
        return read_room(body.get("room") or {})

    async def open_rooms(self, offset: int = 0, count: int = 100) -> list[RoomInfo]:
        """Open livechat rooms, a page of them."""
        body = await self._get("livechat/rooms", open="true", offset=str(offset), count=str(count))
        return [read_room(each) for each in body.get("rooms") or []]

    async def history_since(self, room: str, since_iso: str) -> list[dict[str, Any]]:
        """Messages updated since a time, as the hub shows them."""
        body = await self._get("chat.syncMessages", roomId=room, lastUpdate=since_iso)
        return list((body.get("result") or {}).get("updated") or [])

    async def inquiry(self, room: str) -> Inquiry | None:
        """The waiting inquiry of a room; None when it was taken or there is none."""
        body = await self._get("livechat/inquiries.getOne", roomId=room)
        found = body.get("inquiry")
        if not isinstance(found, dict) or found.get("status") not in ("queued", "ready"):
            return None
        return Inquiry(str(found["_id"]), room, str(found["status"]))

    async def take(self, inquiry_id: str, user_id: str) -> None:
        """Let a user take a waiting inquiry, on his behalf."""
        await self._post("livechat/inquiries.take", {"inquiryId": inquiry_id, "userId": user_id})

    async def forward_to_agent(self, room: str, user_id: str) -> None:
        await self._post("livechat/room.forward", {"roomId": room, "userId": user_id})

    async def forward_to_department(self, room: str, department_id: str) -> None:
        await self._post("livechat/room.forward", {"roomId": room, "departmentId": department_id})

    async def return_to_queue(self, room: str) -> None:
        """Over REST from 7.12, before that by the DDP method through `method.call`."""
        if await self.info() >= Version(7, 12):
            body = await self._post("livechat/inquiries.returnAsInquiry", {"roomId": room})
            if body.get("result") is False:
                raise DeliveryRejected("nobody served the room", code="not-served")
            return
        await self._method("livechat:returnAsInquiry", room)

    async def close(self, room: str, comment: str) -> None:
        """The comment must not be empty: the hub asks for one by default."""
        await self._post("livechat/room.closeByUser", {"rid": room, "comment": comment})

    async def available_agents(self) -> list[CandidateAgent]:
        """Users who could take a chat now, our bot users among them."""
        body = await self._get("livechat/users/agent", onlyAvailable="true", count="100")
        return [
            CandidateAgent(
                str(each["_id"]),
                str(each.get("username", "")),
                str(each.get("name", "")),
                int(each.get("livechatCount") or 0),
            )
            for each in body.get("users") or []
        ]

    async def departments(self) -> list[CandidateDepartment]:
        body = await self._get("livechat/department", enabled="true", count="100")
        return [
            CandidateDepartment(str(each["_id"]), str(each.get("name", ""))) for each in body.get("departments") or []
        ]

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        return await self._call("GET", f"/api/v1/{path}", query=query)

    async def _post(self, path: str, body: object, as_user: Credentials | None = None) -> dict[str, Any]:
        return await self._call("POST", f"/api/v1/{path}", content=_encode(body), as_user=as_user)

    async def _method(self, name: str, *params: object) -> None:
        """`method.call`: the real outcome is inside `message`, whatever the HTTP status (6.4)."""
        call = _encode({"msg": "method", "id": "1", "method": name, "params": params}).decode()
        status, body, headers = await self._exchange(
            "POST", f"/api/v1/method.call/{name}", content=_encode({"message": call})
        )
        inner = body.get("message")
        result = _decode(inner.encode()) if isinstance(inner, str) else {}
        error = result.get("error")
        if isinstance(error, dict):
            raise from_answer(
                400,
                {"errorType": str(error.get("error", "")), "error": str(error.get("message", ""))},
                headers,
            )
        if status != 200:
            raise from_answer(status, body, headers)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        as_user: Credentials | None = None,
    ) -> dict[str, Any]:
        status, body, headers = await self._exchange(method, path, query=query, content=content, as_user=as_user)
        if status == 200 and body.get("success") is not False:
            return body
        if says_duplicate(body):
            raise DeliveryUncertain("a message of this id may be there already", code="maybe-duplicate")
        raise from_answer(status, body, headers)

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        as_user: Credentials | None = None,
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        who = as_user or self._credentials
        headers = {"X-User-Id": who.user_id, "X-Auth-Token": who.auth_token}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.request(method, path, params=query, content=content, headers=headers)
            return response.status_code, _decode(response.content), response.headers
        except DeliveryError:
            raise
        except Exception as exc:
            raise from_exception(exc) from exc


def _decode(body: bytes) -> dict[str, Any]:
    """A JSON object, {} for anything else: proxies answer HTML."""
    try:
        return _object.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
