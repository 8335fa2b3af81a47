"""`chat.postMessage`: neither an `_id` nor blocks. Source: rocketchat-api 5.1."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.channels import Channel
from omnibridge.sandbox.http import Api, body_of, maybe, text_of
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.sending import say
from omnibridge.sandbox.shapes import message_json
from omnibridge.sandbox.state import HubError, Room, User, now_ms

_KEYS = (
    "roomId", "channel", "text", "alias", "emoji", "avatar", "attachments", "tmid", "customFields", "parseUrls", "msg",
)  # fmt: skip


class PostingApi:
    """By `roomId`, or `channel`: #name, @user or an id. All targets get the message; the answer shows the first."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        return [self._api.route("POST", "chat.postMessage", self._post)]

    async def _post(self, request: Request) -> dict[str, Any]:
        """Until 6.x unknown keys, blocks among them, are dropped silently; later they are refused."""
        user, wish = self._api.user(request), await body_of(request)
        self._api.only_keys(wish, *_KEYS)
        given = wish.get("roomId") or wish.get("channel")
        targets = [str(each) for each in given] if isinstance(given, list) else [given] if given else []
        if not targets:
            raise HubError("invalid-params", "must have required property 'roomId'")
        if ("alias" in wish or "avatar" in wish) and not may(user, "message-impersonate"):
            raise HubError("Not enough permission", coded=False)
        if wish.get("customFields"):
            raise HubError("Custom fields not enabled", coded=False)
        kept = {key: wish[key] for key in ("alias", "emoji", "avatar", "attachments", "tmid") if wish.get(key)}
        if "avatar" in kept:
            kept.pop("emoji", None)
        text = text_of(wish, "text") or maybe(wish, "msg", "")
        places = [self._place(user, each) for each in targets]
        saved = [await say(self._hub, place, user, text, groupable=False, **kept) for place in places]
        return {"ts": now_ms(), "channel": targets[0], "message": message_json(saved[0])}

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
