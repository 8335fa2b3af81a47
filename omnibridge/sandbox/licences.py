"""What the workspace's licence allows: modules, departments, seats. Source: rocketchat-api 13.

The error about seats was read in the server's `seatsCap` hooks and its English texts.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Any

from omnibridge.sandbox.state import HubError, User

if TYPE_CHECKING:
    from omnibridge.sandbox.hub import SimulatedHub

MODULES = {
    "community": [],
    "enterprise": ["livechat-enterprise", "canned-responses", "custom-roles", "contact-id-verification"],
}


def has_module(hub: SimulatedHub, module: str) -> bool:
    return module in MODULES[hub.licence]


def need_module(hub: SimulatedHub, module: str) -> None:
    if not has_module(hub, module):
        raise HubError("error-action-not-allowed", "This is an enterprise feature")


def takes_seat(roles: Set[str]) -> bool:
    """Guests take none; users with the role bot do: only the *type* bot is free, and REST makes no such users."""
    return set(roles) != {"guest"}


def seats_used(hub: SimulatedHub) -> int:
    return sum(each.active and takes_seat(each.roles) for each in hub.users.values())


def check_seat(hub: SimulatedHub, roles: Set[str]) -> None:
    """Raises HubError when one more active user is one too many. Unlicensed workspaces have no such limit."""
    limit = hub.seats if hub.licence != "community" else None
    if limit is not None and takes_seat(roles) and seats_used(hub) >= limit:
        raise HubError("error-license-user-limit-reached", "The maximum number of users has been reached.")


def check_contacts(hub: SimulatedHub) -> None:
    """Raises HubError once the licence's monthly active contacts are used up: for take, forward and agents' posts."""
    if hub.licence != "community" and hub.has_used_up_contacts:
        raise HubError("error-mac-limit-reached", "MAC limit reached")


def is_full(hub: SimulatedHub, user: User) -> bool:
    """Serves as many as he may: counted only with the waiting queue of the enterprise, and never for bots (7.2)."""
    if user.is_bot_agent or not hub.settings["Livechat_waiting_queue"] or not has_module(hub, "livechat-enterprise"):
        return False
    limit = user.max_chats or int(hub.settings["Livechat_maximum_chats_per_agent"])
    return bool(limit) and user.open_chats >= limit


def licence_json(hub: SimulatedHub, *, is_whole: bool) -> dict[str, Any]:
    """Modules are told to anybody who is logged in, limits only to the privileged (6.3). -1 = no limit."""
    shown: dict[str, Any] = {"activeModules": MODULES[hub.licence]}
    if not is_whole:
        return {"license": shown}
    seats = hub.seats if hub.licence != "community" and hub.seats is not None else -1
    private_apps = 3 if hub.version < (7, 0) else 0
    shown["limits"] = {
        "activeUsers": {"max": seats, "value": seats_used(hub)},
        "privateApps": {"max": -1 if hub.licence != "community" else private_apps, "value": 0},
    }
    if hub.licence != "community":
        shown["license"] = {"information": {"trial": False}, "grantedModules": MODULES[hub.licence]}
    return {"license": shown}
