"""`/api/apps/`: clicks in the client and the widget go to the installed app, and the bridge reaches the app's endpoint.

Source: rocketchat-apps 7.7, 7.8. What the endpoint answers is what deploy/rocketchat-app/src/requests.ts does.
"""

from __future__ import annotations

import hmac
import re
import time
from typing import Any

import aiohttp
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, reply
from omnibridge.sandbox.installed_app import APP_ID, actor_of, message_of, user_of, visitor_of
from omnibridge.sandbox.state import HubError, Message, Room, User, Visitor, new_id

WINDOW_S = 300
ASSIST = "omnibridge-assist"
_USED = re.compile(
    r"button|overflow|.*select|datepicker|.*_input|linear_scale|.*checkbox.*|radio.*|toggle.*|timepicker"
)


class AppsApi:
    """404 while no app is installed (`app_url` and `app_secret` of `/_sandbox/control`)."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._app = api, api.hub, api.hub.app
        api.switches["app_url"] = lambda value: setattr(self._app, "url", str(value))
        api.switches["app_dropped"] = lambda value: setattr(self._app, "dropped", int(value))
        api.switches["app_secret"] = lambda value: setattr(self._app, "secret", str(value))

    def routes(self) -> list[Route]:
        return [
            Route("/api/apps/ui.interaction/{app}", self._interaction, methods=["POST"]),
            Route("/api/apps/public/{app}/bridge", self._bridge, methods=["POST"]),
        ]

    # -- clicks -------------------------------------------------------------------------------------------

    async def _interaction(self, request: Request) -> Response:
        if request.path_params["app"] != APP_ID or not self._app.is_on:
            return reply({"success": False, "error": "App not found"}, 404)
        try:
            who = self._who(request)
            wish = await body_of(request)
            room, message = self._place(wish, who)
        except HubError as exc:
            return reply(self._api.error_body(exc), exc.status)
        if wish.get("type") == "actionButton" and isinstance(who, User):
            return await self._bar(wish, room, who)
        if wish.get("type") != "blockAction":
            return reply({"success": False, "error": "Unknown action"}, 400)
        given = wish.get("payload")
        payload: dict[str, Any] = given if isinstance(given, dict) else {}
        side = {"user": actor_of(who)} if isinstance(who, User) else {"visitor": visitor_of(who)}
        self._app.tell(
            "interaction",
            room,
            **side,
            action_id=wish.get("actionId"),
            block_id=payload.get("blockId"),
            value=payload.get("value"),
            trigger_id=wish.get("triggerId"),
            container=wish.get("container"),
            message=message_of(message) if message else None,
        )
        return reply({"success": True})

    def _who(self, request: Request) -> User | Visitor:
        """A visitor by his token, in a header of its own. Raises 401."""
        token = request.headers.get("x-visitor-token")
        if token is None:
            return self._api.user(request)
        if token not in self._hub.visitors:
            raise HubError("unauthorized", status=401)
        return self._hub.visitors[token]

    def _place(self, wish: dict[str, Any], who: User | Visitor) -> tuple[Room, Message | None]:
        room, message = self._hub.room(str(wish.get("rid"))), self._hub.messages.get(str(wish.get("mid")))
        if isinstance(who, Visitor) and room.visitor is not who:
            raise HubError("error-not-allowed", status=403)
        if message and message.rid != room.id:
            raise HubError("error-invalid-message")
        return room, message

    async def _bar(self, wish: dict[str, Any], room: Room, user: User) -> Response:
        asked = msgspec.json.encode({"app": APP_ID, "room": room.id, "user": user_of(user)})
        text = "omnibridge cannot be reached at the moment. The conversation goes on without it."
        found: dict[str, Any] = {}
        try:
            status, body = await self._app.post("/view", f"view-{new_id()}", asked)
            found = msgspec.json.decode(body) if status == 200 else {}
            text = "Nothing is known of this conversation yet." if status in (200, 404) else text
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            found = {}
        empty = [{"type": "section", "text": {"type": "plain_text", "text": text}}]
        title = {"type": "plain_text", "text": found.get("title") or "omnibridge"}
        view = {"id": ASSIST, "type": "contextualBar", "title": title, "blocks": found.get("blocks") or empty}
        trigger = wish.get("triggerId")
        kind = "contextual_bar.open"
        return reply({"success": True, "type": kind, "triggerId": trigger, "appId": APP_ID, "view": view})

    # -- the bridge ---------------------------------------------------------------------------------------

    async def _bridge(self, request: Request) -> Response:
        if request.path_params["app"] != APP_ID or not self._app.is_on:
            return reply({"success": False, "error": "App not found"}, 404)
        try:
            asked = self._authenticate(request, await body_of(request))
            return reply(await self._carry_out(asked))
        except HubError as exc:
            return reply({"error": exc.reason}, exc.status)

    def _authenticate(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        payload, given = body.get("payload"), request.headers.get("webhook-signature", "")
        request_id, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not isinstance(payload, str):
            raise HubError("invalid", 'send {"payload": "JSON text"}')
        if not request_id or not stamp.isdigit():
            raise HubError("invalid", "a webhook header is missing", 401)
        right = self._app.sign(request_id, stamp, payload.encode()).encode()
        if not any(hmac.compare_digest(each.encode(), right) for each in given.split()):
            raise HubError("invalid", "no signature fits", 401)
        if abs(time.time() - int(stamp)) > WINDOW_S:
            raise HubError("invalid", "the time stamp is too far from now", 401)
        if request_id in self._app.seen:
            raise HubError("invalid", "this webhook-id was used before", 409)
        self._app.seen[request_id] = int(stamp)
        try:
            asked = msgspec.json.decode(payload)
        except msgspec.DecodeError:
            raise HubError("invalid", "the payload is not JSON") from None
        if not isinstance(asked, dict) or asked.get("app") != APP_ID:
            raise HubError("invalid", "the payload is not for this app")
        return asked

    async def _carry_out(self, asked: dict[str, Any]) -> dict[str, Any]:
        action = asked.get("action")
        if action == "ping":
            outbox = {"waiting": self._app.n_waiting, "dropped": {"count": self._app.dropped}, "failures": 0}
            return {"app": APP_ID, "version": "1.0.0", "outbox": outbox}
        if action not in ("message.update", "message.remove_buttons"):
            raise HubError("invalid", "unknown action")
        message = self._hub.messages.get(str(asked.get("message")))
        if message is None or message.rid != asked.get("room") or message.rid not in self._hub.rooms:
            raise HubError("invalid", "no such message in a livechat room of this id", 404)
        extras = dict(message.extras)
        text = message.text
        if action == "message.remove_buttons":
            extras["blocks"] = without_buttons(extras.get("blocks") or [])
            extras["attachments"] = [{**each, "actions": []} for each in message.attachments]
        else:
            text = asked["text"] if isinstance(asked.get("text"), str) else text
            for name in ("blocks", "attachments"):
                if name in asked:
                    extras[name] = list_of(asked[name], name)
        self._app.is_silent = True
        try:
            await self._hub.replace(message, text, extras)
        finally:
            self._app.is_silent = False
        return {"message": message.id}


def without_buttons(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Words and pictures stay, whatever can be clicked or filled in goes, but for what may be used again."""
    return [_bare(each) for each in blocks if _keeps(each) or each.get("type") not in ("actions", "input")]


def _keeps(block: dict[str, Any]) -> bool:
    return str(block.get("blockId")).startswith("ob1.keep.")


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    if _keeps(block):
        return block
    if isinstance(block.get("render"), list):
        return {**block, "render": without_buttons(block["render"])}
    accessory = block.get("accessory")
    is_used = isinstance(accessory, dict) and _USED.fullmatch(str(accessory.get("type")))
    return {name: value for name, value in block.items() if name != "accessory" or not is_used}


def list_of(value: Any, name: str) -> list[dict[str, Any]]:
    """Raises HubError."""
    if not isinstance(value, list) or len(value) > 50 or not all(isinstance(each, dict) for each in value):
        raise HubError("invalid", f"{name} must be a list of at most 50 objects")
    return [_owned_block(each) for each in value] if name == "blocks" else value


def _owned_block(block: dict[str, Any]) -> dict[str, Any]:
    if isinstance(block.get("render"), list):
        return {**block, "render": [_owned_block(each) for each in block["render"]]}
    mine: dict[str, Any] = {**block, "appId": APP_ID}
    if isinstance(block.get("elements"), list):
        mine["elements"] = [_owned(each) for each in block["elements"]]
    return mine | {key: _owned(block[key]) for key in ("accessory", "element") if block.get(key)}


def _owned(element: Any) -> Any:
    """A click on it comes to us."""
    return {**element, "appId": APP_ID} if isinstance(element, dict) else element
