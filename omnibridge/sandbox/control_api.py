"""`/_sandbox/`: the hub's own ledger, switches for its faults, and ways to wait. See README.md beside this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.http import Api, Handler, body_of, need, reply
from omnibridge.sandbox.ledger import ledger, message_entry, workspace
from omnibridge.sandbox.settings_api import SettingsApi
from omnibridge.sandbox.settings_table import DEFAULTS
from omnibridge.sandbox.state import HubError, Message, Room

_SENDER = {
    "webhook_url": ("url", str),
    "webhook_token": ("token", str),
    "http_timeout_ms": ("http_timeout_ms", int),
    "duplicate_rate": ("duplicate_rate", float),
    "swap_rate": ("swap_rate", float),
    "swap_hold_ms": ("swap_hold_ms", int),
    "drop_rate": ("drop_rate", float),
    "late_rate": ("late_rate", float),
    "late_ms": ("late_ms", int),
}
_LIFE = {
    "bot_first": bool,
    "requeue_to_bot": bool,
    "routing_method": str,
    "accept_with_no_agents": bool,
    "queue_delay_ms": int,
}
_EXTERNAL = {
    "external_url": ("url", str),
    "external_token": ("token", str),
    "external_worker_ms": ("worker_ms", int),
    "external_asks_at_start": ("asks_at_start", bool),
}
_OTHERS = {
    "seed",
    "available",
    "fail_next",
    "rest_delay_ms",
    "rate_limit",
    "switches",
    "custom_fields",
    "users",
    "settings",
    "permissions",
    "two_factor",
    "expire_tokens",
    "seats",
    "contacts_used_up",
    "create_race_ms",
    "create_tokens_secret",
}

_FAILURE = {"path", "status", "count", "after_effect", "half", "code", "body", "seconds"}
"""Keys of an entry of `fail_next`."""

_SAME = {"taken": "assigned"}
"""Other names of what stands in a room's log."""


class ControlApi:
    """Not part of Rocket.Chat: for tests, the demo, and people who play with it."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub, self._life = api, api.hub, api.life

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/ledger", self._guard(self._ledger)),
            Route("/_sandbox/workspace", self._guard(self._workspace)),
            Route("/_sandbox/control", self._guard(self._control), methods=["POST"]),
            Route("/_sandbox/reset", self._guard(self._reset), methods=["POST"]),
            Route("/_sandbox/pending", self._guard(self._pending)),
            Route("/_sandbox/wait", self._guard(self._wait)),
            Route("/_sandbox/wait_event", self._guard(self._wait_event)),
        ]

    def _guard(self, handler: Handler) -> Callable[[Request], Any]:
        """A wrong wish is told, never swallowed: a typo in a test must not switch a fault off."""

        async def endpoint(request: Request) -> Response:
            try:
                body = await handler(request)
            except HubError as exc:
                return reply({"ok": False, "error": exc.reason}, exc.status)
            return body if isinstance(body, Response) else reply(body)

        return endpoint

    async def _ledger(self, request: Request) -> dict[str, Any]:
        return ledger(self._hub, request.query_params.get("rid"))

    async def _workspace(self, _: Request) -> dict[str, Any]:
        return workspace(self._hub, SettingsApi(self._api).values())

    async def _control(self, request: Request) -> dict[str, Any]:
        wish = await body_of(request)
        unknown = set(wish) - set(_SENDER) - set(_LIFE) - set(_EXTERNAL) - _OTHERS - set(self._api.switches)
        if unknown:
            raise HubError("unknown", f"unknown: {', '.join(sorted(unknown))}")
        named = {each for key in ("available", "users", "two_factor", "expire_tokens") for each in wish.get(key, ())}
        strangers = named - set(self._hub.by_name)
        strangers |= set(wish.get("permissions", {})) - set(self._hub.rules.permissions)
        strangers |= {each for roles in wish.get("permissions", {}).values() for each in roles} - set(
            self._hub.rules.roles
        )
        strangers |= set(wish.get("switches", {})) - set(self._hub.switches)
        strangers |= set(wish.get("settings", {})) - set(DEFAULTS)
        for each in wish.get("fail_next", []):
            strangers |= {str(each.get("path"))} - self._api.paths - {"*"}
            strangers |= set(each) - _FAILURE
            strangers |= {f"half of {each['path']}"} if each.get("half") and each["path"] != "users.create" else set()
        if strangers:
            raise HubError("unknown", f"unknown: {', '.join(sorted(strangers))}")
        for key, (name, kind) in _SENDER.items():
            if key in wish:
                setattr(self._hub.sender, name, float(wish[key]) if kind is float else need(wish, key, kind))
        for key, kind in _LIFE.items():
            if key in wish:
                setattr(self._life, key, need(wish, key, kind))
        for key, (name, kind) in _EXTERNAL.items():
            if key in wish:
                setattr(self._life.external, name, need(wish, key, kind))
        for username, is_available in wish.get("available", {}).items():
            self._hub.by_name[username].status_livechat = "available" if is_available else "not-available"
        for username, change in wish.get("users", {}).items():
            user = self._hub.by_name[username]
            user.active, user.roles = change.get("active", user.active), set(change.get("roles", user.roles))
            user.status_livechat = (user.status_livechat or "available") if user.is_agent else ""
        self._hub.switches |= wish.get("switches", {})
        for name, value in wish.get("settings", {}).items():
            self._hub.change_setting(name, value)
        self._accounts(wish)
        self._hub.custom_fields = wish.get("custom_fields", self._hub.custom_fields)
        if "seed" in wish:
            self._hub.sender.reseed(need(wish, "seed", int))
        if "rate_limit" in wish:
            self._api.limiter.is_on = need(wish, "rate_limit", bool)
            self._api.limiter.reset()
        self._api.fail_next += wish.get("fail_next", [])
        for key, set_it in self._api.switches.items():
            if key in wish:
                set_it(wish[key])
        self._api.delay_ms = int(wish.get("rest_delay_ms", self._api.delay_ms))
        return {"ok": True}

    def _accounts(self, wish: dict[str, Any]) -> None:
        """permissions: {name: [roles]}. two_factor: {username: {totp: base32 secret, email: bool}}."""
        for name, roles in wish.get("permissions", {}).items():
            self._hub.rules.permissions[name] = frozenset(roles)
        for username, factors in wish.get("two_factor", {}).items():
            user = self._hub.by_name[username]
            user.totp_secret, user.has_email_codes = factors.get("totp", ""), factors.get("email", False)
        for username in wish.get("expire_tokens", []):
            self._hub.accounts.drop_tokens(self._hub.by_name[username])
        if (wish.get("seats") is not None or wish.get("contacts_used_up")) and self._hub.licence == "community":
            raise HubError("unknown", "limits need a licence: start the sandbox with --licence enterprise")
        self._hub.has_used_up_contacts = bool(wish.get("contacts_used_up", self._hub.has_used_up_contacts))
        self._hub.seats = wish.get("seats", self._hub.seats)
        self._api.create_race_ms = int(wish.get("create_race_ms", self._api.create_race_ms))
        self._api.create_tokens_secret = str(wish.get("create_tokens_secret", self._api.create_tokens_secret))

    async def _reset(self, _: Request) -> dict[str, Any]:
        """Conversations, ledger and pending failures go; accounts, departments, settings and rates stay."""
        await self._life.aclose()
        await self._hub.reset()
        self._api.fail_next.clear()
        self._api.limiter.reset()
        self._hub.two_factor.reset()
        return {"ok": True}

    async def _pending(self, request: Request) -> dict[str, Any]:
        """How many webhooks, injected duplicates too, are neither answered for good nor given up."""
        sender = self._hub.sender
        wait_ms = _number(request, "wait_ms", 0)
        if wait_ms:
            await self._hub.wait("", lambda: sender.unsettled == 0, wait_ms)
        return {"pending": sender.unsettled}

    async def _wait(self, request: Request) -> dict[str, Any]:
        """Until a room has `count` messages of an author (visitor, bot, agent, system, any = all but system)."""
        room, author = self._room(request), request.query_params.get("author", "any")
        count, timeout_ms = _number(request, "count", 1), _number(request, "timeout_ms", 10_000)
        kinds = ("visitor", "bot", "agent") if author == "any" else (author,)
        # Only numbers while waiting, so that long rooms cost no more than short ones.
        ok = await self._hub.wait(room.id, lambda: sum(room.counts[each] for each in kinds) >= count, timeout_ms)
        found: list[Message] = [each for each in room.messages if each.kind in kinds]
        return {"ok": ok, "messages": [message_entry(each) for each in found]}

    async def _wait_event(self, request: Request) -> dict[str, Any]:
        """Until it stands in the room's log: assigned (taken), unassigned, queued, closed; `by` names who."""
        room, query = self._room(request), request.query_params
        event, who = query.get("event", ""), query.get("by")
        what = _SAME.get(event, event)

        def happened() -> bool:
            return any(each["what"] == what and who in (None, each["who"]) for each in room.log)

        ok = await self._hub.wait(room.id, happened, _number(request, "timeout_ms", 10_000))
        return {"ok": ok, "log": room.log}

    def _room(self, request: Request) -> Room:
        room = self._hub.rooms.get(request.query_params.get("rid", ""))
        if room is None:
            raise HubError("unknown", "there is no such room", 404)
        return room


def _number(request: Request, name: str, default: int) -> int:
    try:
        return int(request.query_params.get(name, default))
    except ValueError as exc:
        raise HubError("unknown", f"{name} must be a number") from exc
