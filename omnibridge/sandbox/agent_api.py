"""Messages of agents and accounts over REST. Source: rocketchat-api 5."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, need
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.sending import ms_of, send_message
from omnibridge.sandbox.shapes import iso, message_json
from omnibridge.sandbox.state import HubError, Message, User


class AgentApi:
    """What the caller writes and reads. Rooms, queues and departments are elsewhere."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("POST", "chat.sendMessage", self._send),
            route("GET", "chat.getMessage", self._get),
            route("POST", "chat.update", self._update),
            route("POST", "chat.delete", self._delete),
            route("GET", "chat.syncMessages", self._sync),
        ]

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
