"""`chat.postMessage`: neither an `_id` nor blocks. Source: rocketchat-api 5.1."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, maybe, text_of
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.shapes import message_json
from omnibridge.sandbox.state import HubError, now_ms

_KEYS = (
    "roomId", "channel", "text", "alias", "emoji", "avatar", "attachments", "tmid", "customFields", "parseUrls", "msg",
)  # fmt: skip


class PostingApi:
    """Into livechat rooms, by their id. All targets get the message; the answer shows the first."""

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
        rooms = [self._hub.room(each.lstrip("#")) for each in targets]
        saved = [await self._hub.say_as_user(room, user, text, "", groupable=False, **kept) for room in rooms]
        return {"ts": now_ms(), "channel": targets[0], "message": message_json(saved[0])}
