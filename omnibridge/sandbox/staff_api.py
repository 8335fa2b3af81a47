"""Agents and managers over REST. Source: rocketchat-api 3.5, 3.6."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, maybe, need, paged
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import agent_json
from omnibridge.sandbox.state import HubError, User

_ROLES = {"agent": "livechat-agent", "manager": "livechat-manager"}


class StaffApi:
    """Routes under livechat/users, livechat/agent and livechat/agents."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        # One path each for agents and managers, so that failures can be injected into either.
        routes = [
            each
            for kind, role in _ROLES.items()
            for each in (
                route("GET", f"livechat/users/{kind}", partial(self._list, role)),
                route("POST", f"livechat/users/{kind}", partial(self._make, role)),
                route("GET", f"livechat/users/{kind}/{{id}}", partial(self._show, role)),
                route("DELETE", f"livechat/users/{kind}/{{id}}", partial(self._unmake, role)),
            )
        ]
        routes += [
            route("POST", "livechat/agent.status", self._status),
            route("GET", "livechat/agents/{id}/departments", self._departments),
        ]
        if self._hub.version >= (8, 0):
            routes.append(route("POST", "livechat/agents.saveInfo", self._save))
        return routes

    async def _list(self, role: str, request: Request) -> dict[str, Any]:
        if role == "livechat-agent":
            self._api.permitted_any(request, "transfer-livechat-guest", "edit-omnichannel-contact")
        else:
            self._api.permitted(request, "view-livechat-manager")
        query = request.query_params
        text, only_free = query.get("text", "").lower(), query.get("onlyAvailable") == "true"
        found = [
            each
            for each in self._hub.users.values()
            if role in each.roles
            and (each.is_available or not only_free)
            and each.id != query.get("excludeId")
            and (text in each.username.lower() or text in each.name.lower())
        ]
        return paged("users", found, query, self._shown)

    async def _show(self, role: str, request: Request) -> dict[str, Any]:
        """null for who is none."""
        self._api.permitted(request, "view-livechat-manager")
        found = self._hub.users.get(request.path_params["id"])
        return {"user": self._shown(found) if found and role in found.roles else None}

    async def _make(self, role: str, request: Request) -> dict[str, Any]:
        """Idempotent; makes an agent available."""
        caller = self._api.permitted(request, "view-livechat-manager")
        wish = await body_of(request)
        self._api.only_keys(wish, "username")
        user = self._hub.accounts.find(need(wish, "username", str))
        if user is None:
            raise HubError("error-invalid-user", "Invalid user")
        if role not in user.roles:
            self._hub.accounts.note("roles", caller, user, added=[role], removed=[], route="livechat/users")
        user.roles.add(role)
        if role == "livechat-agent":
            user.status_livechat = "available"
        return {"user": {"_id": user.id, "username": user.username}}

    async def _unmake(self, role: str, request: Request) -> dict[str, Any]:
        """Role and department links go; rooms that he serves stay his."""
        caller = self._api.permitted(request, "view-livechat-manager")
        user = self._hub.users.get(request.path_params["id"])
        if user is None or role not in user.roles:
            raise HubError("error-invalid-user", "Invalid user")
        user.roles.discard(role)
        if role == "livechat-agent":
            user.status_livechat = ""
            for department in self._hub.departments.values():
                department.agents.discard(user.id)
        self._hub.accounts.note("roles", caller, user, added=[], removed=[role], route="livechat/users")
        return {}

    async def _status(self, request: Request) -> dict[str, Any]:
        """No `status` toggles."""
        caller = self._api.permitted(request, "view-l-room")
        wish = await body_of(request)
        self._api.only_keys(wish, "status", "agentId")
        user = self._hub.users.get(maybe(wish, "agentId", caller.id))
        if user is None or not user.is_agent:
            raise HubError("error-not-found" if user is None else "error-user-is-not-agent")
        if user is not caller and not may(caller, "manage-livechat-agents"):
            raise HubError("unauthorized", status=403, coded=False)
        if not user.active:
            raise HubError("error-user-deactivated")
        toggled = "not-available" if user.status_livechat == "available" else "available"
        status = maybe(wish, "status", toggled)
        if status not in ("available", "not-available"):
            raise HubError("invalid-params", "status must be available or not-available")
        user.status_livechat = status
        self._hub.accounts.note("availability", caller, user, status=status)
        return {"status": status}

    async def _departments(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "view-l-room")
        user_id = request.path_params["id"]
        found = [each for each in self._hub.departments.values() if user_id in each.agents]
        shown = [{"agentId": user_id, "departmentId": each.id, "departmentName": each.name} for each in found]
        return {"departments": shown}

    async def _save(self, request: Request) -> dict[str, Any]:
        """Sets the list of departments."""
        caller = self._api.permitted(request, "manage-livechat-agents")
        wish = await body_of(request)
        self._api.only_keys(wish, "agentId", "agentData", "agentDepartments")
        user = self._hub.users.get(need(wish, "agentId", str))
        if user is None or not user.is_agent:
            raise HubError("error-user-is-not-agent", "User is not a livechat agent")
        user.max_chats = int(maybe(wish, "agentData", dict[str, Any]()).get("maxNumberSimultaneousChat") or 0)
        wanted = set(need(wish, "agentDepartments", list))
        for department in self._hub.departments.values():
            (department.agents.add if department.id in wanted else department.agents.discard)(user.id)
        self._hub.accounts.note("departments", caller, user, departments=sorted(wanted))
        return {}

    def _shown(self, user: User) -> dict[str, Any]:
        return agent_json(user, [each.id for each in self._hub.departments.values() if user.id in each.agents])
