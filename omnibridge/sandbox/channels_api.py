"""Rooms that are no conversations over REST. Source: rocketchat-api 5.8."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.channels import Channel
from omnibridge.sandbox.http import Api, body_of, need, page, paged
from omnibridge.sandbox.room_shapes import channel_json, subscription_json
from omnibridge.sandbox.sending import ms_of
from omnibridge.sandbox.shapes import message_json, room_json
from omnibridge.sandbox.state import HubError, Room, User


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
