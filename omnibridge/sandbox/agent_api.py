"""Messages of agents and accounts over REST. Source: rocketchat-api 5."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, maybe, need
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.shapes import message_json
from omnibridge.sandbox.state import HubError, Message, User, now_ms

_KEPT = ("tmid", "tshow", "alias", "emoji", "avatar", "attachments", "blocks", "groupable")
"""What a message keeps of the keys a sender may give, besides `_id`, `rid` and `msg` (5.1)."""


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
            route("GET", "chat.syncMessages", self._sync),
        ]

    async def _send(self, request: Request) -> dict[str, Any]:
        """A repeated `_id` stores nothing and fails while the answer is formatted (5.3)."""
        user = self._api.user(request)
        message = need(await body_of(request), "message", dict)
        if message.get("t"):
            raise HubError("Cannot send system messages using 'chat.sendMessage'", coded=False)
        if ("alias" in message or "avatar" in message) and not may(user, "message-impersonate"):
            raise HubError("Not enough permission", coded=False)
        if message.get("customFields"):
            raise HubError("Custom fields not enabled", coded=False)
        _check_ts(message.get("ts"))
        room = self._hub.room(need(message, "rid", str))
        if not may_see(user, room):
            raise HubError("error-not-allowed", "Not allowed")
        message_id = maybe(message, "_id", "")
        if message_id in self._hub.messages:
            raise HubError("Cannot read properties of undefined (reading 'starred')", coded=False)
        kept = {key: message[key] for key in _KEPT if message.get(key) is not None}
        saved = await self._hub.say_as_user(room, user, maybe(message, "msg", ""), message_id, **kept)
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

    async def _sync(self, request: Request) -> dict[str, Any]:
        """What was stored or edited after `lastUpdate`."""
        user = self._api.user(request)
        room = self._hub.room(request.query_params.get("roomId", ""))
        if not may_see(user, room):
            raise HubError("error-not-allowed", "Not allowed")
        since = _ms(request.query_params.get("lastUpdate", ""))
        updated = [each for each in room.messages if (each.edited_at or each.ts) > since]
        return {"result": {"updated": [message_json(each) for each in updated], "deleted": []}}

    def _must_see(self, user: User, message: Message) -> None:
        if not may_see(user, self._hub.rooms[message.rid]):
            raise HubError("error-not-allowed", "Not allowed")


def _check_ts(given: Any) -> None:
    """A client's time is replaced within 60 s of the server's and refused beyond (5.1); kept ones are not modelled."""
    if given is None:
        return
    at = given.get("$date", 0) if isinstance(given, dict) else _ms(str(given))
    if abs(at - now_ms()) > 60_000:
        raise HubError("error-message-ts-out-of-sync", "Message timestamp is out of sync")


def _ms(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as exc:
        raise HubError("error-lastUpdate-param-invalid", "Not a valid date") from exc
