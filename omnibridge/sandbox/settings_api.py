"""Settings, licence and avatars over REST: what a caller may read of them. Source: rocketchat-api 2.1, 6.1, 6.3, 7.1.

Which settings are public was read in the server's `settings/*.ts`; all others need `view-privileged-setting`.
Those that the simulation models show what it does; the others only show what they were set to.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox import licences
from omnibridge.sandbox.http import Api, paged
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.settings_table import PUBLIC
from omnibridge.sandbox.state import HubError


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
        ]

    def values(self) -> dict[str, Any]:
        """Every setting that is known here."""
        return {
            **self._hub.settings,
            "Livechat_Routing_Method": self._life.routing_method,
            "Livechat_assign_new_conversation_to_bot": self._life.bot_first,
            "Livechat_accept_chats_with_no_agents": self._life.accept_with_no_agents,
            "API_Enable_Rate_Limiter": self._api.limiter.is_on,
            **self._hub.switches,
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
        caller = self._api.user(request)
        return licences.licence_json(self._hub, is_whole=may(caller, "view-privileged-setting"))
