"""The REST calls we make, a method each; every one under a time limit, every failure a DeliveryError.

Those about messages are in `message_calls.py`. Source: rocketchat-api 1-5. Made for versions 6.14 to 8.x: where they
differ, `info()` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import structs

from omnibridge.domain.events import CandidateAgent, CandidateDepartment, UserRef
from omnibridge.errors import DeliveryRejected, DeliveryRetryable
from omnibridge.http import Client
from omnibridge.rocketchat.calls import Calls, Credentials, checked, encode
from omnibridge.rocketchat.errors import unreadable
from omnibridge.rocketchat.leaves import http_date_ms, iso_of, list_of, table_of, text_of, user_of
from omnibridge.rocketchat.message_calls import NOT_FOUND, MessageCalls
from omnibridge.rocketchat.rooms import Inquiry, RoomInfo, read_room
from omnibridge.rocketchat.versions import RETURNS_OVER_REST, Version, read_version

__all__ = ["Credentials", "RocketChatClient", "Version"]

T = TypeVar("T")
PAGE = 100
"""API_Upper_Count_Limit (1.7)."""


CHOOSING = ("Auto_Selection", "Load_Balancing", "Load_Rotation")
"""Routing methods by which the hub gives a visitor to an agent when his room is made."""


class RocketChatClient(MessageCalls):
    """The relay account's view of one workspace. timeout_s: for each call as a whole."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        timeout_s: float = 10.0,
        client: Client | None = None,
    ) -> None:
        super().__init__(Calls(base_url, credentials, timeout_s, client))
        self._version: Version | None = None

    def when_back(self, tell: Callable[[], None]) -> None:
        """Have this called when the hub answers after it could not be reached for AWAY_S."""
        self._calls.on_back = tell

    async def aclose(self) -> None:
        await self._calls.aclose()

    # -- server and users -------------------------------------------------------------------------------

    async def info(self) -> Version:
        """Version of the server; asked once, and again after a method was refused: it may have been upgraded."""
        if self._version is None:
            found = read_version(checked(await self._calls.exchange("GET", "/api/info")))
            if found is None:
                raise DeliveryRetryable("the server does not tell its version", code="no-version")
            self._version = found
        return self._version

    async def hub_time_ms(self) -> int | None:
        """The hub's clock, to the second and never ahead of it; None when it does not tell. Needs no log-in."""
        answer = await self._calls.exchange("GET", "/api/info")
        checked(answer)
        return http_date_ms(answer.headers.get("date", ""))

    async def me(self) -> dict[str, Any]:
        """The relay account's own profile."""
        return await self._calls.get("me", {})

    async def user_by_username(self, username: str) -> UserRef | None:
        """None when there is no such user (`User not found.`, 3.2)."""
        try:
            body = await self._calls.get("users.info", {"username": username})
        except DeliveryRejected as exc:
            if exc.code in NOT_FOUND:
                return None
            raise
        found = user_of(body.get("user"))
        if found is None or found.username != username:
            raise unreadable()
        return found

    async def user(self, username: str) -> UserRef:
        """By user name. Raises DeliveryRejected `error-invalid-user` when there is none."""
        found = await self.user_by_username(username)
        if found is None:
            raise DeliveryRejected("there is no user of this name", code="error-invalid-user")
        return found

    async def name_for_typing(self, user: Credentials) -> str:
        """How the hub knows a user when he types: his user name, or his name where it shows real names (8.3)."""
        found = await self._calls.get("settings.public", {"_id": "UI_Use_Real_Name"})
        told = [table_of(each) for each in list_of(found.get("settings"))]
        shows_names = any(each.get("_id") == "UI_Use_Real_Name" and each.get("value") is True for each in told)
        own = await self._calls.get("me", {}, user)
        return (text_of(own.get("name")) if shows_names else "") or text_of(own.get("username"))

    # -- rooms ------------------------------------------------------------------------------------------

    async def room(self, room: str) -> RoomInfo:
        """Raises DeliveryUncertain when the answer holds no room: a missing one must not look closed."""
        found = read_room(table_of((await self._calls.get("rooms.info", {"roomId": room})).get("room")))
        if found.id != room:
            raise unreadable()
        return found

    async def room_with_visitor(self, room: str) -> RoomInfo:
        """As `room`, with what only the visitor's record tells: e-mail and fields. Without them where they are
        refused: a conversation begins all the same."""
        found = await self.room(room)
        try:
            body = await self._calls.get("livechat/visitors.info", {"visitorId": found.visitor_id})
        except DeliveryRejected:
            return found
        visitor = table_of(body.get("visitor"))
        emails = list_of(visitor.get("visitorEmails"))
        email = text_of(table_of(emails[0]).get("address")) if emails else ""
        return structs.replace(found, visitor_email=email, visitor_fields=table_of(visitor.get("livechatData")))

    async def rooms(
        self,
        open: bool = True,
        offset: int = 0,
        count: int = PAGE,
        *,
        queued: bool = False,
        since_ms: int | None = None,
    ) -> list[RoomInfo]:
        """Livechat rooms, a page of them; fewer than `count` = the last page.

        open: rooms that somebody serves, without those on hold; since 6.11 the hub lists open rooms that nobody
        serves only when `queued` asks for them (upstream pull request 32800). since_ms: open rooms created, closed
        ones closed at that time or later, oldest first; without it the newest come first.
        """
        query = {"open": "true" if open else "false", "offset": str(offset), "count": str(count)}
        if queued:
            query["queued"] = "true"
        if since_ms is not None:
            start = encode({"start": iso_of(since_ms)}).decode()
            query |= {"createdAt": start, "sort": '{"ts":1}'} if open else {"closedAt": start, "sort": '{"closedAt":1}'}
        body = await self._calls.get("livechat/rooms", query)
        if not isinstance(body.get("rooms"), list):
            raise unreadable()
        return [read_room(table_of(each)) for each in body["rooms"]]

    async def rooms_of(self, user_id: str) -> set[str]:
        """Ids of the open rooms that a user serves, at most a page of them; those on hold are left out."""
        query = {"agents[]": user_id, "open": "true", "count": str(PAGE)}
        body = await self._calls.get("livechat/rooms", query)
        if not isinstance(body.get("rooms"), list):
            raise unreadable()
        return {read_room(table_of(each)).id for each in body["rooms"]}

    async def inquiry(self, room: str) -> Inquiry | None:
        """The waiting inquiry of a room; None when it was taken or there is none."""
        found = table_of((await self._calls.get("livechat/inquiries.getOne", {"roomId": room})).get("inquiry"))
        identity, status = text_of(found.get("_id")), text_of(found.get("status"))
        return Inquiry(identity, room, status) if identity and status in ("queued", "ready") else None

    async def take(self, inquiry_id: str, user_id: str) -> None:
        """Let a user take a waiting inquiry, on his behalf."""
        await self._calls.post("livechat/inquiries.take", {"inquiryId": inquiry_id, "userId": user_id})

    async def forward_to_agent(self, room: str, user_id: str, comment: str = "") -> None:
        await self._forward({"roomId": room, "userId": user_id}, comment)

    async def forward_to_department(self, room: str, department_id: str, comment: str = "") -> None:
        await self._forward({"roomId": room, "departmentId": department_id}, comment)

    async def return_to_queue(self, room: str, department: str = "") -> None:
        """Over REST from 7.12, before that by the DDP method through `method.call`; so it can always be done.

        Raises DeliveryRejected `not-served` when nobody served the room.
        """
        if await self.info() >= RETURNS_OVER_REST:
            wish = {"roomId": room, **({"departmentId": department} if department else {})}
            result = (await self._calls.post("livechat/inquiries.returnAsInquiry", wish)).get("result")
        else:
            try:
                result = await self._calls.method(
                    "livechat:returnAsInquiry", room, *([department] if department else [])
                )
            except DeliveryRejected:
                self._version = None
                raise
        if result is False:
            raise DeliveryRejected("nobody served the room", code="not-served")

    async def close(self, room: str, comment: str) -> None:
        """The comment must not be empty: the hub asks for one by default."""
        await self._calls.post("livechat/room.closeByUser", {"rid": room, "comment": comment})

    async def set_room_fields(self, room: str, fields: Mapping[str, str]) -> list[str]:
        """Write custom fields; returns the names that the room does not have then, for want of a declaration.

        By `livechat/custom.field` with the visitor's token (4.1), which writes one field and nothing else:
        `livechat/room.saveInfo` removes the tags, topic and priority that it is not given (4.2), so that
        staff who change them at that moment would lose it. Undeclared names are refused `invalid-custom-field`;
        those declared for visitors are written to the visitor, and reported here.
        """
        token = await self.visitor_token(room)
        if not token:
            raise unreadable()
        for name, value in fields.items():
            wish = {"token": token, "key": name, "value": value, "overwrite": True}
            try:
                await self._calls.post("livechat/custom.field", wish)
            except DeliveryRejected as exc:
                if exc.code != "invalid-custom-field":
                    raise
        written = table_of((await self._raw_room(room)).get("livechatData"))
        return [name for name, value in fields.items() if written.get(name) != value]

    async def visitor_token(self, room: str) -> str:
        """The credential of a room's visitor (4.1), for what the hub gives to members only; never to be shown."""
        return text_of(table_of((await self._raw_room(room)).get("v")).get("token"))

    async def _raw_room(self, room: str) -> dict[str, Any]:
        return table_of((await self._calls.get("rooms.info", {"roomId": room})).get("room"))

    # -- who could serve --------------------------------------------------------------------------------

    async def available_agents(self) -> list[CandidateAgent]:
        """Users who could take a chat now. Our bot users are among them and not marked: the answer has no roles."""
        found = await self._all("livechat/users/agent", "users", _agent, {"onlyAvailable": "true"})
        return [each for each in found if each.id]

    async def departments(self, *, disabled: bool = False) -> list[CandidateDepartment]:
        """Those to which rooms can be given. disabled: the others too, but for those in the archive."""
        wish = {} if disabled else {"enabled": "true"}
        found = await self._all("livechat/department", "departments", _department, wish)
        return [each for each in found if each.id]

    async def chooses_agents(self) -> bool:
        """Whether the hub gives new visitors to people by itself: its routing method names somebody (7.1)."""
        body = await self._calls.get("settings.public", {"_id": "Livechat_Routing_Method", "count": "1"})
        settings = body.get("settings")
        if not isinstance(settings, list):
            raise unreadable()
        return any(table_of(each).get("value") in CHOOSING for each in settings)

    async def _all(self, path: str, key: str, read: Callable[[dict[str, Any]], T], query: dict[str, str]) -> list[T]:
        """All pages of a list. Raises DeliveryUncertain when a page holds none."""
        found: list[T] = []
        while True:
            body = await self._calls.get(path, {"offset": str(len(found)), "count": str(PAGE), **query})
            page, total = body.get(key), body.get("total")
            if not isinstance(page, list):
                raise unreadable()
            found += [read(table_of(each)) for each in page]
            if not page or (len(found) >= total if isinstance(total, int) else len(page) < PAGE):
                return found

    async def _forward(self, wish: dict[str, str], comment: str) -> None:
        await self._calls.post("livechat/room.forward", {**wish, **({"comment": comment} if comment else {})})


def _agent(raw: dict[str, Any]) -> CandidateAgent:
    n_chats = raw.get("livechatCount")
    return CandidateAgent(
        text_of(raw.get("_id")),
        text_of(raw.get("username")),
        text_of(raw.get("name")),
        n_chats if isinstance(n_chats, int) else 0,
    )


def _department(raw: dict[str, Any]) -> CandidateDepartment:
    return CandidateDepartment(text_of(raw.get("_id")), text_of(raw.get("name")))
