"""Rooms, inquiries and webhook settings of the simulated hub. Source: rocketchat-api 2.1, 4.2, 6.4."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of
from omnibridge.sandbox.state import HubError, new_id, now_ms, room_json


class OmnichannelApi:
    """Rooms, inquiries, webhook settings."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

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
            route("POST", "omnichannel/integrations", self._integrations),
            route("GET", "livechat/integrations.settings", self._settings),
            route("POST", "livechat/webhook.test", self._test),
        ]
        if self._hub.version >= (7, 12):
            routes.append(route("POST", "livechat/inquiries.returnAsInquiry", self._return))
        if self._hub.version < (8, 0):
            name = "method.call/livechat:returnAsInquiry"
            routes.append(Route(f"/api/v1/{name}", self._return_by_method, methods=["POST"]))
        return routes

    async def _rooms(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        query = request.query_params
        found = [
            each
            for each in self._hub.rooms.values()
            if ("open" not in query or each.open is (query["open"] == "true"))
            and (not query.get("departmentId") or each.department == query["departmentId"])
            and (not query.getlist("agents[]") or (each.served_by and each.served_by.id in query.getlist("agents[]")))
        ]
        offset, count = int(query.get("offset", "0")), min(int(query.get("count", "50")), 100)
        shown = [room_json(each) for each in found[offset : offset + count]]
        return {"rooms": shown, "count": len(shown), "offset": offset, "total": len(found)}

    async def _room(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        room = self._hub.room(request.query_params["roomId"], code="error-room-not-found")
        if room.served_by is not user and not user.sees_all_rooms:
            raise HubError("error-not-allowed")
        return {"room": room_json(room)}

    async def _forward(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        wish = await body_of(request)
        room = self._hub.room(wish["roomId"])
        if not room.open:
            raise HubError("This_conversation_is_already_closed")
        if wish.get("userId"):
            user = self._hub.users.get(wish["userId"])
            if user is None:
                raise HubError("error-invalid-user")
            await self._hub.forward_to_agent(room, user)
            return {}
        department = self._hub.departments.get(wish["departmentId"])
        if department is None:
            raise HubError("error-invalid-department")
        await self._hub.forward_to_department(room, department)
        return {}

    async def _close(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        wish = await body_of(request)
        room = self._hub.room(wish["rid"])
        if not wish.get("comment"):
            raise HubError("error-comment-is-required")
        if room.served_by is not user and not user.sees_all_rooms:
            raise HubError("error-not-authorized")
        await self._hub.close(room, "user", user.username, wish["comment"])
        return {}

    async def _save_info(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        wish = (await body_of(request))["roomData"]
        room = self._hub.room(wish["_id"])
        room.fields.update(wish.get("livechatData") or {})
        room.tags = list(wish.get("tags") or [])
        await self._hub.send_edit_event(room)
        return {}

    async def _take(self, request: Request) -> dict[str, Any]:
        caller = self._api.user(request)
        wish = await body_of(request)
        user = self._hub.users.get(wish.get("userId", caller.id))
        if user is None or (user is not caller and not caller.sees_all_rooms):
            raise HubError("error-not-allowed")
        room = next((each for each in self._hub.rooms.values() if each.inquiry_id == wish["inquiryId"]), None)
        if room is None:
            raise HubError("error-not-found" if self._hub.version >= (7, 0) else "error-inquiry-taken")
        await self._hub.take(room, user)
        return {}

    async def _inquiry(self, request: Request) -> dict[str, Any]:
        self._api.user(request)
        room = self._hub.rooms.get(request.query_params["roomId"])
        if room is None or not room.inquiry_id:
            return {"inquiry": None}
        return {"inquiry": {"_id": room.inquiry_id, "rid": room.id, "status": "queued", "ts": now_ms()}}

    async def _inquiries(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        waiting = [each for each in self._hub.rooms.values() if each.inquiry_id and each.open]
        shown = [{"_id": each.inquiry_id, "rid": each.id, "status": "queued"} for each in waiting]
        return {"inquiries": shown, "count": len(shown), "offset": 0, "total": len(shown)}

    async def _return(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        room = self._hub.room((await body_of(request))["roomId"])
        return {"result": await self._hub.return_to_queue(room)}

    async def _return_by_method(self, request: Request) -> Response:
        """Errors are inside `message`, with HTTP 200 (6.4)."""
        try:
            self._api.manager(request)
        except HubError as exc:
            return JSONResponse({"success": False, "error": exc.code}, exc.status)
        call = msgspec.json.decode((await body_of(request))["message"])
        try:
            result: dict[str, Any] = {"result": await self._hub.return_to_queue(self._hub.room(call["params"][0]))}
        except HubError as exc:
            result = {"error": {"error": exc.code, "reason": exc.reason, "message": f"{exc.reason} [{exc.code}]"}}
        inner = msgspec.json.encode({"msg": "result", "id": call["id"], **result}).decode()
        return JSONResponse({"message": inner, "success": True})

    async def _integrations(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        wish = await body_of(request)
        sender = self._hub.sender
        sender.url = wish.get("LivechatWebhookUrl", sender.url)
        sender.token = wish.get("LivechatSecretToken", sender.token)
        sender.http_timeout_ms = int(wish.get("LivechatHttpTimeout", sender.http_timeout_ms))
        self._hub.taken_webhook_on = bool(wish.get("LivechatWebhookOnChatTaken", self._hub.taken_webhook_on))
        return {}

    async def _settings(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        return {"settings": [{"_id": "Livechat_webhookUrl", "value": self._hub.sender.url}]}

    async def _test(self, request: Request) -> dict[str, Any]:
        """The canned sample: e-mail and phone are plain strings (2.1)."""
        self._api.manager(request)
        if not self._hub.sender.url:
            raise HubError("Webhook_URL_not_set", coded=False)
        visitor = {"_id": "v", "name": "Visitor", "username": "guest-0", "email": "v@example.test", "phone": "123"}
        sample = {"_id": new_id(), "type": "LivechatSession", "visitor": visitor, "messages": []}
        if await self._hub.sender.test(sample) != 200:
            raise HubError("error-invalid-webhook-response")
        return {}
