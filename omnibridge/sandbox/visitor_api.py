"""The visitor's side of the REST API: the token is the credential. Source: rocketchat-api 4.1."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, maybe, need, page
from omnibridge.sandbox.shapes import iso, message_json, room_json, visitor_json
from omnibridge.sandbox.state import HubError, Message, Room, Visitor

CLOSED_BY_VISITOR = "Closed by visitor"


class VisitorApi:
    """Routes under /api/v1/livechat that need no log-in."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._life = api, api.hub, api.life

    def routes(self) -> list[Route]:
        table = (
            ("POST", "livechat/visitor", self._register),
            ("GET", "livechat/visitor/{token}", self._show),
            ("GET", "livechat/room", self._room),
            ("POST", "livechat/message", self._say),
            ("GET", "livechat/message/{id}", self._message),
            ("PUT", "livechat/message/{id}", self._edit),
            ("DELETE", "livechat/message/{id}", self._delete),
            ("GET", "livechat/messages.history/{rid}", self._history),
            ("POST", "livechat/room.close", self._close),
            ("POST", "livechat/custom.field", self._field),
            ("POST", "livechat/offline.message", self._offline),
        )
        return [self._api.route(method, path, handler, is_public=True) for method, path, handler in table]

    async def _register(self, request: Request) -> dict[str, Any]:
        """Upsert. Go on with the token of the answer: a known phone keeps its own (4.1)."""
        wish = need(await body_of(request), "visitor", dict)
        token = need(wish, "token", str)
        if not token:
            raise HubError("error-invalid-token", "Invalid token")
        department = self._department(maybe(wish, "department", ""))
        given = maybe(wish, "customFields", list[Any]())
        fields = [(need(each, "key", str), str(each.get("value", ""))) for each in given]
        visitor = self._hub.register(token, maybe(wish, "email", ""), maybe(wish, "phone", ""))
        visitor.name = maybe(wish, "name", visitor.name)
        visitor.username = maybe(wish, "username", visitor.username)
        visitor.department = department or visitor.department
        visitor.fields |= {key: value for key, value in fields if self._scope(key)}
        for each in self._hub.listeners:
            each.visitor_changed(visitor)
        return {"visitor": visitor_json(visitor)}

    async def _show(self, request: Request) -> dict[str, Any]:
        return {"visitor": visitor_json(self._visitor(request.path_params["token"]))}

    async def _room(self, request: Request) -> dict[str, Any]:
        """Creates a room unless one is open; `rid` only looks one up, `agentId` is a preference. The widget is known by
        two cookies that it sets."""
        query = request.query_params
        visitor = self._visitor(query.get("token", ""))
        room, rid = visitor.room, query.get("rid")
        if rid and (room is None or room.id != rid):
            raise HubError("invalid-room", coded=False)
        if room:
            return {"room": room_json(room), "newRoom": False}
        cookies = request.cookies
        is_widget = (cookies.get("rc_room_type"), cookies.get("rc_is_widget")) == ("l", "t")
        preferred = self._hub.users.get(query.get("agentId", ""))
        room = await self._life.open_room(visitor, preferred, "widget" if is_widget else "api")
        return {"room": room_json(room), "newRoom": True}

    async def _say(self, request: Request) -> dict[str, Any]:
        """A repeated `_id`: the stored message from 7.x on, before that 400; stored once either way (5.3)."""
        wish = await body_of(request)
        room = self._own_room(need(wish, "token", str), need(wish, "rid", str))
        text, message_id = need(wish, "msg", str), maybe(wish, "_id", "")
        if not room.open:
            raise HubError("room-closed", coded=False)
        known = self._hub.messages.get(message_id)
        if known is None:
            known = await self._hub.say_as_visitor(room, text, message_id, "livechat/message")
        elif self._hub.version < (7, 0):
            raise HubError("Cannot read properties of undefined (reading '_id')", coded=False)
        return {"message": message_json(known)}

    async def _message(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        room = self._own_room(query.get("token", ""), query.get("rid", ""))
        return {"message": message_json(self._stored(room, request.path_params["id"]))}

    async def _edit(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        room = self._own_room(need(wish, "token", str), need(wish, "rid", str))
        found = self._stored(room, request.path_params["id"])
        if found.author is not room.visitor:
            raise HubError("error-action-not-allowed", "Message editing not allowed")
        await self._hub.edit(found, need(wish, "msg", str))
        return {"message": message_json(found)}

    async def _delete(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        room = self._own_room(need(wish, "token", str), need(wish, "rid", str))
        found = self._stored(room, request.path_params["id"])
        if found.author is not room.visitor:
            raise HubError("error-action-not-allowed", "Message deleting not allowed")
        self._hub.delete(found)
        return {"message": {"_id": found.id, "ts": iso(found.ts)}}

    async def _history(self, request: Request) -> dict[str, Any]:
        """Newest first, 20 unless told otherwise; without the system messages that `Hide_System_Messages` names."""
        query = request.query_params
        room = self._own_room(query.get("token", ""), request.path_params["rid"])
        offset, count = page({"count": query.get("limit", "20"), "offset": query.get("offset", "0")})
        hidden = self._hub.settings.get("Hide_System_Messages", ())
        shown = [each for each in room.messages[::-1] if not each.system_type or each.system_type not in hidden]
        newest = shown[offset : None if count is None else offset + count]
        return {"messages": [message_json(each) for each in newest]}

    async def _close(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        room = self._own_room(need(wish, "token", str), need(wish, "rid", str))
        if not room.open:
            raise HubError("room-closed", coded=False)
        await self._life.close(room, room.visitor, CLOSED_BY_VISITOR)
        return {"rid": room.id, "comment": CLOSED_BY_VISITOR}

    async def _field(self, request: Request) -> dict[str, Any]:
        """Goes to the visitor or to the open room, by the scope of the field."""
        wish = await body_of(request)
        visitor, key = self._visitor(need(wish, "token", str)), need(wish, "key", str)
        value, overwrite = str(wish.get("value", "")), maybe(wish, "overwrite", True)
        scope = self._scope(key)
        if not scope:
            raise HubError("invalid-custom-field", coded=False)
        targets = [visitor.fields] if scope != "room" else []
        if visitor.room and scope != "visitor":
            targets.append(visitor.room.fields)
        for fields in targets:
            if overwrite or key not in fields:
                fields[key] = value
        return {"field": {"key": key, "value": value, "overwrite": overwrite}}

    async def _offline(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        await self._hub.leave_offline_message(*(need(wish, key, str) for key in ("name", "email", "message")))
        return {"message": "Success"}

    def _visitor(self, token: str) -> Visitor:
        if token not in self._hub.visitors:
            raise HubError("invalid-token", coded=False)
        return self._hub.visitors[token]

    def _own_room(self, token: str, rid: str) -> Room:
        visitor = self._visitor(token)
        room = self._hub.rooms.get(rid)
        if room is None or room.visitor is not visitor:
            raise HubError("invalid-room", coded=False)
        return room

    def _stored(self, room: Room, message_id: str) -> Message:
        found = self._hub.messages.get(message_id)
        if found is None or found.rid != room.id:
            raise HubError("invalid-message", coded=False)
        return found

    def _department(self, name: str) -> str:
        """By id or name."""
        if not name:
            return ""
        for each in self._hub.departments.values():
            if name in (each.id, each.name):
                return each.id
        raise HubError("error-invalid-department", "The provided department is invalid")

    def _scope(self, key: str) -> str:
        """visitor, room, or "" for a field nobody declared. Nothing declared at all: every key, on both."""
        declared = self._hub.custom_fields
        return "both" if declared is None else declared.get(key, "")
