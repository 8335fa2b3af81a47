"""What the livechat widget asks for besides messages, and the widget itself. Source: rocketchat-api 4.1, conformance 4.

The widget is not ours and not here: `--widget FOLDER` names a build of it (npm `@rocket.chat/livechat`, its folder
`build`), which is then served at `/livechat` as the hub does; `/_sandbox/site` is a page that has it in a corner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from omnibridge.sandbox import licences
from omnibridge.sandbox.http import Api, body_of, maybe, need
from omnibridge.sandbox.room_shapes import agent_info_json
from omnibridge.sandbox.settings_table import ENTERPRISE
from omnibridge.sandbox.shapes import department_json, room_json, visitor_json
from omnibridge.sandbox.state import HubError, Room, Visitor

SETTINGS: dict[str, Any] = {
    "registrationForm": True,
    "allowSwitchingDepartments": True,
    "nameFieldRegistrationForm": True,
    "emailFieldRegistrationForm": True,
    "displayOfflineForm": True,
    "videoCall": False,
    "fileUpload": True,
    "language": "en",
    "transcript": False,
    "historyMonitorType": "url",
    "forceAcceptDataProcessingConsent": False,
    "showConnecting": False,
    "agentHiddenInfo": False,
    "clearLocalStorageWhenChatEnded": False,
    "limitTextLength": 5000,
    "visitorsCanCloseChat": True,
}
THEME: dict[str, Any] = {
    "title": "Rocket.Chat",
    "color": "#C1272D",
    "offlineTitle": "Leave a message",
    "offlineColor": "#666666",
    "position": "right",
    "background": "#2F343D",
    "actionLinks": {"webrtc": [], "jitsi": []},
}
MESSAGES = {
    "offlineMessage": "We are not online right now.",
    "offlineSuccessMessage": "We will answer soon.",
    "offlineUnavailableMessage": "",
    "conversationFinishedMessage": "Conversation finished",
    "conversationFinishedText": "",
    "transcriptMessage": "",
    "registrationFormMessage": "Please tell us your name and e-mail.",
    "dataProcessingConsentText": "",
}

_SITE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A site with livechat</title>
<body style="font-family: sans-serif; margin: 3em"><h1>A site</h1><p>The widget is in the corner.</p>
<script>
(function (w, d, s, u) {
  w.RocketChat = function (c) { w.RocketChat._.push(c) }; w.RocketChat._ = []; w.RocketChat.url = u;
  var h = d.getElementsByTagName(s)[0], j = d.createElement(s);
  j.async = true; j.src = u + "/rocketchat-livechat.min.js"; h.parentNode.insertBefore(j, h);
})(window, document, "script", location.origin + "/livechat");
</script></body></html>
"""


class WidgetApi:
    """Routes that need no log-in: the visitor's token is the credential. widget: folder of the build; "" = none."""

    def __init__(self, api: Api, widget: str = "") -> None:
        self._api, self._hub, self._life = api, api.hub, api.life
        self._folder = Path(widget) if widget else None
        if self._folder and not (self._folder / "index.html").is_file():
            raise ValueError(f"no widget in {widget}: its folder has an index.html (npm @rocket.chat/livechat, build/)")

    def routes(self) -> list[BaseRoute]:
        table = (
            ("GET", "livechat/config", self._config),
            ("GET", "livechat/agent.info/{rid}/{token}", self._agent),
            ("GET", "livechat/agent.next/{token}", self._next_agent),
            ("POST", "livechat/visitor.status", self._status),
            ("POST", "livechat/page.visited", self._page),
            ("POST", "livechat/custom.fields", self._fields),
            ("POST", "livechat/room.survey", self._survey),
            ("POST", "livechat/transcript", self._transcript),
        )
        routes: list[BaseRoute] = [self._api.route(*each, is_public=True) for each in table]
        if self._folder:
            routes += [
                Route("/livechat", self._widget),
                Mount("/livechat", StaticFiles(directory=self._folder)),
                Route("/_sandbox/site", self._site),
            ]
        return routes

    async def _config(self, request: Request) -> dict[str, Any]:
        """Who the visitor is, his room and who serves it are there only once they are."""
        hidden = self._hub.settings if licences.has_module(self._hub, "livechat-enterprise") else ENTERPRISE
        is_anybody = any(each.is_available for each in self._hub.users.values())
        visitor = self._hub.visitors.get(request.query_params.get("token", ""))
        config: dict[str, Any] = {
            "enabled": True,
            "online": is_anybody or self._life.accept_with_no_agents,
            "settings": {**SETTINGS, "hiddenSystemMessages": hidden["Livechat_hide_system_messages"]},
            "theme": THEME,
            "messages": MESSAGES,
            "survey": {"items": ["satisfaction", "agentKnowledge"], "values": ["1", "2", "3", "4", "5"]},
            "triggers": [],
            "departments": [department_json(each) for each in self._hub.departments.values()],
            "resources": {},
            "customFields": [],
        }
        if visitor:
            config["guest"] = visitor_json(visitor)
        if visitor and visitor.room:
            config["room"] = room_json(visitor.room)
            if visitor.room.served_by:
                config["agent"] = agent_info_json(visitor.room.served_by)
        return {"config": config}

    async def _agent(self, request: Request) -> dict[str, Any]:
        """Who serves the visitor's room, as the visitor sees him."""
        room = self._room(request.path_params["token"], request.path_params["rid"])
        if room.served_by is None:
            raise HubError("invalid-agent", coded=False)
        return {"agent": agent_info_json(room.served_by)}

    async def _next_agent(self, request: Request) -> dict[str, Any]:
        """Nothing for who has a room already."""
        visitor = self._visitor(request.path_params["token"])
        if visitor.room:
            return {}
        found = self._life.next_agent(self._department(request.query_params.get("department", "")))
        if found is None:
            raise HubError("agent-not-found", coded=False)
        return {"agent": agent_info_json(found)}

    async def _status(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        visitor = self._visitor(need(wish, "token", str))
        return {"token": visitor.token, "status": need(wish, "status", str)}

    async def _page(self, request: Request) -> dict[str, Any]:
        """Pages are kept hidden by default, so nothing is to be seen of them (4.1)."""
        wish = await body_of(request)
        need(wish, "token", str)
        page = need(wish, "pageInfo", dict)
        return {"page": {"msg": maybe(page, "title", ""), "navigation": {"page": page}}}

    async def _fields(self, request: Request) -> dict[str, Any]:
        """The answer says `Key`, with a capital."""
        wish = await body_of(request)
        visitor = self._visitor(need(wish, "token", str))
        declared, answer = self._hub.custom_fields, []
        for each in need(wish, "customFields", list):
            key, value, overwrite = need(each, "key", str), str(each.get("value", "")), maybe(each, "overwrite", True)
            if declared is not None and key not in declared:
                raise HubError("invalid-custom-field", coded=False)
            if declared is None or declared[key] == "visitor":
                targets = [visitor.fields]
            else:
                targets = [visitor.room.fields] if visitor.room else []
            for fields in targets:
                if overwrite or key not in fields:
                    fields[key] = value
            answer.append({"Key": key, "value": value, "overwrite": overwrite})
        return {"fields": answer}

    async def _survey(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        room = self._room(need(wish, "token", str), need(wish, "rid", str))
        data = need(wish, "data", list)
        return {"rid": room.id, "data": {need(each, "name", str): str(each.get("value", "")) for each in data}}

    async def _transcript(self, request: Request) -> dict[str, Any]:
        """Nothing is mailed here."""
        wish = await body_of(request)
        self._room(need(wish, "token", str), need(wish, "rid", str))
        need(wish, "email", str)
        return {"message": "Livechat transcript sent"}

    async def _widget(self, _: Request) -> Response:
        """The hub writes its own address into the page."""
        assert self._folder
        page = (self._folder / "index.html").read_text("utf-8")
        return HTMLResponse(page.replace("<head>", "<head><script>SERVER_URL = location.origin</script>", 1))

    async def _site(self, _: Request) -> Response:
        return HTMLResponse(_SITE)

    def _visitor(self, token: str) -> Visitor:
        if token not in self._hub.visitors:
            raise HubError("invalid-token", coded=False)
        return self._hub.visitors[token]

    def _room(self, token: str, rid: str) -> Room:
        room = self._hub.rooms.get(rid)
        if room is None or room.visitor is not self._visitor(token):
            raise HubError("invalid-room", coded=False)
        return room

    def _department(self, name: str) -> str:
        return next((each.id for each in self._hub.departments.values() if name in (each.id, each.name)), "")
