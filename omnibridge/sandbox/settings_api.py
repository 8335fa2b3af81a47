"""Settings and licence over REST: read, and written with a second factor. Source: rocketchat-api 2.1, 6.1, 6.3, 7.1.

An unknown setting gives `{"success": false}` alone, as the server's bare `failure()` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox import licences
from omnibridge.sandbox.http import Api, body_of, paged, reply
from omnibridge.sandbox.permissions import may
from omnibridge.sandbox.settings_table import ENTERPRISE, PUBLIC
from omnibridge.sandbox.state import HubError


class SettingsApi:
    """Some settings live where they act, in the router, the limiter, the webhook sender: `_bound` knows where."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub
        life, sender, limiter = api.life, api.hub.sender, api.limiter
        self._bound: dict[str, tuple[object, str]] = {
            "Livechat_Routing_Method": (life, "routing_method"),
            "Livechat_assign_new_conversation_to_bot": (life, "bot_first"),
            "Livechat_accept_chats_with_no_agents": (life, "accept_with_no_agents"),
            "Livechat_External_Queue_URL": (life.external, "url"),
            "Livechat_External_Queue_Token": (life.external, "token"),
            "API_Enable_Rate_Limiter": (limiter, "is_on"),
            "Livechat_webhookUrl": (sender, "url"),
            "Livechat_secret_token": (sender, "token"),
            "Livechat_http_timeout": (sender, "http_timeout_ms"),
        }

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("GET", "settings.public", self._public, is_public=True),
            route("GET", "settings", self._all),
            route("GET", "settings/{id}", self._one),
            route("POST", "settings/{id}", self._change),
            route("GET", "licenses.info", self._licence),
        ]

    def values(self) -> dict[str, Any]:
        """Every setting that is known here; those of the enterprise act as off without a licence (13)."""
        values = {
            **self._hub.settings,
            **{name: getattr(owner, field) for name, (owner, field) in self._bound.items()},
            **self._hub.switches,
        }
        return values if licences.has_module(self._hub, "livechat-enterprise") else {**values, **ENTERPRISE}

    async def _public(self, request: Request) -> dict[str, Any]:
        """`_id` names those that are wanted, with commas between; without it the public ones all."""
        wanted = {each.strip() for each in request.query_params.get("_id", "").split(",") if each.strip()}
        return self._listed(request, lambda name: name in PUBLIC and (not wanted or name in wanted))

    async def _all(self, request: Request) -> dict[str, Any]:
        sees_all = may(self._api.user(request), "view-privileged-setting")
        return self._listed(request, lambda name: sees_all or name in PUBLIC)

    async def _one(self, request: Request) -> dict[str, Any] | Response:
        self._api.permitted(request, "view-privileged-setting")
        values, name = self.values(), request.path_params["id"]
        return {"_id": name, "value": values[name]} if name in values else reply({"success": False}, 400)

    async def _change(self, request: Request) -> dict[str, Any] | Response:
        caller = self._api.permitted(request, "edit-privileged-setting")
        self._hub.two_factor.check(request, caller)
        wish, name, values = await body_of(request), request.path_params["id"], self.values()
        if name not in values or "value" not in wish:
            return reply({"success": False}, 400)
        value, before = wish["value"], values[name]
        if type(value) is not type(before):
            raise HubError("invalid-params", f"value must be {type(before).__name__}")
        if name in self._bound:
            owner, field = self._bound[name]
            setattr(owner, field, value)
        elif name in self._hub.switches:
            self._hub.switches[name] = value
        else:
            self._hub.change_setting(name, value)
        self._hub.accounts.note("setting", caller, name=name, before=before, after=value)
        return {}

    async def _licence(self, request: Request) -> dict[str, Any]:
        caller = self._api.user(request)
        return licences.licence_json(self._hub, is_whole=may(caller, "view-privileged-setting"))

    def _listed(self, request: Request, is_shown: Callable[[str], bool]) -> dict[str, Any]:
        found = [{"_id": name, "value": value} for name, value in sorted(self.values().items()) if is_shown(name)]
        return paged("settings", found, request.query_params, dict)
