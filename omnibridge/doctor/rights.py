"""What the roles of our accounts must be allowed to, from the workspace's own table. Source: rocketchat-api 1.4, 15.

Anybody who is logged in may read that table, so nothing is tried out; the table of setup is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from omnibridge.doctor.accounts import NEEDED
from omnibridge.doctor.finding import HUB, Finding, ok, problem
from omnibridge.doctor.view import HubView, texts
from omnibridge.rocketchat.leaves import text_of

PERMISSIONS = "Workspace > Permissions"
Needs = Mapping[tuple[str, ...], Mapping[str, str]]

OF_ROLES: Needs = {
    ("livechat-manager",): {
        "view-l-room": "takes waiting conversations",
        "view-livechat-rooms": "reads conversations that others serve",
        "view-livechat-departments": "names the departments to hand over to",
        "view-livechat-manager": "compares the webhook's settings",
        "transfer-livechat-guest": "hands conversations over",
        "close-livechat-room": "closes conversations",
        "close-others-livechat-room": "closes conversations that others serve",
    },
    ("bot",): {
        "api-bypass-rate-limit": "makes more than ten calls a minute",
        "message-impersonate": "shows colleagues whose words it posts",
    },
    ("livechat-agent", "bot"): {"view-l-room": "takes part in the conversations that it serves"},
}
"""What the accounts need, by the roles of which one must hold it."""


def judged(permissions: Mapping[str, set[str]], wanted: Needs, said: Iterable[str] = ()) -> Finding:
    """permissions: name -> roles that hold it; one that this version does not have is nobody's to lack.

    said: names that another check tells of.
    """
    lacking = [
        (name, why, roles)
        for roles, names in wanted.items()
        for name, why in names.items()
        if name in permissions and not permissions[name] & set(roles) and name not in set(said)
    ]
    if not lacking:
        return ok("account permissions", "the roles hold what our accounts need")
    found = "; ".join(f"{' and '.join(roles)} may not: {name} ({why})" for name, why, roles in lacking)
    do = "; ".join(f"{PERMISSIONS}: tick {name} for the role {roles[0]}" for name, _, roles in lacking)
    return problem("account permissions", HUB, found, f"{do}; they hold it by default")


def check(view: HubView) -> Finding | None:
    """None when the table could not be read."""
    permissions = {text_of(each.get("_id")): texts(each.get("roles")) for each in view.rows("permissions", "update")}
    if not view.is_known or not permissions:
        return None
    tried = {name for probe, (needs, _) in NEEDED.items() if view.probes[probe].is_forbidden for name in needs.split()}
    limited = {"api-bypass-rate-limit"} if view.probes["me"].header("x-ratelimit-limit") else set()
    return judged(permissions, OF_ROLES, tried | limited)
