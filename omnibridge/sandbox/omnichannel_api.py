"""Rooms and inquiries over REST, from the staff's side. Source: rocketchat-api 4.2, 6.4."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, forbidden, maybe, need, paged, reply
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.shapes import inquiry_json, room_json
from omnibridge.sandbox.state import HubError, Room, User

RETURN_METHOD = "livechat:returnAsInquiry"


class OmnichannelApi:
    """Rooms, inquiries, and the one DDP method that REST lacks before 7.12."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._life = api, api.hub, api.life

    def routes(self) -> list[Route]:
        route = self._api.route
        routes = [
            route("GET", "livechat/rooms", self._rooms),
            route("GET", "rooms.info", self._room),
            route("POST", "livechat/room.forward", self._forward),
            route("POST", "livechat/room.closeByUser", self._close),
            route("POST", "livechat/room.saveInfo", self._save_info),
            route("POST", "livechat/inquiries.take", self._take),
            route("GET", "livechat/inquiries.getOne", self._inquiry),
            route("GET", "livechat/inquiries.list", self._inquiries),
            route("POST", "method.call/{method}", self._method),
        ]
        if self._hub.version >= (7, 12):
            routes.append(route("POST", "livechat/inquiries.returnAsInquiry", self._return))
        return routes

    async def _rooms(self, request: Request) -> dict[str, Any]:
        """All with `view-livechat-rooms`; an agent sees his own when `agents[]` names just him.

        Newest first unless `sort` (JSON) says otherwise; `createdAt` and `closedAt` are JSON too (4.2).
        """
        user, query = self._api.user(request), request.query_params
        agents = query.getlist("agents[]") or query.getlist("agents")
        departments = query.getlist("departmentId") + query.getlist("departmentId[]")
        if not may(user, "view-livechat-rooms") and not (may(user, "view-l-room") and agents == [user.id]):
            raise forbidden()
        is_wanted = _filter(query)
        found = [
            each
            for each in self._hub.rooms.values()
            if is_wanted(each)
            and (not departments or each.department in departments)
            and (not agents or self._is_served_by(each, agents))
            and query.get("roomName", "").lower() in (each.visitor.name or each.visitor.username).lower()
        ]
        found.sort(key=lambda each: each.id)
        for name, direction in reversed(_json(query, "sort", {"ts": -1}).items()):
            found.sort(key=_SORTED_BY.get(name, lambda each: each.id), reverse=direction == -1)
        return paged("rooms", found, query, self._show)

    async def _room(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        room = self._hub.room(request.query_params.get("roomId", ""), code="error-room-not-found")
        if not may_see(user, room):
            raise HubError("not-allowed", "Not Allowed")
        return {"room": room_json(room)}

    async def _forward(self, request: Request) -> dict[str, Any]:
        caller = self._api.permitted(request, "view-l-room", "transfer-livechat-guest")
        wish = await body_of(request)
        self._api.only_keys(wish, "roomId", "userId", "departmentId", "comment", "clientAction")
        room = self._hub.room(need(wish, "roomId", str))
        user_id, department, comment = (maybe(wish, name, "") for name in ("userId", "departmentId", "comment"))
        if user_id:
            user = self._hub.users.get(user_id)
            if user is None:
                raise HubError("error-invalid-user", "Invalid user")
            await self._life.forward_to_agent(room, user, caller, department, comment)
        else:
            await self._life.forward_to_department(room, department, caller, comment)
        return {}

    async def _close(self, request: Request) -> dict[str, Any]:
        """A comment is required by default (`Livechat_request_comment_when_closing_conversation`)."""
        user = self._api.permitted(request, "close-livechat-room")
        wish = await body_of(request)
        keys = ("rid", "comment", "tags", "generateTranscriptPdf", "transcriptEmail")
        self._api.only_keys(wish, *keys, *(("forceClose",) if self._hub.version >= (7, 3) else ()))
        room = self._hub.room(need(wish, "rid", str))
        if room.served_by is not user and not may(user, "close-others-livechat-room"):
            raise HubError("error-not-authorized", "Not authorized")
        comment = maybe(wish, "comment", "").strip()
        is_required = self._hub.settings["Livechat_request_comment_when_closing_conversation"]
        if room.open and not comment and is_required:
            raise HubError("error-comment-is-required", "Comment is required")
        room.tags = list(maybe(wish, "tags", list[Any]())) or room.tags
        await self._life.close(room, user, comment)
        return {}

    async def _save_info(self, request: Request) -> dict[str, Any]:
        """Fields are merged, an empty string deletes; tags that are left out are removed. Source: 4.2."""
        user = self._api.permitted(request, "view-l-room")
        wish = need(await body_of(request), "roomData", dict)
        room = self._hub.room(need(wish, "_id", str))
        if room.served_by is not user and not may(user, "save-others-livechat-room-info"):
            raise forbidden()
        declared = self._hub.custom_fields
        for key, value in maybe(wish, "livechatData", dict[str, Any]()).items():
            if declared is not None and declared.get(key) != "room":
                continue
            room.fields[key] = str(value)
            if not value:
                del room.fields[key]
        room.tags = list(maybe(wish, "tags", list[Any]()))
        if not room.open:
            await self._hub.event("LivechatEdit", room)
        return {}

    async def _take(self, request: Request) -> dict[str, Any]:
        """`userId` takes on behalf of another agent; the caller needs no more than `view-l-room`."""
        caller = self._api.permitted(request, "view-l-room")
        wish = await body_of(request)
        self._api.only_keys(wish, "inquiryId", "userId", "options")
        room = self._hub.inquiries.get(need(wish, "inquiryId", str))
        user = self._hub.users.get(maybe(wish, "userId", caller.id))
        if room is None or user is None:
            raise HubError("error-not-found", "Inquiry not found" if room is None else "User not found")
        await self._life.take(room, user)
        return {}

    async def _inquiry(self, request: Request) -> dict[str, Any]:
        """As long as the room is open, taken ones too; then null."""
        self._api.permitted(request, "view-l-room")
        room = self._hub.rooms.get(request.query_params.get("roomId", ""))
        return {"inquiry": inquiry_json(room) if room else None}

    async def _inquiries(self, request: Request) -> dict[str, Any]:
        """Queued ones only."""
        self._api.permitted(request, "view-livechat-manager")
        department = request.query_params.get("department")
        queued = [
            each
            for each in self._hub.inquiries.values()
            if each.inquiry_status == "queued" and department in (None, each.department)
        ]
        return paged("inquiries", queued, request.query_params, inquiry_json)

    async def _return(self, request: Request) -> dict[str, Any]:
        user = self._api.permitted(request, "view-l-room")
        wish = await body_of(request)
        room = self._hub.room(need(wish, "roomId", str))
        return {"result": await self._life.return_to_queue(room, user, maybe(wish, "departmentId", ""))}

    async def _method(self, request: Request) -> Response:
        """`method.call`: the outcome is inside `message`; an error is HTTP 200 before 8.0, 400 since (6.4)."""
        user = self._api.user(request)
        try:
            call = msgspec.json.decode(need(await body_of(request), "message", str))
        except msgspec.DecodeError as exc:
            raise HubError("Invalid JSON", coded=False) from exc
        is_success = True
        try:
            outcome: dict[str, Any] = {"result": await self._call(request.path_params["method"], user, call)}
        except HubError as exc:
            is_success, outcome = False, {"error": _method_error(exc)}
        inner = msgspec.json.encode({"msg": "result", "id": call.get("id", ""), **outcome}).decode()
        is_shown = not is_success and self._hub.version >= (8, 0)
        return reply({"message": inner, "success": not is_shown}, 400 if is_shown else 200)

    async def _call(self, method: str, user: User, call: dict[str, Any]) -> bool:
        """The method that 8.0 removed; all others are not there."""
        if method != RETURN_METHOD or self._hub.version >= (8, 0):
            raise HubError("404", f"Method '{method}' not found")
        if not may(user, "view-l-room"):
            raise HubError("error-not-allowed", "Not allowed")
        rid, department = (*(call.get("params") or []), "", "")[:2]
        return await self._life.return_to_queue(self._hub.room(rid), user, department or "")

    def _is_served_by(self, room: Room, agents: list[str]) -> bool:
        """By id; user names too before 7.0."""
        served = room.served_by
        return bool(served and (served.id in agents or (self._hub.version < (7, 0) and served.username in agents)))

    def _show(self, room: Room) -> dict[str, Any]:
        department = self._hub.departments.get(room.department)
        shown = {"_id": department.id, "name": department.name} if department else None
        return {**room_json(room), **({"department": shown} if shown else {})}


_SORTED_BY: dict[str, Callable[[Room], Any]] = {
    "ts": lambda room: room.ts,
    "lm": lambda room: room.last_ts,
    "closedAt": lambda room: room.closed_at or 0,
}


def _filter(query: Mapping[str, str]) -> Callable[[Room], bool]:
    """`open=true` lists only rooms that somebody serves, `queued=true` the open ones that nobody does, whatever
    `open` says: so since 6.11 (upstream pull request 32800, `findRoomsWithCriteria`)."""
    created, closed = _json(query, "createdAt", {}), _json(query, "closedAt", {})

    def is_wanted(room: Room) -> bool:
        if query.get("queued") in ("true", "1", "t"):
            is_listed = room.open and room.served_by is None
        elif query.get("open") == "true":
            is_listed = room.open and room.served_by is not None
        else:
            is_listed = "open" not in query or not room.open
        is_in_time = _between(room.ts, created) and (not closed or _between(room.closed_at, closed))
        return is_listed and is_in_time

    return is_wanted


def _between(at: int | None, limits: Mapping[str, str]) -> bool:
    """Both ends count."""
    start, end = limits.get("start"), limits.get("end")
    return at is not None and (not start or at >= _ms(start)) and (not end or at <= _ms(end))


def _ms(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as exc:
        raise HubError('The "start" query parameter must be a valid date.', coded=False) from exc


def _json(query: Mapping[str, str], name: str, default: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is a JSON object."""
    if name not in query:
        return default
    try:
        return msgspec.json.decode(query[name], type=dict[str, Any])
    except msgspec.MsgspecError as exc:
        raise HubError("error-invalid-params", f"{name} must be a JSON object") from exc


def _method_error(exc: HubError) -> dict[str, Any]:
    return {
        "isClientSafe": True,
        "error": 404 if exc.code == "404" else exc.code,
        "reason": exc.reason,
        "message": f"{exc.reason} [{exc.code}]",
        "errorType": "Meteor.Error",
        "details": {},
    }
