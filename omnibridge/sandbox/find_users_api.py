"""Users over REST: found by what names them, by role, by a part of their name. Source: rocketchat-api 3.2, 3.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, paged, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import defined, emails_json, listed_user_json, public_user_json, user_json
from omnibridge.sandbox.state import HubError, User


class FindUsersApi:
    """users.info, users.list, users.listByStatus, users.autocomplete, directory."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._accounts = api, api.hub, api.hub.accounts

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "users.info", self._info),
            route("GET", "users.list", self._list),
            route("GET", "users.listByStatus", self._list_by_status),
            route("GET", "users.autocomplete", self._autocomplete),
            route("GET", "directory", self._directory),
        ]

    async def _info(self, request: Request) -> dict[str, Any]:
        """Not found is 400, not 404; whoever may not see everything finds nobody by `importId`."""
        caller, query = self._api.user(request), request.query_params
        sees_all = may(caller, "view-full-other-user-info")
        if query.get("userId"):
            found = self._hub.users.get(query["userId"])
        elif query.get("username"):
            found = self._accounts.find(query["username"])
        elif query.get("importId"):
            found = self._accounts.with_import_id(query["importId"]) if sees_all else None
        else:
            raise HubError("Invalid search query.", coded=False)
        if found is None:
            raise HubError("User not found.", coded=False)
        shown = user_json(found) if sees_all or found is caller else public_user_json(found)
        if found is caller or may(caller, "view-other-user-channels"):
            rooms = [each for each in self._hub.rooms.values() if each.open and each.served_by is found]
            if query.get("includeUserRooms") == "true":
                shown["rooms"] = [{"rid": each.id, "name": each.visitor.name, "t": "l"} for each in rooms]
        return {"user": shown}

    async def _list(self, request: Request) -> dict[str, Any]:
        """`query` and `fields` work together, and until 6.x only; later they are silently ignored (3.4)."""
        caller, query = self._api.permitted(request, "view-d-room"), request.query_params
        if self._hub.settings["API_Apply_permission_view-outside-room_on_users-list"]:
            self._api.permitted(request, "view-outside-room")
        found, show = list(self._hub.users.values()), listed_user_json
        if self._hub.version < (7, 0) and "query" in query:
            conditions, wanted = _json_of(query, "query"), _json_of(query, "fields")
            if any(key.split(".")[0] == "customFields" for key in conditions):
                if "customFields" not in wanted or not may(caller, "view-full-other-user-info"):
                    raise HubError("error-invalid-query", "Invalid query")
            found = [each for each in found if all(_value(each, key) == value for key, value in conditions.items())]
            if "customFields" in wanted:
                show = user_json
        found.sort(key=lambda each: each.username)
        return paged("users", found, query, show)

    async def _list_by_status(self, request: Request) -> dict[str, Any]:
        """The way to list the users of a role (3.2)."""
        self._api.permitted(request, "view-d-room")
        query = request.query_params
        roles, term = set(query.getlist("roles[]")), query.get("searchTerm", "").lower()
        is_active = query.get("status") != "deactivated"
        found = [
            each
            for each in self._hub.users.values()
            if each.active is is_active
            and (not roles or roles & each.roles)
            and any(term in text.lower() for text in (each.username, each.name, each.email))
            and ("hasLoggedIn" not in query or (each.last_login is not None) == (query["hasLoggedIn"] == "true"))
        ]
        found.sort(key=lambda each: each.username)
        return paged("users", found, query, listed_user_json)

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


def find_user(api: Api, wish: Mapping[str, Any]) -> User:
    """By `userId`, `username` or `user`, as many routes take it. Raises HubError 400."""
    accounts = api.hub.accounts
    user_id, name = text_of(wish, "userId"), text_of(wish, "username") or text_of(wish, "user")
    if not user_id and not name:
        raise HubError("error-user-param-not-provided", 'The required "userId" or "username" param was not provided')
    found = accounts.users.get(user_id) if user_id else accounts.find(name)
    if found is None:
        text = 'The required "userId" or "username" param provided does not match any users'
        raise HubError("error-invalid-user", text)
    return found


def _json_of(query: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(query.get(name) or "{}", type=dict[str, Any])
    except msgspec.MsgspecError as exc:
        raise HubError("error-invalid-params", f"Invalid {name} parameter provided") from exc


def _value(user: User, path: str) -> Any:
    """A field by its path, as far as exact conditions need it."""
    value: Any = {**user_json(user), "emails": {"address": user.email}}
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _short(user: User) -> dict[str, Any]:
    shown = {"_id": user.id, "username": user.username, "name": user.name}
    return defined({**shown, "avatarETag": user.avatar.etag if user.avatar else None})
