"""Presence, and users found by a part of their name. Source: rocketchat-api 1.6, 3.2, 3.4."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, need, paged, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import defined, emails_json, iso
from omnibridge.sandbox.state import HubError, User
from omnibridge.sandbox.users_api import find_user

_STATUSES = ("online", "away", "offline", "busy")


class PresenceApi:
    """users.*Status, users.*resence, users.autocomplete, directory."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("POST", "users.setStatus", self._set),
            route("GET", "users.getStatus", self._get),
            route("GET", "users.getPresence", self._presence),
            route("GET", "users.presence", self._all),
            route("GET", "users.autocomplete", self._autocomplete),
            route("GET", "directory", self._directory),
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

    async def _autocomplete(self, request: Request) -> dict[str, Any]:
        """Ten at most; conditions are not modelled, and refused rather than ignored."""
        self._api.user(request)
        try:
            selector = msgspec.json.decode(request.query_params.get("selector", "{}"), type=dict[str, Any])
        except msgspec.MsgspecError as exc:
            raise HubError("invalid-params", "selector must be a JSON object") from exc
        if selector.get("conditions"):
            raise HubError("error-invalid-query", "conditions are not simulated")
        left_out = set(selector.get("exceptions") or [])
        found = [each for each in self._matching(text_of(selector, "term")) if each.username not in left_out]
        return {"items": [{**_short(each), "status": each.status} for each in found[:10]]}

    async def _directory(self, request: Request) -> dict[str, Any]:
        """Users only. Searches the fields of `Accounts_SearchFields`, custom ones among them, and shows none (3.4)."""
        caller, query = self._api.permitted(request, "view-outside-room", "view-d-room"), request.query_params
        wanted: dict[str, Any] = dict(query)
        if self._hub.version < (7, 0) and "query" in query:
            try:
                wanted = msgspec.json.decode(query["query"], type=dict[str, Any])
            except msgspec.MsgspecError as exc:
                raise HubError("error-invalid-params", "Invalid query parameter provided") from exc
        if wanted.get("type", "users") != "users":
            raise HubError("invalid-params", "only users are simulated")
        names = [each.strip() for each in str(self._hub.settings["Accounts_SearchFields"]).split(",")]
        found = self._matching(text_of(wanted, "text"), *names)
        sees_all = may(caller, "view-full-other-user-info")
        return paged(
            "result",
            found,
            query,
            lambda each: defined({**_short(each), "emails": emails_json(each) if sees_all else None}),
        )

    def _matching(self, term: str, *fields: str) -> list[User]:
        """Active ones, without regard to case, by user name and name unless fields are given."""

        def texts(user: User) -> list[str]:
            own = {"username": user.username, "name": user.name, **user.texts}
            custom = {f"customFields.{key}": str(value) for key, value in user.custom_fields.items()}
            return [{**own, **custom}.get(each, "") for each in fields or ("username", "name")]

        found = [
            each
            for each in self._hub.users.values()
            if each.active and any(term.lower() in text.lower() for text in texts(each))
        ]
        return sorted(found, key=lambda each: each.username)

    def _named(self, request: Request) -> User:
        caller, query = self._api.user(request), request.query_params
        return find_user(self._api, query) if {"userId", "username", "user"} & set(query) else caller


def _short(user: User) -> dict[str, Any]:
    shown = {"_id": user.id, "username": user.username, "name": user.name}
    return defined({**shown, "avatarETag": user.avatar.etag if user.avatar else None})
