"""A connection's own user: there, active, itself, in its roles, available, and not in the way of others.

Source: rocketchat-api 3.2, 3.5, 3.6, 7.1, 7.2.
"""

from __future__ import annotations

from collections import Counter

from omnibridge.config import WorkspaceSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.doctor.accounts import EDIT_ROLES, limited, refused
from omnibridge.doctor.finding import ACCOUNT, HUB, OURS, Finding, ok, problem, warning
from omnibridge.doctor.view import BotView, HubView, texts
from omnibridge.rocketchat.leaves import table_of, text_of

ROLES = {"bot", "livechat-agent"}
TOO_MUCH = {"admin", "livechat-manager", "livechat-monitor"}

MAKE_AVAILABLE = "Omnichannel > Agents > {user} > Edit > Status: Available, then Save"


def user(view: HubView, bot: BotView) -> Finding | None:
    """There, active, and the one whose id we were given. Needs the relay account."""
    name, setting = bot.settings.rocketchat_user, f"[[connection]] {bot.name}"
    if not view.is_known or bot.user.is_forbidden:
        return None
    if bot.user.trouble:
        return problem("bot user", bot.user.trouble.side, bot.user.outcome(), bot.user.trouble.do)
    if not bot.user.is_ok:
        do = f"Workspace > Users > New: user name {name}; or correct {setting}: rocketchat_user"
        return problem("bot user", ACCOUNT, f"there is no user {name}: {bot.user.outcome()}", do)
    if bot.profile.get("active") is False:
        return problem("bot user", ACCOUNT, f"{name} is deactivated", f"Workspace > Users > {name} > Activate")
    if bot.settings.rocketchat_user_id not in ("", bot.id):
        found = f"rocketchat_user_id is not the id of {name}, which is {bot.id}"
        return problem("bot user", OURS, found, f"correct or remove {setting}: rocketchat_user_id")
    return ok("bot user", f"{name} is there and active")


def token(view: HubView, bot: BotView) -> Finding | None:
    """Valid, and of that user. Not asked for who is not there or not active: that is said already."""
    is_missing = view.is_known and bot.user.status == 400
    if bot.me is None or is_missing or _is_inactive(bot):
        return None
    setting = f"[[connection]] {bot.name}: rocketchat_token"
    if not bot.me.is_ok:
        return refused(bot.me, "bot token", setting, bot.swapped_with)
    username = text_of(bot.me.body.get("username"))
    if username != bot.settings.rocketchat_user:
        found = f"the token is that of {username}, not of {bot.settings.rocketchat_user}"
        do = f"correct {setting}, or rocketchat_user and rocketchat_user_id"
        return problem("bot token", OURS, found, do)
    return ok("bot token", f"valid, user {username}")


def roles(view: HubView, bot: BotView) -> Finding | None:
    """As the bot sees itself: others may not read its roles (3.2)."""
    if bot.me is None or not bot.me.is_ok:
        return None
    found, name = texts(bot.me.body.get("roles")), bot.settings.rocketchat_user
    where = EDIT_ROLES.format(user=name)
    missing, surplus = sorted(ROLES - found), sorted(found - ROLES)
    if "livechat-agent" in missing:
        do = f"Omnichannel > Agents > Add agent: {name}; that gives the role and makes it available"
        return problem("bot roles", ACCOUNT, f"{name} is no agent: it lacks livechat-agent", do)
    if missing:
        why = "so routing and the rate limiter take it for a person"
        return problem("bot roles", ACCOUNT, f"{name} lacks bot, {why}", f"{where}: add bot")
    if TOO_MUCH & found:
        listed = " and ".join(sorted(TOO_MUCH & found))
        return problem("bot roles", ACCOUNT, f"{name} holds {listed}: far more than a bot needs", f"{where}: take away")
    if surplus:
        listed = " and ".join(surplus)
        found_text = f"{name} holds {listed} besides bot and livechat-agent"
        return warning("bot roles", ACCOUNT, found_text, f"{where}: take {listed} away, unless it is meant")
    return ok("bot roles", "bot and livechat-agent")


def available(view: HubView, bot: BotView) -> Finding | None:
    """Only who is available can be given a conversation, or take one: presence does not matter, this does (7.2)."""
    name, status = bot.settings.rocketchat_user, _status(bot)
    if status == "available":
        return ok("bot available", f"{name} is available as an agent")
    is_agent = bot.me is not None and "livechat-agent" in texts(bot.me.body.get("roles"))
    if not is_agent:
        return None
    found = f"{name} is {status or 'not set available'}: routing passes it over, taking and forwarding are refused"
    return problem("bot available", ACCOUNT, found, MAKE_AVAILABLE.format(user=name))


def rate_limit(view: HubView, bot: BotView) -> Finding | None:
    """Its posts are counted as well."""
    if bot.me is None or not bot.me.is_ok or "bot" not in texts(bot.me.body.get("roles")):
        return None
    return limited(bot.me, "bot rate limit")


def departments(view: HubView, bot: BotView) -> Finding | None:
    """Auto Selection gives a forwarded conversation to the member with the fewest, bots included (7.1)."""
    member_of = sorted(name for name, members in view.members.items() if bot.id in members)
    if not member_of or view.setting("Livechat_Routing_Method") != "Auto_Selection":
        return None
    listed = ", ".join(member_of)
    found = f"is a member of {listed}: Auto Selection may give it back what was handed over to {listed}"
    do = f"Omnichannel > Departments > {listed} > Agents: remove it, unless it shall answer that department's visitors"
    return warning("bot departments", HUB, found, do)


def avatar(view: HubView, bot: BotView) -> Finding | None:
    """Browsers keep pictures for so long; said so that nobody is surprised."""
    told = bot.avatar.header("cache-control") if bot.avatar else ""
    seconds = told.rpartition("max-age=")[2].split(",")[0].strip()
    if not seconds.isdigit():
        return None
    return ok("bot avatar", f"a new picture is seen by everybody after {int(seconds)} s (Accounts_AvatarCacheTime)")


def shared(workspace: WorkspaceSettings, connections: list[ConnectionSettings]) -> list[Finding]:
    """Who serves tells which connection has control: one user for each, and never the relay account's."""
    counts = Counter(each.rocketchat_user for each in connections)
    found = []
    for each in connections:
        if counts[each.rocketchat_user] > 1:
            do = "give each [[connection]] a user of its own"
            text = f"{each.rocketchat_user} is the user of {counts[each.rocketchat_user]} connections"
            found.append(problem("bot user of its own", OURS, text, do).about(workspace.name, each.name))
        elif each.rocketchat_user_id == workspace.user_id:
            text = "is the relay account: then our own posts cannot be told from the bot's"
            do = f"give [[connection]] {each.name} a user of its own"
            found.append(problem("bot user of its own", OURS, text, do).about(workspace.name, each.name))
    return found


def strangers(view: HubView) -> Finding | None:
    """Other idle users with bot + livechat-agent are given new conversations as ours are (7.1, 7.2)."""
    if not view.is_known or not view.probes["bots"].is_ok:
        return None
    agents = {text_of(each.get("_id")) for each in view.rows("agents", "users")}
    ours = {each.id for each in view.bots} | {each.settings.rocketchat_user for each in view.bots}
    if view.setting("Livechat_Routing_Method") == "External":  # it is meant to get them
        ours |= {view.settings.holding_bot, *view.settings.holding_bots.values()}
    names = [
        text_of(each.get("username"))
        for each in view.rows("bots", "users")
        if text_of(each.get("_id")) in agents and not {text_of(each.get("_id")), text_of(each.get("username"))} & ours
    ]
    if not names:
        return ok("other bots", "no other user is bot and agent")
    found = f"{', '.join(names)}: bot and agent too, so Rocket.Chat may give new conversations to it instead of ours"
    do = "Omnichannel > Agents: remove it while it has nothing to serve, unless that is meant"
    return warning("other bots", ACCOUNT, found, do)


def people(view: HubView) -> Finding | None:
    """Somebody to hand over to."""
    if not view.is_known or not view.probes["available"].is_ok:
        return None
    bots = {each.id for each in view.bots} | {text_of(each.get("_id")) for each in view.rows("bots", "users")}
    n_people = sum(text_of(each.get("_id")) not in bots for each in view.rows("available", "users"))
    if n_people:
        return ok("people", f"{n_people} available to hand over to")
    do = "Omnichannel > Agents > Add agent; each of them then has to switch himself to available"
    return warning("people", HUB, "nobody but bots is available now: visitors who ask for a person are told so", do)


def _is_inactive(bot: BotView) -> bool:
    return bot.profile.get("active") is False


def _status(bot: BotView) -> str:
    """From the row among the agents, else from the profiles: not every version tells it everywhere."""
    if _is_inactive(bot):
        return ""
    row = table_of(bot.agent.body.get("user")) if bot.agent else {}
    own = bot.me.body if bot.me else {}
    return next(
        (text_of(each.get("statusLivechat")) for each in (row, bot.profile, own) if each.get("statusLivechat")), ""
    )


CHECKS = (user, token, roles, available, rate_limit, departments, avatar)
