"""What speaks against a setup, and what the admin should know: permissions by name, licence, settings, proxies.

Nothing is changed while one of these is a problem. Source: rocketchat-api 1.4, 3.6, 7.1 to 7.3, 13, 15.
"""

from __future__ import annotations

from collections.abc import Iterable

from omnibridge.doctor import hub_settings, reach, rights
from omnibridge.doctor.finding import ACCOUNT, HUB, OURS, Finding, ok, problem, warning
from omnibridge.doctor.rights import PERMISSIONS
from omnibridge.setup.look import AccountView, Seen
from omnibridge.setup.record import Record
from omnibridge.setup.wish import PROVISIONER_ROLE, Wish

READS = {
    "view-privileged-setting": "reads the settings that it checks",
    "view-full-other-user-info": "sees roles and addresses of the accounts",
    "view-livechat-manager": "reads and writes the webhook's settings, makes agents",
    "view-livechat-rooms": "looks who serves a conversation",
    "view-d-room": "lists the bots",
}
"""Of the admin, whatever there is to do."""

OF_TOKENS: rights.Needs = {
    ("user",): {"create-personal-access-tokens": "makes the accounts' tokens; they hold this role meanwhile"},
}

AUTO = ("Auto_Selection", "Load_Balancing", "Load_Rotation")


def judge(
    wish: Wish, seen: Seen, needs: Iterable[tuple[str, str]], record: Record, *, makes_tokens: bool = False
) -> list[Finding]:
    """Everything that can be said before the first change. needs: (permission, what for) of the steps to come.

    makes_tokens: they will.
    """
    found: list[Finding | None] = [each(seen.hub) for each in reach.CHECKS]
    if seen.hub.version is None:
        return [each for each in found if each]
    if seen.me is None or not seen.me.is_ok:
        found.append(_admin(seen))
        return [each for each in found if each]
    found += [admin_permissions(seen, needs), role_permissions(seen, makes_tokens)]
    found.append(hub_settings.enabled(seen.hub))
    found.append(None if wish.external else hub_settings.routing(seen.hub))
    found += [hub_settings.licence(seen.hub), hub_settings.message_size(seen.hub)]
    found += [
        hub_settings.hidden(seen.hub),
        avatars(wish, seen),
        bot_first(wish, seen),
        proxies(wish, seen),
        serving(wish, seen),
    ]
    found.append(log_ins(seen) if makes_tokens else None)
    found += [account(each, record) for each in seen.accounts]
    found.append(provisioner_role(wish, seen))
    return [each for each in found if each]


def _admin(seen: Seen) -> Finding:
    outcome = seen.me.outcome() if seen.me else "no answer"
    do = "--admin-user-id and the token must be of one administrator; make a token in Profile > Personal Access Tokens"
    return problem("admin", ACCOUNT, f"the admin is not logged in: {outcome}", do)


def admin_permissions(seen: Seen, needs: Iterable[tuple[str, str]]) -> Finding:
    """By name, with what each is for: from the workspace's own table, so nothing is tried out."""
    if not seen.permissions:
        return problem("admin permissions", HUB, "permissions.listAll was refused", "run setup with another admin")
    wanted = {**READS, **dict(needs)}
    lacking = {name: why for name, why in wanted.items() if not seen.may(name)}
    lists = ("transfer-livechat-guest", "edit-omnichannel-contact")
    if not any(seen.may(each) for each in lists):
        lacking[" or ".join(lists)] = "lists the agents"
    if not lacking:
        return ok("admin permissions", f"all {len(wanted) + 1} that this takes")
    found = "; ".join(f"{name} ({why})" for name, why in lacking.items())
    roles = " or ".join(sorted(seen.admin_roles)) or "admin"
    do = f"{PERMISSIONS}: tick {', '.join(lacking)} for the role {roles}; or run setup with another admin"
    return problem("admin permissions", ACCOUNT, f"the admin lacks {found}", do)


def role_permissions(seen: Seen, makes_tokens: bool) -> Finding:
    """Of the roles that our accounts get. Setup does not change them: others have these roles too."""
    return rights.judged(seen.permissions, {**rights.OF_ROLES, **(OF_TOKENS if makes_tokens else {})})


def avatars(wish: Wish, seen: Seen) -> Finding:
    """What decides whether a visitor sees the right face (design 2.3)."""
    where, wrong = "Workspace > Settings > Accounts > Avatar", []
    cache = seen.setting("Accounts_AvatarCacheTime")
    if seen.setting("Accounts_AvatarBlockUnauthenticatedAccess"):
        wrong.append(("visitors are refused pictures", f"{where} > Block Unauthenticated Access: off"))
    if seen.setting("Accounts_AvatarExternalProviderUrl"):
        wrong.append(
            ("pictures come from another service, which does not know ours", f"{where} > External Provider: empty")
        )
    if seen.setting("Livechat_show_agent_info") is False:
        do = "Workspace > Settings > Omnichannel > Show agent information: on"
        wrong.append(("visitors do not see who serves them", do))
    if isinstance(cache, int) and cache > wish.agents.avatar_cache_s and wish.agents.pool_size:
        do = f"[agents] avatar_cache_s = {cache}; or {where} > Cache time: less"
        wrong.append((f"pictures are kept for {cache} s, longer than [agents] avatar_cache_s", do))
    if wrong:
        return warning("avatars", HUB, "; ".join(each for each, _ in wrong), "; ".join(do for _, do in wrong))
    return ok(
        "avatars",
        f"shown to visitors; browsers keep a picture for {cache if cache is not None else 'an unknown time in'} s",
    )


def bot_first(wish: Wish, seen: Seen) -> Finding | None:
    """External with bot-first is said by `routing`."""
    value, method = seen.after("Livechat_assign_new_conversation_to_bot"), seen.after("Livechat_Routing_Method")
    if value is None or method == "External":
        return None
    if value:
        return ok("bot first", "new conversations go to a bot first")
    if method in AUTO:
        do = hub_settings.LOOK["Livechat_assign_new_conversation_to_bot"]
        return warning("bot first", HUB, "new conversations go to whomever routing picks", do)
    return ok("bot first", "off: conversations wait, and omnibridge takes them")


def proxies(wish: Wish, seen: Seen) -> Finding:
    """Who is bot and agent gets new visitors, whether he serves or rests: so a resting proxy must be no agent.

    Bot-first asks neither for availability nor for activity; automatic routing takes whoever has the fewest (7.1, 7.2).
    """
    why = _hands_out(seen)
    resting = sorted(set(seen.bot_agents) - wish.exempt - seen.serving)
    prefix = f"{wish.agents.username_prefix}."
    theirs = {*wish.only_by_decision, wish.agents.shared_user}
    ours = [each for each in resting if each.startswith(prefix) or each in theirs]
    others = [each for each in resting if each not in ours]
    if not resting:
        return ok("resting proxies", "nobody but our bots is bot and agent, so nobody else gets new visitors")
    if not why:
        method = seen.after("Livechat_Routing_Method")
        return ok("resting proxies", f"{_few(resting)}: bot and agent, and with {method} none gets a visitor unasked")
    if ours:
        found = f"{_few(ours)}: at rest, but bot and agent, and {why}: Rocket.Chat would hand visitors to them"
        do = (
            "Omnichannel > Agents: remove them (see `omnibridge agents drift`); or setup --external: then only the "
            "holding bot gets visitors; or Manual Selection without bot first"
        )
        return problem("resting proxies", HUB, found, do)
    found = f"{_few(others)}: bot and agent, and {why}: Rocket.Chat may hand visitors to them instead of ours"
    return warning(
        "resting proxies", ACCOUNT, found, "Omnichannel > Agents: remove them while they rest, unless that is meant"
    )


def serving(wish: Wish, seen: Seen) -> Finding | None:
    """A proxy is bot and agent while it serves: then it is one of those whom bot-first and automatic routing pick."""
    reasons = _hands_out(seen)
    if not reasons or not (wish.agents.creation or wish.agents.pool_size):
        return None
    found = (
        f"users that [agents] makes are bot and agent while they serve, and {reasons}: they may be given new visitors"
    )
    do = f"{hub_settings.ROUTING} > Routing Method: External Service or Manual Selection, and bot first off"
    return warning("serving proxies", HUB, found, do)


def _hands_out(seen: Seen) -> str:
    """Why Rocket.Chat gives visitors to users who are bot and agent; empty when it does not."""
    method = seen.after("Livechat_Routing_Method")
    is_first = seen.after("Livechat_assign_new_conversation_to_bot")
    reasons = ["new conversations go to a bot first"] if is_first else []
    return " and ".join([*reasons, *([f"the routing method is {method}"] if method in AUTO else [])])


def log_ins(seen: Seen) -> Finding | None:
    """Setup logs in as the accounts that it makes, once.

    Every new user is opted in to mailed codes by default; they are asked for once his address is verified. So ours
    stay unverified, unless a log-in demands a verified address.
    """
    mails = all(
        seen.setting(f"Accounts_TwoFactorAuthentication_{each}") is True
        for each in ("Enabled", "By_Email_Enabled", "By_Email_Auto_Opt_In")
    )
    if not (mails and seen.setting("Accounts_EmailVerification")):
        return None
    found = (
        "a log-in wants a verified address (Accounts_EmailVerification), and then a mailed code: ours have no mailbox"
    )
    do = "Workspace > Settings > Accounts > Two Factor Authentication: `Auto opt in new users` off, at least for now"
    return problem("log-ins", HUB, found, do)


def account(view: AccountView, record: Record) -> Finding | None:
    """Setup changes only accounts that it made; others must be right as they are."""
    wish, check = view.wish, f"{view.wish.kind} account"
    if not view.is_there:
        if view.user.trouble or view.user.status != 400:
            return problem(check, HUB, view.user.outcome(), "run setup again")
        if wish.username:
            return None
        key = "user_id" if wish.kind == "relay" else "provisioner_user_id"
        do = f"take {key} out of the configuration, or correct it"
        return problem(check, OURS, f"there is no user of the id {wish.user_id}", do)
    change = record.find("user", view.username)
    if change and is_ours(view, change.after):
        return None
    options = {"relay": "--relay NAME", "provisioner": "--provisioner-user NAME", "holding": "--holding-bot NAME"}
    option = options.get(wish.kind, f"--bot {wish.connection}=NAME")
    if wish.needs_token and not view.has_token:
        found = (
            f"there is a user {view.username}, whom setup did not make, and no valid token of his in the configuration"
        )
        return problem(
            check, ACCOUNT, found, f"name another one: {option}; or put his user id and token into the configuration"
        )
    if view.profile.get("active") is False:
        return problem(check, ACCOUNT, f"{view.username} is deactivated", "activate him in Workspace > Users")
    missing, surplus = sorted(_role_names(view) - view.roles), sorted(view.roles - _role_names(view))
    if missing or (surplus and not wish.is_agent):
        wanted = ", ".join(sorted(wish.roles))
        found = f"{view.username} has the roles {', '.join(sorted(view.roles))}; wanted are exactly {wanted}"
        do = (
            f"Workspace > Users > {view.username} > Edit > Roles; setup changes only accounts that it made; or {option}"
        )
        return problem(check, ACCOUNT, found, do)
    if wish.is_agent and not view.is_available:
        do = f"Omnichannel > Agents > {view.username} > Edit > Status: Available, then Save"
        return problem(check, ACCOUNT, f"{view.username} is not available as an agent", do)
    has = ", with the configuration's token" if wish.needs_token else ""
    return ok(check, f"{view.username} is there{has}; setup did not make it and leaves it as it is")


def is_ours(view: AccountView, after: dict[str, object]) -> bool:
    """The user of our record: by id; before that is known by the random address that we gave him."""
    return bool(view.id) and (after.get("id") == view.id or (not after.get("id") and after.get("email") == view.email))


def provisioner_role(wish: Wish, seen: Seen) -> Finding | None:
    """Roles of one's own need a module; one that is there is used all the same (13)."""
    if not any(each.kind == "provisioner" for each in wish.accounts) or PROVISIONER_ROLE in seen.roles:
        return None
    if "custom-roles" in seen.modules:
        return ok("provisioner role", f"{PROVISIONER_ROLE} will be made")
    found = "a provisioner needs a role of its own, and this licence has no custom roles (module custom-roles)"
    do = "leave --provisioner out: agents can still be mapped to users that you make; or another licence"
    return problem("provisioner role", HUB, found, do)


def _role_names(view: AccountView) -> set[str]:
    """A provisioner's own role may have any name."""
    return {"bot"} | (view.roles - {"user", "admin"}) if view.wish.kind == "provisioner" else view.wish.roles


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
