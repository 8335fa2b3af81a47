"""Settings of the workspace that change what the bridge does. Source: rocketchat-api 2.1, 5.1, 7.1, 8.2, 13.

Where the relay account may not read one, the admin is told where to look: it must not get more rights for that.
"""

from __future__ import annotations

from omnibridge.doctor.finding import HUB, Finding, look, ok, problem, warning
from omnibridge.doctor.view import PRIVILEGED, HubView
from omnibridge.rocketchat.leaves import list_of

ROUTING = "Workspace > Settings > Omnichannel > Routing"

SYSTEM_MESSAGES = {"livechat-close", "livechat-started", "livechat_transfer_history", "command", "uj", "ul", "au", "ru"}
"""What realtime tells of a conversation's service by."""

LOOK = {
    "Livechat_assign_new_conversation_to_bot": (
        f"{ROUTING}: `Assign new conversations to bot agent` on, or new conversations go to whomever routing picks "
        "and reach the bot only by a rule"
    ),
    "Livechat_accept_chats_with_no_agents": (
        f"{ROUTING}: `Accept with No Online Agents` as you want it: off, visitors get the offline form whenever "
        "neither bot nor person is available"
    ),
    "API_Enable_Rate_Limiter": "Workspace > Settings > Rate Limiter > API Rate Limiter: may stay on for all others",
}
"""Privileged setting -> where it is, and what it should be."""


def enabled(view: HubView) -> Finding | None:
    if view.setting("Livechat_enabled") is False:
        do = "Workspace > Settings > Omnichannel > Omnichannel enabled: on"
        return problem("omnichannel", HUB, "Omnichannel is switched off: there are no conversations", do)
    return ok("omnichannel", "enabled") if view.setting("Livechat_enabled") is True else None


def routing(view: HubView) -> Finding | None:
    """What the method means for us (7.1, 7.3)."""
    method = view.setting("Livechat_Routing_Method")
    match method:
        case None:
            return None
        case "Auto_Selection":
            return ok("routing", "Auto Selection: goes to whoever is available, bots too; our rules move it from there")
        case "Manual_Selection":
            return ok("routing", "Manual Selection: conversations wait; omnibridge takes them for the bot")
        case "External":
            return _external(view)
        case "Load_Balancing" | "Load_Rotation" if view.is_enterprise is False:
            found = f"{method} needs the module livechat-enterprise, which the licence has not"
            return problem("routing", HUB, found, f"{ROUTING} > Routing Method: Auto Selection")
        case "Load_Balancing" | "Load_Rotation":
            return ok("routing", f"{method}: counts bots as agents; a chat limit does not stop them")
    found = f"{method}: not a method that we know"
    return warning("routing", HUB, found, f"{ROUTING} > Routing Method: Auto Selection, or try a conversation by hand")


def _external(view: HubView) -> Finding:
    """We answer it when a holding bot and the token are set; bot-first goes before it (7.2, 7.3)."""
    ours = view.settings
    holders = sorted({ours.holding_bot, *ours.holding_bots.values()} - {""})
    if not ours.external_token.reveal() or not holders:
        found = (
            "External Service: Rocket.Chat asks a service for each conversation, and omnibridge is not set up for it; "
            "without an answer visitors are told that nobody is online"
        )
        do = f"set holding_bot and external_token of the [[workspace]], or {ROUTING} > Routing Method: Auto Selection"
        return warning("routing", HUB, found, do)
    if view.setting("Livechat_assign_new_conversation_to_bot"):
        found = "External Service, but new conversations go to a bot first: it is not asked for them"
        return warning("routing", HUB, found, f"{ROUTING} > Assign new conversations to bot agent: off")
    return ok("routing", f"External Service: answered with {', '.join(holders)}; our rules decide from there")


def licence(view: HubView) -> Finding | None:
    """Departments are what a bridge meets of the gates; the rest is named so that nobody looks for it (13)."""
    if view.is_enterprise is None or not view.is_known:
        return None
    if view.is_enterprise:
        return ok("licence", "livechat-enterprise: departments without limit, queue limits, business hours")
    n_departments = len(view.departments)
    if n_departments > 1:
        found = f"{n_departments} departments, and a licence for one: none can be added, and some may stop working"
        return warning("licence", HUB, found, "renew the licence, or route with one department")
    return ok("licence", "community: one department, no waiting queue, no chat limits; omnibridge needs none of them")


def message_size(view: HubView) -> Finding | None:
    """A longer answer is refused whole (5.1)."""
    size = view.setting("Message_MaxAllowedSize")
    if not isinstance(size, int) or isinstance(size, bool):
        return None
    if 0 < size < 5000:
        do = "Workspace > Settings > Message > Maximum Allowed Characters Per Message: 5000"
        return warning("message size", HUB, f"answers longer than {size} characters are refused, not cut", do)
    return ok("message size", f"{size} characters")


def hidden(view: HubView) -> Finding | None:
    """Realtime leaves hidden system messages out; webhooks and REST carry them (8.2)."""
    value = view.setting("Hide_System_Messages")
    names = [each for each in list_of(value) if isinstance(each, str)]
    if value is None:
        return None
    if view.settings.realtime and (missed := sorted(SYSTEM_MESSAGES & set(names))):
        do = "Workspace > Settings > Message > Hide System Messages: take these out; or [[workspace]] realtime = false"
        return warning("hidden system messages", HUB, f"{', '.join(missed)}: realtime does not report them", do)
    return ok("hidden system messages", f"{', '.join(names) or 'none'}; no harm: omnibridge uses webhooks and REST")


def look_yourself(view: HubView) -> Finding | None:
    """What this account may not read, by design."""
    if not view.is_known:
        return None
    unread = [LOOK[name] for name in PRIVILEGED if view.setting(name) is None]
    if not unread:
        return bot_first(view)
    found = f"{len(unread)} settings that this account may not read, and should not: look once yourself"
    return look("settings to look at", HUB, found, "; ".join(unread))


def bot_first(view: HubView) -> Finding:
    """Only when the account may read privileged settings."""
    if view.setting("Livechat_assign_new_conversation_to_bot"):
        return ok("settings to look at", "all read; new conversations go to a bot first")
    found = "new conversations do not go to a bot first: the rules have to move them"
    return warning("settings to look at", HUB, found, LOOK["Livechat_assign_new_conversation_to_bot"])


CHECKS = (enabled, routing, licence, message_size, hidden, look_yourself)
