"""Roles and permissions over REST. Source: rocketchat-api 3.3; the errors were read in the server's `roles.ts`,
`permissions.ts` and `addUserToRole.ts`.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox import licences
from omnibridge.sandbox.find_users_api import find_user
from omnibridge.sandbox.http import Api, body_of, maybe, need, paged, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import emails_json, iso
from omnibridge.sandbox.state import HubError, Role, User


class RolesApi:
    """No route here asks for a second factor (1.5)."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._rules = api, api.hub, api.hub.rules

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "roles.list", self._list),
            route("POST", "roles.create", self._create),
            route("POST", "roles.delete", self._delete),
            route("GET", "roles.getUsersInRole", self._members),
            route("POST", "roles.addUserToRole", self._add),
            route("POST", "roles.removeUserFromRole", self._remove),
            route("GET", "permissions.listAll", self._permissions),
            route("POST", "permissions.update", self._update),
        ]

    async def _list(self, request: Request) -> dict[str, Any]:
        self._api.user(request)
        return {"roles": [_role_json(each) for each in self._rules.roles.values()]}

    async def _create(self, request: Request) -> dict[str, Any]:
        """Needs the module `custom-roles`; the id is not the name."""
        caller, wish = self._api.user(request), await body_of(request)
        licences.need_module(self._hub, "custom-roles")
        if not may(caller, "access-permissions"):
            raise HubError("error-action-not-allowed", "Accessing permissions is not allowed")
        self._api.only_keys(wish, "name", "description", "scope", "mandatory2fa")
        name = need(wish, "name", str)
        if any(name in (each.id, each.name) for each in self._rules.roles.values()):
            raise HubError("error-duplicate-role-names-not-allowed", "Role name already exists")
        scope = maybe(wish, "scope", "Users")
        if scope not in ("Users", "Subscriptions"):
            raise HubError("error-invalid-scope", "Invalid scope")
        role = self._hub.accounts.new_role(name, maybe(wish, "description", ""), scope)
        self._hub.accounts.note("role", caller, role=role.id, name=name)
        return {"role": _role_json(role)}

    async def _delete(self, request: Request) -> dict[str, Any]:
        caller = self._api.permitted(request, "access-permissions")
        wanted = need(await body_of(request), "roleId", str)
        role = next((each for each in self._rules.roles.values() if wanted in (each.id, each.name)), None)
        if role is None:
            raise HubError("error-invalid-roleId", "This role does not exist")
        if role.protected:
            raise HubError("error-role-protected", "Cannot delete a protected role")
        if any(role.id in each.roles for each in self._hub.users.values()):
            raise HubError("error-role-in-use", "Cannot delete role because it's in use")
        del self._rules.roles[role.id]
        self._hub.accounts.note("role_removed", caller, role=role.id, name=role.name)
        return {}

    async def _members(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "access-permissions")
        role = request.query_params.get("role", "")
        if not role:
            raise HubError("error-param-not-provided", 'Query param "role" is required')
        if role not in self._rules.roles:
            raise HubError("error-invalid-roleId")
        found = sorted(
            (each for each in self._hub.users.values() if role in each.roles), key=lambda user: user.username
        )
        shown = paged("users", found, request.query_params, _member_json)
        return {"users": shown["users"], "total": shown["total"]}

    async def _add(self, request: Request) -> dict[str, Any]:
        """Runs no hook: an agent made this way has no `statusLivechat` (3.6)."""
        caller, wish = self._api.user(request), await body_of(request)
        self._api.only_keys(wish, "username", "roleId", "roomId", "roleName", "userId")
        user, role_id = find_user(self._api, wish), text_of(wish, "roleId")
        if not role_id:
            raise HubError("error-invalid-role-properties", coded=False)
        role = self._rules.roles.get(role_id)
        if role is None:
            raise HubError("error-role-not-found", coded=False)
        if role.id in user.roles:
            raise HubError("error-user-already-in-role", "User already in role")
        if not may(caller, "access-permissions"):
            raise HubError("error-action-not-allowed", "Accessing permissions is not allowed")
        if role.id == "admin" and not may(caller, "assign-admin-role"):
            raise HubError("error-action-not-allowed", "Assigning admin is not allowed")
        user.roles.add(role.id)
        self._note(caller, user, added=[role.id])
        return {"role": _role_json(role)}

    async def _remove(self, request: Request) -> dict[str, Any]:
        """Runs no hook either: departments keep an agent who is none any more."""
        caller = self._api.permitted(request, "access-permissions")
        wish = await body_of(request)
        self._api.only_keys(wish, "username", "roleId", "scope", "roleName")
        user = self._hub.by_name.get(need(wish, "username", str))
        role_id = text_of(wish, "roleId")
        if not role_id:
            raise HubError("error-invalid-role-properties", coded=False)
        if user is None:
            raise HubError("error-invalid-user", "There is no user with this username")
        role = self._rules.roles.get(role_id)
        if role is None:
            raise HubError("error-invalid-roleId", "This role does not exist")
        if role.id not in user.roles:
            raise HubError("error-user-not-in-role", "User is not in this role")
        if role.id == "admin" and sum("admin" in each.roles for each in self._hub.users.values()) == 1:
            raise HubError("error-admin-required", "You need to have at least one admin")
        user.roles.discard(role.id)
        self._note(caller, user, removed=[role.id])
        return {"role": _role_json(role)}

    async def _permissions(self, request: Request) -> dict[str, Any]:
        self._api.user(request)
        return {"update": self._permissions_json(), "remove": []}

    async def _update(self, request: Request) -> dict[str, Any]:
        """Replaces the roles of each permission named; nothing changes unless all is well."""
        caller = self._api.permitted(request, "access-permissions")
        wish = await body_of(request)
        self._api.only_keys(wish, "permissions")
        given = {need(each, "_id", str): need(each, "roles", list) for each in need(wish, "permissions", list)}
        if set(given) - set(self._rules.permissions):
            raise HubError("error-invalid-permission", "Invalid permission", bracketed=False)
        if {role for roles in given.values() for role in roles} - set(self._rules.roles):
            raise HubError("error-invalid-role", "Invalid role", bracketed=False)
        for name, roles in given.items():
            before, self._rules.permissions[name] = self._rules.permissions[name], frozenset(roles)
            added, removed = sorted(set(roles) - before), sorted(before - set(roles))
            self._hub.accounts.note("permission", caller, name=name, added=added, removed=removed)
        return {"permissions": self._permissions_json()}

    def _permissions_json(self) -> list[dict[str, Any]]:
        found = self._rules.permissions.items()
        return [{"_id": name, "roles": sorted(roles)} for name, roles in sorted(found)]

    def _note(self, caller: User, user: User, **change: list[str]) -> None:
        self._hub.accounts.note("roles", caller, user, **{"added": [], "removed": [], **change}, route="roles")


def _role_json(role: Role) -> dict[str, Any]:
    return {
        "_id": role.id,
        "name": role.name,
        "description": role.description,
        "scope": role.scope,
        "protected": role.protected,
        "mandatory2fa": False,
    }


def _member_json(user: User) -> dict[str, Any]:
    return {
        "_id": user.id,
        "name": user.name,
        "username": user.username,
        "emails": emails_json(user) or [],
        "createdAt": iso(user.created_at),
        "_updatedAt": iso(user.updated_at),
    }
