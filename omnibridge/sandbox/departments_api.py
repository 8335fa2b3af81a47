"""Departments and who is in them, over REST. Source: rocketchat-api 3.7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, maybe, need, paged
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import department_json
from omnibridge.sandbox.state import Department, HubError, User

_READ = ("view-livechat-departments", "view-l-room")
_OPTIONS = ("enabled", "email", "showOnRegistration", "showOnOfflineForm", "description", "offlineMessageChannelName")


class DepartmentsApi:
    """Routes under livechat/department."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "livechat/department", self._list),
            route("POST", "livechat/department", self._make),
            route("GET", "livechat/department/isDepartmentCreationAvailable", self._is_room_for_more),
            route("GET", "livechat/department/{id}", self._show),
            route("PUT", "livechat/department/{id}", self._change),
            route("DELETE", "livechat/department/{id}", self._remove),
            route("GET", "livechat/department/{id}/agents", self._members),
            route("POST", "livechat/department/{id}/agents", self._change_members),
        ]

    async def _list(self, request: Request) -> dict[str, Any]:
        caller, query = self._api.permitted_any(request, *_READ), request.query_params
        text, wanted = query.get("text", "").lower(), query.get("enabled")
        found = [
            each
            for each in self._hub.departments.values()
            if text in each.name.lower()
            and (wanted is None or each.options.get("enabled", True) is (wanted == "true"))
            and (query.get("onlyMyDepartments") != "true" or caller.id in each.agents)
            and each.id != query.get("excludeDepartmentId")
        ]
        return paged("departments", found, query, department_json)

    async def _make(self, request: Request) -> dict[str, Any]:
        """One in total on the community edition (13)."""
        caller = self._api.permitted(request, "manage-livechat-departments")
        wish = await body_of(request)
        self._api.only_keys(wish, "department", "agents", "departmentUnit")
        given = need(wish, "department", dict)
        name, agents = need(given, "name", str), maybe(wish, "agents", list[Any]())
        members = [self._agent(need(each, "agentId", str)) for each in agents]
        made = self._hub.add_department(name, {each.id for each in members})
        self._describe(made, given, agents)
        self._hub.accounts.note("department", caller, department=made.id, name=name, members=self._names(made))
        return {"department": department_json(made), "agents": self._shown(made)}

    async def _is_room_for_more(self, request: Request) -> dict[str, Any]:
        self._api.permitted_any(request, *_READ)
        return {"isDepartmentCreationAvailable": self._hub.licence != "community" or not self._hub.departments}

    async def _show(self, request: Request) -> dict[str, Any]:
        self._api.permitted_any(request, *_READ)
        found = self._hub.departments.get(request.path_params["id"])
        shown = {"department": department_json(found) if found else None}
        is_short = request.query_params.get("includeAgents") == "false"
        return shown if is_short else {**shown, "agents": self._shown(found) if found else []}

    async def _change(self, request: Request) -> dict[str, Any]:
        caller = self._api.permitted(request, "manage-livechat-departments")
        wish, department = await body_of(request), self._department(request)
        given = need(wish, "department", dict)
        department.name = need(given, "name", str)
        agents = maybe(wish, "agents", list[Any]())
        if "agents" in wish and may(caller, "add-livechat-department-agents"):
            department.agents = {self._agent(need(each, "agentId", str)).id for each in agents}
        self._describe(department, given, agents)
        self._note(caller, department)
        return {"department": department_json(department), "agents": self._shown(department)}

    async def _remove(self, request: Request) -> dict[str, Any]:
        caller = self._api.permitted_any(request, "manage-livechat-departments", "remove-livechat-department")
        if not self._hub.settings["Omnichannel_enable_department_removal"]:
            raise HubError("error-department-removal-disabled", coded=False)
        department = self._department(request)
        del self._hub.departments[department.id]
        self._hub.accounts.note("department_removed", caller, department=department.id, name=department.name)
        return {}

    async def _members(self, request: Request) -> dict[str, Any]:
        self._api.permitted_any(request, *_READ)
        return paged("agents", self._shown(self._department(request)), request.query_params, dict)

    async def _change_members(self, request: Request) -> dict[str, Any]:
        """Both lists are required."""
        caller = self._api.permitted_any(request, "manage-livechat-departments", "add-livechat-department-agents")
        wish, department = await body_of(request), self._department(request)
        self._api.only_keys(wish, "upsert", "remove")
        added = {self._agent(need(each, "agentId", str)).id for each in need(wish, "upsert", list)}
        removed = {need(each, "agentId", str) for each in need(wish, "remove", list)}
        department.agents = (department.agents | added) - removed
        self._describe(department, {}, wish["upsert"])
        self._note(caller, department)
        return {}

    def _describe(self, department: Department, given: Mapping[str, Any], agents: list[Any]) -> None:
        department.options |= {key: given[key] for key in _OPTIONS if key in given}
        department.ranks |= {each["agentId"]: (maybe(each, "count", 0), maybe(each, "order", 0)) for each in agents}

    def _note(self, caller: User, department: Department) -> None:
        members = self._names(department)
        self._hub.accounts.note("members", caller, department=department.id, name=department.name, members=members)

    def _names(self, department: Department) -> list[str]:
        return sorted(self._hub.users[each].username for each in department.agents if each in self._hub.users)

    def _department(self, request: Request) -> Department:
        found = self._hub.departments.get(request.path_params["id"])
        if found is None:
            raise HubError("error-invalid-department", "Invalid department")
        return found

    def _agent(self, user_id: str) -> User:
        if user_id not in self._hub.users:
            raise HubError("error-agent-not-found", "Agent not found")
        return self._hub.users[user_id]

    def _shown(self, department: Department) -> list[dict[str, Any]]:
        shown = []
        for user_id in sorted(department.agents):
            count, order = department.ranks.get(user_id, (0, 0))
            name = self._agent(user_id).username
            entry = {"agentId": user_id, "departmentId": department.id, "username": name}
            shown.append({**entry, "count": count, "order": order})
        return shown
