"""Settings, licence and avatars over REST: what a caller may read of them. Source: rocketchat-api 2.1, 6.1, 6.3, 7.1.

Which settings are public was read in the server's `settings/*.ts`; all others need `view-privileged-setting`.
Those that the simulation models show what it does; the others only show what they were set to.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api, paged
from omnibridge.sandbox.hub import MAX_MESSAGE
from omnibridge.sandbox.state import HubError

PUBLIC = frozenset(
    {
        "Livechat_enabled",
        "Livechat_Routing_Method",
        "Livechat_enabled_when_agent_idle",
        "Livechat_request_comment_when_closing_conversation",
        "Livechat_enable_business_hours",
        "Message_MaxAllowedSize",
        "Hide_System_Messages",
    }
)

UNMODELLED: dict[str, Any] = {
    "Livechat_enabled": True,
    "Livechat_enabled_when_agent_idle": True,
    "Livechat_request_comment_when_closing_conversation": True,
    "Livechat_enable_business_hours": False,
    "Hide_System_Messages": [],
    "Accounts_AvatarCacheTime": 3600,
}
"""With their defaults; the `/_sandbox/` switch `settings` changes them."""

MODULES = {"community": [], "enterprise": ["livechat-enterprise", "canned-responses"]}


class SettingsApi:
    """Reads only: nobody but an admin may write, and the bridge never does."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._life = api, api.hub, api.life

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "settings.public", self._public, is_public=True),
            route("GET", "settings/{id}", self._one),
            route("GET", "licenses.info", self._licence),
            Route("/avatar/{username}", self._avatar),
        ]

    def values(self) -> dict[str, Any]:
        """Every setting that is known here."""
        return {
            **UNMODELLED,
            "Message_MaxAllowedSize": MAX_MESSAGE,
            "Livechat_Routing_Method": self._life.routing_method,
            "Livechat_assign_new_conversation_to_bot": self._life.bot_first,
            "Livechat_accept_chats_with_no_agents": self._life.accept_with_no_agents,
            "API_Enable_Rate_Limiter": self._api.limiter.is_on,
            **self._hub.switches,
            **self._hub.settings,
        }

    async def _public(self, request: Request) -> dict[str, Any]:
        """`_id` names those that are wanted, with commas between; without it the public ones all."""
        wanted = {each.strip() for each in request.query_params.get("_id", "").split(",") if each.strip()}
        found = [
            {"_id": key, "value": value}
            for key, value in sorted(self.values().items())
            if key in PUBLIC and (not wanted or key in wanted)
        ]
        return paged("settings", found, request.query_params, dict)

    async def _one(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "view-privileged-setting")
        values, key = self.values(), request.path_params["id"]
        if key not in values:
            raise HubError("error-setting-not-found", "Setting not found")
        return {"_id": key, "value": values[key]}

    async def _licence(self, request: Request) -> dict[str, Any]:
        """Modules are told to anybody who is logged in."""
        self._api.user(request)
        return {"license": {"activeModules": MODULES[self._hub.licence]}}

    async def _avatar(self, request: Request) -> Response:
        """The first letter of the name, cached as long as the setting says."""
        headers = {"Cache-Control": f"public, max-age={self.values()['Accounts_AvatarCacheTime']}"}
        letter = "".join(each for each in request.path_params["username"] if each.isalnum())[:1].upper()
        style = "font-family='sans-serif' font-size='125' fill='#fff' text-anchor='middle'"
        svg = (
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 200'>"
            "<rect width='200' height='200' fill='#1d74f5'/>"
            f"<text x='100' y='145' {style}>{letter}</text></svg>"
        )
        return Response(svg, 200, headers, "image/svg+xml")
