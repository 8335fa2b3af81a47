"""Rooms that are no conversations over REST, and `chat.postMessage` to any room. Source: rocketchat-api 5.1, 5.8."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.channels import Channel
from omnibridge.sandbox.http import Api, body_of, maybe, need, page, paged
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.room_shapes import channel_json, subscription_json
from omnibridge.sandbox.sending import KEPT, ms_of, say
from omnibridge.sandbox.shapes import message_json, room_json
from omnibridge.sandbox.state import HubError, Room, User

_POSTED = ("alias", "emoji", "avatar", "attachments", "tmid")


class ChannelsApi:
    """What scripts and bots of other kinds ask for."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "rooms.get", self._rooms),
            route("GET", "subscriptions.get", self._subscriptions),
            route("GET", "channels.info", self._info),
            route("GET", "channels.history", self._history),
            route("GET", "channels.list.joined", self._joined),
            route("POST", "im.create", self._direct),
            route("POST", "dm.create", self._direct),
            route("POST", "chat.postMessage", self._post),
        ]

    async def _rooms(self, request: Request) -> dict[str, Any]:
        """What the caller is subscribed to, conversations that he serves too; changed since `updatedSince`."""
        user = self._api.user(request)
        found = [room_json(each) for each in self._served(user)]
        found += [channel_json(each) for each in self._hub.channels.of(user)]
        return {"update": _since(found, request), "remove": []}

    async def _subscriptions(self, request: Request) -> dict[str, Any]:
        user = self._api.user(request)
        places: list[Room | Channel] = [*self._served(user), *self._hub.channels.of(user)]
        return {"update": _since([subscription_json(user, each) for each in places], request), "remove": []}

    async def _info(self, request: Request) -> dict[str, Any]:
        return {"channel": channel_json(self._channel(request))}

    async def _history(self, request: Request) -> dict[str, Any]:
        """Newest first."""
        newest = self._channel(request).messages[::-1]
        offset, count = page(request.query_params)
        found = newest[offset : None if count is None else offset + count]
        return {"messages": [message_json(each) for each in found]}

    async def _joined(self, request: Request) -> dict[str, Any]:
        """Public channels only."""
        found = [each for each in self._hub.channels.of(self._api.user(request)) if each.kind == "c"]
        return paged("channels", found, request.query_params, channel_json)

    async def _direct(self, request: Request) -> dict[str, Any]:
        user, wish = self._api.user(request), await body_of(request)
        other = self._hub.by_name.get(need(wish, "username", str))
        if other is None:
            raise HubError("error-invalid-user", "Invalid user")
        found = self._hub.channels.direct(user, other)
        return {"room": {**channel_json(found), "rid": found.id, "usernames": [user.username, other.username]}}

    async def _post(self, request: Request) -> dict[str, Any]:
        """By `roomId`, or `channel`: #name, @user or an id. No `_id`, no blocks; grouping is off (5.1)."""
        user, wish = self._api.user(request), await body_of(request)
        self._api.only_keys(wish, "roomId", "channel", "text", "customFields", "parseUrls", *_POSTED)
        if ("alias" in wish or "avatar" in wish) and not may(user, "message-impersonate"):
            raise HubError("Not enough permission", coded=False)
        if wish.get("customFields"):
            raise HubError("Custom fields not enabled", coded=False)
        target = wish.get("roomId") or wish.get("channel")
        if not isinstance(target, str):
            raise HubError("invalid-params", "must have required property 'roomId' or 'channel'")
        place = self._place(user, target)
        kept = {key: wish[key] for key in _POSTED if key in KEPT and wish.get(key) is not None}
        saved = await say(self._hub, place, user, maybe(wish, "text", ""), groupable=False, **kept)
        return {"ts": saved.ts, "channel": target, "message": message_json(saved)}

    def _place(self, user: User, target: str) -> Room | Channel:
        place: Room | Channel | None = self._hub.rooms.get(target)
        if place is None and target.startswith("@") and target[1:] in self._hub.by_name:
            place = self._hub.channels.direct(user, self._hub.by_name[target[1:]])
        place = place or self._hub.channels.find(target)
        if place is None:
            raise HubError("error-invalid-room", "The required param provided does not match any room")
        is_seen = self._hub.channels.may_see(user, place) if isinstance(place, Channel) else may_see(user, place)
        if not is_seen:
            raise HubError("error-not-allowed", "Not allowed")
        return place

    def _channel(self, request: Request) -> Channel:
        """By `roomId` or `roomName`."""
        user, query = self._api.user(request), request.query_params
        found = self._hub.channels.find(query.get("roomId") or query.get("roomName") or "")
        if found is None or not self._hub.channels.may_see(user, found):
            raise HubError(
                "error-room-not-found", 'The required "roomId" or "roomName" param does not match any channel'
            )
        return found

    def _served(self, user: User) -> list[Room]:
        return [each for each in self._hub.rooms.values() if each.open and each.served_by is user]


def _since(found: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    since = request.query_params.get("updatedSince")
    if not since:
        return found
    limit = ms_of(since)
    return [each for each in found if ms_of(each["_updatedAt"]) > limit]
