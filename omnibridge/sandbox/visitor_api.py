"""The visitor's side of the REST API: the token is the credential. Source: rocketchat-api 4.1."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of
from omnibridge.sandbox.state import HubError, Room, Visitor, message_json, new_id, room_json, visitor_json


class VisitorApi:
    """Routes under /api/v1/livechat."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "livechat/config", self._config),
            route("POST", "livechat/visitor", self._register),
            route("GET", "livechat/visitor/{token}", self._show),
            route("GET", "livechat/room", self._room),
            route("POST", "livechat/message", self._say),
            route("GET", "livechat/message/{id}", self._message),
            route("PUT", "livechat/message/{id}", self._edit),
            route("GET", "livechat/messages.history/{rid}", self._history),
            route("POST", "livechat/room.close", self._close),
            route("POST", "livechat/custom.field", self._field),
            route("POST", "livechat/offline.message", self._offline),
            route("POST", "livechat/upload/{rid}", self._upload),
        ]

    async def _config(self, request: Request) -> dict[str, Any]:
        online = any(each.is_available for each in self._hub.users.values())
        departments = [{"_id": each.id, "name": each.name} for each in self._hub.departments.values()]
        return {"config": {"enabled": True, "online": online, "departments": departments}}

    async def _register(self, request: Request) -> dict[str, Any]:
        wish = (await body_of(request))["visitor"]
        token = wish["token"]
        visitor = self._hub.visitors.get(token)
        if visitor is None:
            visitor = Visitor(new_id(), token, f"guest-{len(self._hub.visitors) + 1}")
            self._hub.visitors[token] = visitor
        visitor.name = wish.get("name", visitor.name)
        visitor.email = wish.get("email", visitor.email)
        visitor.phone = wish.get("phone", visitor.phone)
        if wish.get("department"):
            visitor.department = self._department(wish["department"])
        for each in wish.get("customFields") or []:
            visitor.fields[each["key"]] = str(each["value"])
        return {"visitor": visitor_json(visitor)}

    def _department(self, name: str) -> str:
        for each in self._hub.departments.values():
            if name in (each.id, each.name):
                return each.id
        raise HubError("error-invalid-department")

    async def _show(self, request: Request) -> dict[str, Any]:
        return {"visitor": visitor_json(self._visitor(request.path_params["token"]))}

    async def _room(self, request: Request) -> dict[str, Any]:
        visitor = self._visitor(request.query_params.get("token", ""))
        room = self._hub.open_room_of(visitor)
        is_new = room is None
        if room is None:
            if request.query_params.get("rid"):
                raise HubError("invalid-room")
            room = await self._hub.open_room(visitor)
        return {"room": room_json(room), "newRoom": is_new}

    async def _say(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        room = self._own_room(wish["token"], wish["rid"])
        known = self._hub.messages.get(wish.get("_id", ""))
        if known is not None:
            if self._hub.version < (7, 0):
                raise HubError("Cannot read properties of undefined (reading '_id')", coded=False)
            return {"message": message_json(known)}
        if len(wish["msg"]) > 5000:
            raise HubError("message-length-exceeds-character-limit")
        message = await self._hub.save_visitor_message(room, wish["msg"], wish.get("_id", ""))
        return {"message": message_json(message)}

    async def _message(self, request: Request) -> dict[str, Any]:
        self._own_room(request.query_params["token"], request.query_params["rid"])
        found = self._hub.messages.get(request.path_params["id"])
        if found is None:
            raise HubError("invalid-message")
        return {"message": message_json(found)}

    async def _edit(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        room = self._own_room(wish["token"], wish["rid"])
        found = self._hub.messages.get(request.path_params["id"])
        if found is None or found.author_id != room.visitor.id:
            raise HubError("invalid-message")
        await self._hub.edit(found, wish["msg"])
        return {"message": message_json(found)}

    async def _history(self, request: Request) -> dict[str, Any]:
        room = self._own_room(request.query_params["token"], request.path_params["rid"])
        limit = int(request.query_params.get("limit", "20"))
        return {"messages": [message_json(each) for each in reversed(room.messages[-limit:])]}

    async def _close(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        room = self._own_room(wish["token"], wish["rid"])
        if not room.open:
            raise HubError("room-closed")
        await self._hub.close(room, "visitor", room.visitor.id, "Closed by visitor")
        return {"rid": room.id, "comment": "Closed by visitor"}

    async def _field(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        visitor = self._visitor(wish["token"])
        visitor.fields[wish["key"]] = str(wish["value"])
        room = self._hub.open_room_of(visitor)
        if room:
            room.fields[wish["key"]] = str(wish["value"])
        return {"field": {"key": wish["key"], "value": wish["value"], "overwrite": True}}

    async def _offline(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        await self._hub.leave_offline_message(wish["name"], wish["email"], wish["message"])
        return {"message": "Success"}

    async def _upload(self, request: Request) -> dict[str, Any]:
        token = request.headers.get("x-visitor-token", "")
        room = self._own_room(token, request.path_params["rid"])
        found = re.search(rb'filename="([^"\r\n]{1,200})"', await request.body())
        if found is None:
            raise HubError("invalid-field")
        name = found.group(1).decode("utf-8", "replace")
        attachment = {"title": name, "title_link": f"/file-upload/{new_id()}/{name}", "type": "file"}
        return message_json(await self._hub.save_visitor_message(room, "", attachments=[attachment]))

    def _visitor(self, token: str) -> Visitor:
        if token not in self._hub.visitors:
            raise HubError("invalid-token")
        return self._hub.visitors[token]

    def _own_room(self, token: str, rid: str) -> Room:
        visitor = self._visitor(token)
        room = self._hub.room(rid, code="invalid-room")
        if room.visitor is not visitor:
            raise HubError("invalid-room")
        return room
