"""What staff looks at besides rooms: the queue, its load, transfers, visitors, fields. Source: rocketchat-api 4.2."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, maybe, need, paged
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.shapes import inquiry_json, room_json, visitor_json
from omnibridge.sandbox.state import HubError, Room, User

_SCOPES = ("room", "visitor")


class QueueApi:
    """Reads, but for `room.join` and the declaration of custom fields of rooms and visitors."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._life = api, api.hub, api.life

    def routes(self) -> list[Route]:
        route = self._api.route
        routes = [
            route("GET", "livechat/room.join", self._join),
            route("GET", "livechat/inquiries.queuedForUser", self._queued),
            route("GET", "livechat/queue", self._load),
            route("GET", "livechat/transfer.history/{rid}", self._transfers),
            route("GET", "livechat/visitors.info", self._visitor),
            route("GET", "livechat/custom-fields", self._fields),
            route("GET", "livechat/custom-fields/{id}", self._field),
        ]
        if self._hub.version >= (8, 0):
            routes.append(route("POST", "livechat/custom-fields.save", self._save_field))
        return routes

    async def _join(self, request: Request) -> dict[str, Any]:
        """Makes the caller a member; who may see the room may join it."""
        caller = self._api.permitted(request, "view-l-room")
        room = self._hub.room(request.query_params.get("roomId", ""))
        if not may_see(caller, room):
            raise HubError("error-not-allowed", "Not Allowed")
        return {"room": room_json(room)}

    async def _queued(self, request: Request) -> dict[str, Any]:
        """Waiting ones without a department, or with one of the caller's."""
        caller = self._api.permitted(request, "view-l-room")
        wanted = request.query_params.get("department")
        found = [
            each
            for each in self._hub.inquiries.values()
            if each.is_waiting and self._is_for(caller, each) and wanted in (None, each.department)
        ]
        return paged("inquiries", found, request.query_params, inquiry_json)

    async def _load(self, request: Request) -> dict[str, Any]:
        """Open chats by agent and department."""
        self._api.permitted(request, "view-l-room")
        served = [
            (each.served_by, each.department) for each in self._hub.rooms.values() if each.served_by and each.open
        ]
        chats = Counter((user.username, department) for user, department in served)
        people = {user.username: user for user, _ in served}
        entries = [self._load_json(people[name], place, count) for (name, place), count in sorted(chats.items())]
        return paged("queue", entries, request.query_params, dict)

    async def _transfers(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "view-livechat-rooms")
        room = self._hub.room(request.path_params["rid"])
        kept = [each.extras["transferData"] for each in room.messages if "transferData" in each.extras]
        return paged("history", kept, request.query_params, dict)

    async def _visitor(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "view-l-room")
        visitor_id = request.query_params.get("visitorId")
        found = next((each for each in self._hub.visitors.values() if each.id == visitor_id), None)
        if found is None:
            raise HubError("visitor-not-found", coded=False)
        return {"visitor": visitor_json(found)}

    async def _fields(self, request: Request) -> dict[str, Any]:
        """Nothing declared: the sandbox takes every key, which no real hub does, and lists none."""
        self._api.permitted(request, "view-l-room")
        found = sorted((self._hub.custom_fields or {}).items())
        return paged("customFields", found, request.query_params, lambda each: _field_json(*each))

    async def _field(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "view-l-room")
        name = request.path_params["id"]
        scope = (self._hub.custom_fields or {}).get(name)
        return {"customField": _field_json(name, scope) if scope else None}

    async def _save_field(self, request: Request) -> dict[str, Any]:
        """Before 8.0 a DDP method does it, which is not here."""
        caller, wish = self._api.permitted(request, "view-livechat-manager"), await body_of(request)
        self._api.only_keys(wish, "customFieldId", "customFieldData")
        data = need(wish, "customFieldData", dict)
        name, scope = need(data, "field", str), need(data, "scope", str)
        if scope not in _SCOPES or not name.replace("-", "").replace("_", "").isalnum():
            raise HubError("error-invalid-custom-field-name", "Invalid custom field name")
        before = maybe(wish, "customFieldId", "")
        fields = self._hub.custom_fields or {}
        if before and before not in fields:
            raise HubError("error-invalid-custom-field", "Custom Field Not found")
        fields.pop(before, None)
        self._hub.custom_fields = {**fields, name: scope}
        self._hub.accounts.note("room_field", caller, name=name, scope=scope)
        return {"customField": _field_json(name, scope)}

    def _is_for(self, user: User, room: Room) -> bool:
        if not room.department or may(user, "view-livechat-rooms"):
            return True
        department = self._hub.departments.get(room.department)
        return bool(department and user.id in department.agents)

    def _load_json(self, user: User, department_id: str, chats: int) -> dict[str, Any]:
        department = self._hub.departments.get(department_id)
        shown = {"_id": user.id, "username": user.username, "status": user.status}
        place = {"_id": department.id, "name": department.name} if department else {}
        return {"_id": user.id, "user": shown, "department": place, "chats": chats}


def _field_json(name: str, scope: str) -> dict[str, Any]:
    return {"_id": name, "label": name, "scope": scope, "visibility": "visible", "searchable": False, "regexp": ""}
