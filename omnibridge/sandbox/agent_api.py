"""The staff's side of the REST API. Source: rocketchat-api 1.3, 3.5, 4.2, 5."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of
from omnibridge.sandbox.state import Department, HubError, User, message_json, new_id

_MESSAGE_KEYS = {
    "_id",
    "rid",
    "tmid",
    "tshow",
    "msg",
    "alias",
    "emoji",
    "avatar",
    "attachments",
    "blocks",
    "customFields",
}


class AgentApi:
    """Log-in, messages, users. Rooms and queues are in `omnichannel_api.py`."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            Route("/api/info", self._info),
            Route("/api/v1/login", self._login, methods=["POST"]),
            route("GET", "me", self._me),
            route("GET", "users.info", self._user),
            route("POST", "chat.sendMessage", self._send),
            route("GET", "chat.getMessage", self._get),
            route("POST", "chat.update", self._update),
            route("GET", "chat.syncMessages", self._sync),
            route("GET", "livechat/users/agent", self._agents),
            route("POST", "livechat/users/agent", self._make_agent),
            route("POST", "livechat/agent.status", self._status),
            route("GET", "livechat/department", self._departments),
            route("POST", "livechat/department", self._make_department),
            route("GET", "livechat/department/{id}/agents", self._members),
        ]

    async def _info(self, _: Request) -> Response:
        major, minor = self._hub.version
        return JSONResponse({"version": f"{major}.{minor}", "success": True})

    async def _login(self, request: Request) -> Response:
        wish = await body_of(request)
        user = self._hub.user_named(str(wish.get("user", "")))
        if user is None or user.password != wish.get("password"):
            body = {"status": "error", "error": "Unauthorized", "message": "Unauthorized"}
            return JSONResponse(body, 401)
        token = self._hub.issue_token(user)
        return JSONResponse(
            {"status": "success", "data": {"userId": user.id, "authToken": token, "me": self._show(user)}}
        )

    async def _me(self, request: Request) -> dict[str, Any]:
        return self._show(self._api.user(request))

    async def _user(self, request: Request) -> dict[str, Any]:
        self._api.user(request)
        wanted = request.query_params
        for each in self._hub.users.values():
            if each.username == wanted.get("username") or each.id == wanted.get("userId"):
                return {"user": self._show(each)}
        raise HubError("User not found.", coded=False)

    async def _send(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        message = (await body_of(request))["message"]
        unknown = set(message) - _MESSAGE_KEYS - {"groupable", "bot", "ts", "parseUrls"}
        if "t" in unknown:
            raise HubError("Cannot send system messages using 'chat.sendMessage'", coded=False)
        if ("alias" in message or "avatar" in message) and not user.roles & {"bot", "app"}:
            raise HubError("Not enough permission", coded=False)
        room = self._hub.room(message["rid"])
        if message.get("_id") in self._hub.messages:
            raise HubError("Cannot read properties of undefined (reading 'starred')", coded=False)
        saved = await self._hub.save_agent_message(
            room, user, message.get("msg", ""), message.get("_id", ""), message.get("attachments")
        )
        return {"message": message_json(saved)}

    async def _get(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        found = self._hub.messages.get(request.query_params["msgId"])
        if found is None:
            raise HubError("The message id provided does not match any existing message", coded=False)
        room = self._hub.rooms[found.rid]
        if room.served_by is not user and not user.sees_all_rooms:
            raise HubError("error-not-allowed")
        return {"message": message_json(found)}

    async def _update(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        wish = await body_of(request)
        found = self._hub.messages.get(wish["msgId"])
        if found is None or found.author_id != user.id:
            raise HubError("error-action-not-allowed")
        await self._hub.edit(found, wish["text"])
        return {"message": message_json(found)}

    async def _sync(self, request: Request) -> dict[str, Any]:
        self._api.user(request)
        room = self._hub.room(request.query_params["roomId"])
        since = request.query_params["lastUpdate"]
        shown = [message_json(each) for each in room.messages]
        return {"result": {"updated": [each for each in shown if each["_updatedAt"] > since], "deleted": []}}

    async def _agents(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        only_free = request.query_params.get("onlyAvailable") == "true"
        found = [each for each in self._hub.users.values() if "livechat-agent" in each.roles]
        users = [self._show_agent(each) for each in found if each.is_available or not only_free]
        return {"users": users, "count": len(users), "offset": 0, "total": len(users)}

    async def _make_agent(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        user = self._hub.user_named((await body_of(request))["username"])
        if user is None:
            raise HubError("error-invalid-user")
        user.roles.add("livechat-agent")
        user.status_livechat = "available"
        return {"user": {"_id": user.id, "username": user.username}}

    async def _status(self, request: Request) -> dict[str, Any]:
        caller = self._api.user(request)
        wish = await body_of(request)
        user = self._hub.users.get(wish.get("agentId", caller.id))
        if user is None:
            raise HubError("error-invalid-user")
        if user is not caller and not caller.sees_all_rooms:
            raise HubError("unauthorized", status=403, coded=False)
        toggled = "not-available" if user.status_livechat == "available" else "available"
        user.status_livechat = wish.get("status", toggled)
        return {"status": user.status_livechat}

    async def _departments(self, request: Request) -> dict[str, Any]:
        self._api.user(request)
        shown = [{"_id": each.id, "name": each.name, "enabled": True} for each in self._hub.departments.values()]
        return {"departments": shown, "count": len(shown), "offset": 0, "total": len(shown)}

    async def _make_department(self, request: Request) -> dict[str, Any]:
        self._api.manager(request)
        wish = await body_of(request)
        if self._hub.licence == "community" and self._hub.departments:
            raise HubError("error-max-departments-number-reached")
        agents = {each["agentId"] for each in wish.get("agents") or []}
        department = Department(new_id(), wish["department"]["name"], agents)
        self._hub.departments[department.id] = department
        return {"department": {"_id": department.id, "name": department.name, "enabled": True}}

    async def _members(self, request: Request) -> dict[str, Any]:
        self._api.user(request)
        department = self._hub.departments.get(request.path_params["id"])
        if department is None:
            raise HubError("error-invalid-department")
        members = [{"agentId": each, "username": self._hub.users[each].username} for each in department.agents]
        return {"agents": members, "count": len(members), "offset": 0, "total": len(members)}

    def _show(self, user: User) -> dict[str, Any]:
        return {
            "_id": user.id,
            "username": user.username,
            "name": user.name,
            "roles": sorted(user.roles),
            "active": True,
        }

    def _show_agent(self, user: User) -> dict[str, Any]:
        return {
            "_id": user.id,
            "username": user.username,
            "name": user.name,
            "status": "online",
            "statusLivechat": user.status_livechat,
            "livechatCount": user.open_chats,
        }
