"""Everything that setup has to know of a workspace, read with the admin's token. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omnibridge.clock import Clock
from omnibridge.doctor.probe import Probe, Prober
from omnibridge.doctor.view import HubView, look, texts
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.leaves import list_of, table_of, text_of
from omnibridge.setup.wish import Account, Wish

SETTINGS = (
    "Accounts_CustomFields",
    "Accounts_AvatarCacheTime",
    "Accounts_AvatarBlockUnauthenticatedAccess",
    "Accounts_AvatarExternalProviderUrl",
    "Accounts_EmailVerification",
    "Accounts_TwoFactorAuthentication_Enabled",
    "Accounts_TwoFactorAuthentication_By_Email_Enabled",
    "Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In",
    "Livechat_External_Queue_URL",
    "Livechat_External_Queue_Token",
    "Livechat_show_agent_info",
    "UTF8_User_Names_Validation",
)
PAGE, PAGES = 100, 50


@dataclass
class AccountView:
    """user: as the admin sees it. me: with the configuration's token, None when it has none. agent: its row."""

    wish: Account
    user: Probe
    me: Probe | None = None
    agent: Probe | None = None

    @property
    def is_there(self) -> bool:
        return self.user.is_ok

    @property
    def profile(self) -> dict[str, Any]:
        return table_of(self.user.body.get("user"))

    @property
    def id(self) -> str:
        return text_of(self.profile.get("_id"))

    @property
    def username(self) -> str:
        return text_of(self.profile.get("username")) or self.wish.username

    @property
    def email(self) -> str:
        emails = list_of(self.profile.get("emails"))
        return text_of(table_of(emails[0]).get("address")) if emails else ""

    @property
    def roles(self) -> set[str]:
        return texts(self.profile.get("roles"))

    @property
    def is_available(self) -> bool:
        row = table_of(self.agent.body.get("user")) if self.agent else {}
        return "available" in (row.get("statusLivechat"), self.profile.get("statusLivechat"))

    @property
    def has_token(self) -> bool:
        """The configuration's token is valid, and of this user."""
        return bool(self.me and self.me.is_ok and text_of(self.me.body.get("_id")) == self.id)


@dataclass
class Seen:
    """hub: as `doctor` looks at it. permissions: name -> roles that hold it. roles: name -> id.

    settings: those of SETTINGS that could be read. bot_agents: user name -> id of who is bot and agent.
    serving: of those, who serves an open conversation. planned: settings as they will be after this setup.
    """

    hub: HubView
    me: Probe | None = None
    permissions: Mapping[str, set[str]] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    accounts: list[AccountView] = field(default_factory=list)
    bot_agents: dict[str, str] = field(default_factory=dict)
    serving: set[str] = field(default_factory=set)
    planned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def admin_roles(self) -> set[str]:
        return texts(self.me.body.get("roles")) if self.me and self.me.is_ok else set()

    def may(self, permission: str) -> bool:
        """Of the admin. A permission that this version does not have is nobody's to lack."""
        holders = self.permissions.get(permission)
        return holders is None or bool(holders & self.admin_roles)

    def setting(self, name: str) -> Any:
        """None when it could not be read."""
        return self.settings[name] if name in self.settings else self.hub.setting(name)

    def after(self, name: str) -> Any:
        """A setting as it will be."""
        return self.planned.get(name, self.setting(name))

    @property
    def is_enterprise(self) -> bool:
        return bool(self.hub.is_enterprise)

    @property
    def modules(self) -> set[str]:
        probe = self.hub.probes.get("licence")
        return texts(table_of(probe.body.get("license")).get("activeModules")) if probe else set()


async def see(wish: Wish, prober: Prober, clock: Clock) -> Seen:
    """prober: with the admin's credentials. Raises nothing; what could not be read is judged by others."""
    seen = Seen(await look(wish.workspace, [], prober, clock, url_is="" if wish.has_config else "--url"))
    seen.me = seen.hub.probes.get("me")
    if seen.hub.version is None or seen.me is None or not seen.me.is_ok:
        return seen
    names = [f"settings/{each}" for each in SETTINGS]
    permissions, roles, *settings = await asyncio.gather(
        prober.get("permissions.listAll"), prober.get("roles.list"), *(prober.get(each) for each in names)
    )
    rows = [table_of(each) for each in list_of(permissions.body.get("update"))]
    seen.permissions = {text_of(each.get("_id")): texts(each.get("roles")) for each in rows}
    rows = [table_of(each) for each in list_of(roles.body.get("roles"))]
    seen.roles = {text_of(each.get("name")) or text_of(each.get("_id")): text_of(each.get("_id")) for each in rows}
    found = zip(SETTINGS, settings, strict=True)
    seen.settings = {name: probe.body.get("value") for name, probe in found if probe.is_ok}
    seen.accounts = list(await asyncio.gather(*(_account(prober, each) for each in wish.accounts)))
    await _bot_agents(prober, seen)
    return seen


async def _account(prober: Prober, wish: Account) -> AccountView:
    query = {"username": wish.username} if wish.username else {"userId": wish.user_id}
    view = AccountView(wish, await prober.get("users.info", query))
    if view.id and wish.is_agent:
        view.agent = await prober.get(f"livechat/users/agent/{view.id}")
    if view.id and wish.token:
        view.me = await prober.get("me", who=Credentials(wish.user_id or view.id, wish.token))
    return view


async def _bot_agents(prober: Prober, seen: Seen) -> None:
    """Everybody whom bot-first would take: both roles, whatever else (7.2)."""
    bots = await _all(prober, "users.listByStatus", {"status": "active", "roles[]": "bot"})
    agents = {text_of(each.get("_id")) for each in await _all(prober, "livechat/users/agent", {})}
    rows = {text_of(each.get("username")): text_of(each.get("_id")) for each in bots}
    seen.bot_agents = {name: identity for name, identity in rows.items() if identity in agents}
    for name, identity in list(seen.bot_agents.items()):
        answer = await prober.get("livechat/rooms", {"agents[]": identity, "open": "true", "count": "1"})
        if answer.body.get("rooms"):
            seen.serving.add(name)


async def _all(prober: Prober, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _ in range(PAGES):
        answer = await prober.get(path, {**query, "offset": str(len(found)), "count": str(PAGE)})
        page = [table_of(each) for each in list_of(answer.body.get("users"))]
        found += page
        total = answer.body.get("total")
        if not page or not isinstance(total, int) or len(found) >= total:
            break
    return found
