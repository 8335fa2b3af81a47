"""Agents and departments over REST. Source: rocketchat-api 3.5, 3.7."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, maybe, need, paged
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import agent_json, department_json
from omnibridge.sandbox.state import Department, HubError, User


class StaffApi:
    """Routes under livechat/users, livechat/agent and livechat/department."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "livechat/users/agent", self._agents),
            route("POST", "livechat/users/agent", self._make_agent),
            route("GET", "livechat/users/agent/{id}", self._show_agent),
            route("POST", "livechat/agent.status", self._status),
            route("GET", "livechat/department", self._departments),
            route("POST", "livechat/department", self._make_department),
            route("GET", "livechat/department/{id}", self._show_department),
            route("GET", "livechat/department/{id}/agents", self._members),
            route("POST", "livechat/department/{id}/agents", self._change_members),
        ]

    async def _agents(self, request: Request) -> dict[str, Any]:
        self._api.permitted_any(request, "transfer-livechat-guest", "edit-omnichannel-contact")
        query = request.query_params
        text, only_free = query.get("text", "").lower(), query.get("onlyAvailable") == "true"
        found = [
            each
            for each in self._hub.users.values()
            if each.is_agent
            and (each.is_available or not only_free)
            and each.id != query.get("excludeId")
            and (text in each.username.lower() or text in each.name.lower())
        ]
        return paged("users", found, query, self._show)

    async def _show_agent(self, request: Request) -> dict[str, Any]:
        """null for who is no agent."""
        self._api.permitted(request, "view-livechat-manager")
        found = self._hub.users.get(request.path_params["id"])
        return {"user": self._show(found) if found and found.is_agent else None}

    async def _make_agent(self, request: Request) -> dict[str, Any]:
        """Idempotent; makes available."""
        self._api.permitted(request, "view-livechat-manager")
        user = self._hub.by_name.get(need(await body_of(request), "username", str))
        if user is None:
            raise HubError("error-invalid-user", "Invalid user")
        user.roles.add("livechat-agent")
        user.status_livechat = "available"
        return {"user": {"_id": user.id, "username": user.username}}

    async def _status(self, request: Request) -> dict[str, Any]:
        """No `status` toggles."""
        caller = self._api.permitted(request, "view-l-room")
        wish = await body_of(request)
        user = self._hub.users.get(maybe(wish, "agentId", caller.id))
        if user is None or not user.is_agent:
            raise HubError("error-not-found" if user is None else "error-user-is-not-agent")
        if user is not caller and not may(caller, "manage-livechat-agents"):
            raise HubError("unauthorized", status=403, coded=False)
        toggled = "not-available" if user.status_livechat == "available" else "available"
        status = maybe(wish, "status", toggled)
        if status not in ("available", "not-available"):
            raise HubError("invalid-params", "status must be available or not-available")
        user.status_livechat = status
        return {"status": status}

    async def _departments(self, request: Request) -> dict[str, Any]:
        self._api.permitted_any(request, "view-livechat-departments", "view-l-room")
        text = request.query_params.get("text", "").lower()
        found = [each for each in self._hub.departments.values() if text in each.name.lower()]
        return paged("departments", found, request.query_params, department_json)

    async def _make_department(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "manage-livechat-departments")
        wish = await body_of(request)
        name = need(need(wish, "department", dict), "name", str)
        agents = [need(each, "agentId", str) for each in maybe(wish, "agents", list[Any]())]
        made = self._hub.add_department(name, {self._agent(each).id for each in agents})
        return {"department": department_json(made), "agents": [self._member(each) for each in sorted(made.agents)]}

    async def _show_department(self, request: Request) -> dict[str, Any]:
        self._api.permitted_any(request, "view-livechat-departments", "view-l-room")
        found = self._hub.departments.get(request.path_params["id"])
        members = [self._member(each) for each in sorted(found.agents)] if found else []
        return {"department": department_json(found) if found else None, "agents": members}

    async def _members(self, request: Request) -> dict[str, Any]:
        self._api.permitted_any(request, "view-livechat-departments", "view-l-room")
        department = self._department(request)
        return paged("agents", sorted(department.agents), request.query_params, self._member)

    async def _change_members(self, request: Request) -> dict[str, Any]:
        """Both lists are required."""
        self._api.permitted_any(request, "manage-livechat-departments", "add-livechat-department-agents")
        wish = await body_of(request)
        department = self._department(request)
        added = {self._agent(need(each, "agentId", str)).id for each in need(wish, "upsert", list)}
        removed = {need(each, "agentId", str) for each in need(wish, "remove", list)}
        department.agents = (department.agents | added) - removed
        return {}

    def _department(self, request: Request) -> Department:
        found = self._hub.departments.get(request.path_params["id"])
        if found is None:
            raise HubError("error-invalid-department", "Invalid department")
        return found

    def _agent(self, user_id: str) -> User:
        if user_id not in self._hub.users:
            raise HubError("error-agent-not-found", "Agent not found")
        return self._hub.users[user_id]

    def _show(self, user: User) -> dict[str, Any]:
        departments = [each.id for each in self._hub.departments.values() if user.id in each.agents]
        return agent_json(user, departments)

    def _member(self, user_id: str) -> dict[str, Any]:
        return {"agentId": user_id, "username": self._agent(user_id).username, "count": 0, "order": 0}
