"""Log-in, users and agents' messages over REST. Source: rocketchat-api 1.3, 3.2, 5."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, need, paged, reply
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.sending import ms_of, send_message
from omnibridge.sandbox.shapes import iso, message_json, public_user_json, user_json
from omnibridge.sandbox.state import HubError, Message, User


class AgentApi:
    """Who is calling, and what he writes. Rooms, queues and departments are elsewhere."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            Route("/api/info", self._info),
            Route("/api/v1/info", self._info),
            route("POST", "login", self._login, is_public=True),
            route("GET", "me", self._me),
            route("GET", "users.info", self._user),
            route("GET", "users.listByStatus", self._users_of_status),
            route("POST", "chat.sendMessage", self._send),
            route("GET", "chat.getMessage", self._get),
            route("POST", "chat.update", self._update),
            route("POST", "chat.delete", self._delete),
            route("GET", "chat.syncMessages", self._sync),
        ]

    async def _info(self, _: Request) -> Response:
        """The patch level is hidden from most callers."""
        major, minor = self._hub.version
        return reply({"version": f"{major}.{minor}", "success": True})

    async def _login(self, request: Request) -> Response:
        """Plain password, its SHA-256 digest, or a token to resume."""
        wish = await body_of(request)
        user = self._hub.by_token.get(str(wish.get("resume", "")))
        if user is None:
            user = self._hub.by_name.get(str(wish.get("user", "")))
            if user is None or not _is_password(user, wish.get("password")):
                # Tells which credential is wrong before 7.0.
                reason = (
                    ("User not found" if user is None else "Incorrect password") if self._is_old else "Unauthorized"
                )
                return reply({"status": "error", "error": "Unauthorized", "message": reason}, 401)
        token = wish.get("resume") or self._hub.issue_token(user)
        return reply({"status": "success", "data": {"userId": user.id, "authToken": token, "me": user_json(user)}})

    async def _me(self, request: Request) -> dict[str, Any]:
        return user_json(self._api.user(request))

    async def _user(self, request: Request) -> dict[str, Any]:
        """Not found is 400, not 404; roles and e-mail need `view-full-other-user-info` (3.2)."""
        caller = self._api.user(request)
        query = request.query_params
        found = self._hub.by_name.get(query.get("username", "")) or self._hub.users.get(query.get("userId", ""))
        if found is None:
            raise HubError("User not found.", coded=False)
        is_whole = found is caller or may(caller, "view-full-other-user-info")
        return {"user": user_json(found) if is_whole else public_user_json(found)}

    async def _users_of_status(self, request: Request) -> dict[str, Any]:
        """The way to list the users of a role (3.2)."""
        self._api.permitted(request, "view-d-room")
        query = request.query_params
        roles, is_active = set(query.getlist("roles[]")), query.get("status") != "deactivated"
        users = self._hub.users.values()
        found = [each for each in users if each.active is is_active and (not roles or roles & each.roles)]
        return paged("users", found, query, user_json)

    async def _send(self, request: Request) -> dict[str, Any]:
        """A repeated `_id` stores nothing and fails while the answer is formatted (5.3)."""
        user = self._api.user(request)
        saved = await send_message(self._hub, user, need(await body_of(request), "message", dict))
        if saved is None:
            raise HubError("Cannot read properties of undefined (reading 'starred')", coded=False)
        return {"message": message_json(saved)}

    async def _get(self, request: Request) -> dict[str, Any]:
        """By `_id` only, across all rooms."""
        user = self._api.user(request)
        found = self._hub.messages.get(request.query_params.get("msgId", ""))
        if found is None:
            raise HubError("The message id provided does not match any existing message", coded=False)
        self._must_see(user, found)
        return {"message": message_json(found)}

    async def _update(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        wish = await body_of(request)
        self._api.only_keys(wish, "roomId", "msgId", "text", "previewUrls", "customFields")
        found = self._hub.messages.get(need(wish, "msgId", str))
        if found is None:
            raise HubError(f'No message found with the id of "{wish["msgId"]}".', coded=False)
        if found.rid != need(wish, "roomId", str):
            raise HubError("The room id provided does not match where the message is from.", coded=False)
        if found.author is not user and not may(user, "edit-message"):
            raise HubError("error-action-not-allowed", "Message editing not allowed")
        await self._hub.edit(found, need(wish, "text", str))
        return {"message": message_json(found)}

    async def _delete(self, request: Request) -> dict[str, Any]:
        """One's own, but not a bot's: the role has no `delete-own-message`; an admin anybody's (5.4)."""
        user = self._api.user(request)
        wish = await body_of(request)
        found = self._hub.messages.get(need(wish, "msgId", str))
        if found is None:
            raise HubError(f'No message found with the id of "{wish["msgId"]}".', coded=False)
        if found.rid != need(wish, "roomId", str):
            raise HubError("The room id provided does not match where the message is from.", coded=False)
        is_own = found.author is user and "user" in user.roles
        if not is_own and "admin" not in user.roles:
            raise HubError("error-action-not-allowed", "Not allowed")
        self._hub.delete(found)
        return {"_id": found.id, "ts": str(found.ts), "message": message_json(found)}

    async def _sync(self, request: Request) -> dict[str, Any]:
        """What was stored, edited or deleted after `lastUpdate`."""
        user = self._api.user(request)
        room = self._hub.room(request.query_params.get("roomId", ""))
        if not may_see(user, room):
            raise HubError("error-not-allowed", "Not allowed")
        since = ms_of(request.query_params.get("lastUpdate", ""))
        updated = [each for each in room.messages if (each.edited_at or each.ts) > since]
        deleted = [{"_id": each, "_deletedAt": iso(at)} for each, at in room.deleted if at > since]
        return {"result": {"updated": [message_json(each) for each in updated], "deleted": deleted}}

    def _must_see(self, user: User, message: Message) -> None:
        room, channel = self._hub.rooms.get(message.rid), self._hub.channels.by_id.get(message.rid)
        is_seen = may_see(user, room) if room else channel is not None and self._hub.channels.may_see(user, channel)
        if not is_seen:
            raise HubError("error-not-allowed", "Not allowed")

    @property
    def _is_old(self) -> bool:
        return self._hub.version < (7, 0)


def _is_password(user: User, given: Any) -> bool:
    if isinstance(given, dict):
        return given.get("digest") == hashlib.sha256(user.password.encode()).hexdigest()
    return bool(given == user.password)
