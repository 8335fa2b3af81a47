"""The relay account: its token, its roles, what it may do. Source: rocketchat-api 1.4-1.6, 15; roles: our own rule."""

from __future__ import annotations

from omnibridge.doctor.finding import ACCOUNT, HUB, NETWORK, OURS, Finding, ok, problem, warning
from omnibridge.doctor.probe import Probe
from omnibridge.doctor.view import HubView
from omnibridge.rocketchat.leaves import text_of

ROLES = {"bot", "livechat-manager"}

MAKE_ANEW = (
    "log in as that user, Profile > Personal Access Tokens > Add, with `Ignore Two Factor Authentication`; "
    "roles bot and livechat-manager alone may not make one: deploy/README.md says how"
)
EDIT_ROLES = "Workspace > Users > {user} > Edit > Roles"

NEEDED = {
    "rooms": ("view-livechat-rooms", "reads conversations that others serve"),
    "departments": ("view-livechat-departments", "names the departments to hand over to"),
    "agents": ("transfer-livechat-guest or edit-omnichannel-contact", "lists who could take a conversation"),
    "inquiry": ("view-l-room", "takes waiting conversations for the bot"),
    "forward": ("view-l-room and transfer-livechat-guest", "hands conversations over"),
    "close": ("close-livechat-room", "closes conversations"),
    "webhook": ("view-livechat-manager", "compares the webhook's settings with ours"),
}
"""Probe -> the permission it shows, and what omnibridge does with it."""


def token(view: HubView) -> Finding | None:
    """Valid, and that user's. Whose token it is otherwise is looked up by the caller."""
    me = view.probes.get("me")
    if me is None:
        return None
    setting = f"[[workspace]] {view.settings.name}"
    if me.is_ok:
        if text_of(me.body.get("_id")) != view.settings.user_id:
            return problem("relay token", OURS, "the token belongs to another user", f"correct {setting}: user_id")
        return ok("relay token", f"valid, user {text_of(me.body.get('username'))}")
    return refused(me, "relay token", f"{setting}: user_id and auth_token", "")


def refused(me: Probe, check: str, setting: str, owner: str) -> Finding:
    """A `me` that was not answered with a profile. owner: whose token it is, if we know."""
    if me.trouble:
        return problem(check, me.trouble.side, me.outcome(), me.trouble.do)
    if owner:
        return problem(check, OURS, f"{me.outcome()}: this is the token of {owner}", f"correct {setting}")
    if me.code == "totp-required":
        return problem(check, ACCOUNT, f"{me.outcome()}: the token asks for a second factor", f"a new one: {MAKE_ANEW}")
    if me.status == 429 or me.code == "error-too-many-requests":
        do = "wait a minute and run doctor again; give the account the role bot, which lifts the limit"
        return problem(check, ACCOUNT, f"{me.outcome()}: Rocket.Chat asks to slow down", do)
    if me.status == 401:
        found = f"{me.outcome()}: the token is wrong or was removed, is not this user's, or the user is deactivated"
        return problem(check, ACCOUNT, found, f"compare {setting}; else make a new token: {MAKE_ANEW}")
    if me.status >= 500:
        return problem(check, HUB, me.outcome(), "look into Rocket.Chat's own log")
    return problem(check, NETWORK, me.outcome(), "see what the proxy in front of Rocket.Chat does with /api/v1/me")


def roles(view: HubView) -> Finding | None:
    """Exactly two. More would let a leaked token do more than our work needs."""
    if not view.is_known:
        return None
    user = text_of(view.probes["me"].body.get("username"))
    where = EDIT_ROLES.format(user=user)
    missing, surplus = sorted(ROLES - view.roles), sorted(view.roles - ROLES)
    if missing:
        return problem("relay roles", ACCOUNT, f"{user} lacks {_list(missing)}", f"{where}: add {_list(missing)}")
    if surplus:
        found = f"{user} holds {_list(surplus)} besides bot and livechat-manager: more than it needs"
        return problem("relay roles", ACCOUNT, found, f"{where}: take {_list(surplus)} away")
    return ok("relay roles", "bot and livechat-manager, nothing more")


def permissions(view: HubView) -> Finding | None:
    """Tried with calls that change nothing. Only with the right roles: what follows from wrong ones is said there."""
    if not view.is_known or view.roles != ROLES:
        return None
    lacking = [needed for name, needed in NEEDED.items() if view.probes[name].is_forbidden]
    if lacking:
        found = "; ".join(f"may not {_plain(what)} ({permission})" for permission, what in lacking)
        do = "Workspace > Permissions: tick these for the role livechat-manager (they are, by default)"
        return problem("relay permissions", HUB, f"the roles are right, but the relay account {found}", do)
    silent = [view.probes[name] for name in NEEDED if view.probes[name].trouble]
    if silent:
        trouble = silent[0].trouble
        assert trouble
        found = f"{len(silent)} of {len(NEEDED)} calls got no answer: {silent[0].outcome()}"
        return problem("relay permissions", trouble.side, found, trouble.do)
    lists = ("rooms", "departments", "agents", "webhook")  # the others name what does not exist: 404 is an answer
    odd = [
        view.probes[name]
        for name in NEEDED
        if view.probes[name].status >= 500 or (view.probes[name].status == 404 and name in lists)
    ]
    if odd:
        found = f"{len(odd)} of {len(NEEDED)} calls failed: {odd[0].outcome()}"
        return warning("relay permissions", HUB, found, "look into Rocket.Chat's log; does a proxy filter paths?")
    return ok("relay permissions", f"{len(NEEDED)} of {len(NEEDED)} calls are allowed")


def rate_limit(view: HubView) -> Finding | None:
    """The limiter names itself in the headers of whom it counts."""
    if not view.is_known or "bot" not in view.roles:
        return None
    return limited(view.probes["me"], "relay rate limit")


def limited(me: Probe, check: str) -> Finding | None:
    """10 calls a minute and route by default: far too few for a relay."""
    limit = me.header("x-ratelimit-limit")
    if not limit:
        return ok(check, "not limited")
    found = f"limited to {limit} calls a minute for each route, although it has the role bot"
    return problem(check, HUB, found, "Workspace > Permissions: tick api-bypass-rate-limit for the role bot")


def _plain(what: str) -> str:
    """`reads x` -> `read x`."""
    verb, _, rest = what.partition(" ")
    return f"{verb.removesuffix('s')} {rest}"


def _list(roles: list[str]) -> str:
    return " and ".join(roles)


CHECKS = (roles, permissions, rate_limit)
