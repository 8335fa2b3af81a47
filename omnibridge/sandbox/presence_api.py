"""Presence over REST. Source: rocketchat-api 1.6, 3.2."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.find_users_api import find_user
from omnibridge.sandbox.http import Api, body_of, need, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import defined, iso
from omnibridge.sandbox.state import HubError, User

_STATUSES = ("online", "away", "offline", "busy")


class PresenceApi:
    """users.setStatus, users.getStatus, users.getPresence, users.presence."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("POST", "users.setStatus", self._set),
            route("GET", "users.getStatus", self._get),
            route("GET", "users.getPresence", self._presence),
            route("GET", "users.presence", self._all),
        ]

    async def _set(self, request: Request) -> dict[str, Any]:
        """Own, or with `edit-other-user-info` another's. Availability for visitors is a thing of its own."""
        caller, wish = self._api.user(request), await body_of(request)
        self._api.only_keys(wish, "status", "message", "userId", "username", "user")
        user = find_user(self._api, wish) if {"userId", "username", "user"} & set(wish) else caller
        if user is not caller and not may(caller, "edit-other-user-info"):
            raise HubError("unauthorized", status=403, coded=False)
        if not self._hub.settings["Accounts_AllowUserStatusMessageChange"]:
            raise HubError("error-not-allowed", "Change status is not allowed")
        status = text_of(wish, "status") or user.status
        if status not in _STATUSES:
            raise HubError("error-invalid-status", "Valid status types include online, away, offline, and busy.")
        if status == "offline" and not self._hub.settings["Accounts_AllowInvisibleStatusOption"]:
            raise HubError("error-status-not-allowed", "Invisible status is disabled")
        user.status = status
        if "message" in wish:
            user.texts["statusText"] = need(wish, "message", str)
        self._hub.accounts.note("presence", caller, user, status=status)
        return {}

    async def _get(self, request: Request) -> dict[str, Any]:
        user = self._named(request)
        shown = {"message": user.texts.get("statusText"), "connectionStatus": user.status, "status": user.status}
        return defined({"_id": user.id, **shown})

    async def _presence(self, request: Request) -> dict[str, Any]:
        user = self._named(request)
        return {"presence": user.status, "connectionStatus": user.status, "lastLogin": iso(user.last_login)}

    async def _all(self, request: Request) -> dict[str, Any]:
        """Who is not offline; with `ids` only those among them."""
        self._api.user(request)
        query = request.query_params
        ids = set(query.getlist("ids[]")) | set(filter(None, query.get("ids", "").split(",")))
        found = [each for each in self._hub.users.values() if each.status != "offline" and (not ids or each.id in ids)]
        shown = [
            defined(
                {
                    "_id": each.id,
                    "username": each.username,
                    "name": each.name,
                    "status": each.status,
                    "avatarETag": each.avatar.etag if each.avatar else None,
                }
            )
            for each in found
        ]
        return {"users": shown, "full": not ids}

    def _named(self, request: Request) -> User:
        caller, query = self._api.user(request), request.query_params
        return find_user(self._api, query) if {"userId", "username", "user"} & set(query) else caller
