"""What one workspace answers: every call that the checks need, made side by side. Source: rocketchat-api.

Four waves at most: is it there; what the accounts may read; details of what was found; the webhook's round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omnibridge.clock import Clock
from omnibridge.config import WorkspaceSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.doctor.probe import Probe, Prober
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.leaves import list_of, table_of, text_of
from omnibridge.rocketchat.versions import Version, read_version

PUBLIC = (
    "Livechat_enabled",
    "Livechat_Routing_Method",
    "Message_MaxAllowedSize",
    "Hide_System_Messages",
    "Accounts_CustomFields",
)
PRIVILEGED = (
    "Livechat_assign_new_conversation_to_bot",
    "Livechat_accept_chats_with_no_agents",
    "API_Enable_Rate_Limiter",
)
"""Need `view-privileged-setting`, which the relay account has not by default: asked all the same."""

NO_ROOM = "omnibridge-doctor"
"""Id of a conversation that does not exist."""

DEPARTMENTS_SHOWN = 100

READS: Mapping[str, tuple[str, dict[str, str]]] = {
    "me": ("me", {}),
    "public": ("settings.public", {"_id": ",".join(PUBLIC), "count": "50"}),
    "webhook": ("livechat/integrations.settings", {}),
    "rooms": ("livechat/rooms", {"open": "true", "count": "1"}),
    "agents": ("livechat/users/agent", {"count": "100"}),
    "available": ("livechat/users/agent", {"onlyAvailable": "true", "count": "100"}),
    "departments": ("livechat/department", {"count": str(DEPARTMENTS_SHOWN)}),
    "inquiry": ("livechat/inquiries.getOne", {"roomId": NO_ROOM}),
    "bots": ("users.listByStatus", {"status": "active", "roles[]": "bot", "count": "100"}),
    "licence": ("licenses.info", {}),
    "permissions": ("permissions.listAll", {}),
    **{f"setting:{each}": (f"settings/{each}", {}) for each in PRIVILEGED},
}
TRIES: Mapping[str, tuple[str, dict[str, str]]] = {
    "forward": ("livechat/room.forward", {"roomId": NO_ROOM, "departmentId": NO_ROOM}),
    "close": ("livechat/room.closeByUser", {"rid": NO_ROOM, "comment": "omnibridge doctor"}),
}
"""Refused because there is no such conversation, or already because the account may not: nothing changes."""


@dataclass
class BotView:
    """A connection's user. user: as the relay account sees it. me: as it sees itself, with its own token.

    id: as the relay account sees it, else of the configuration. agent: its row among the agents.
    swapped_with: whose token it is when it is not its own.
    """

    settings: ConnectionSettings
    user: Probe
    id: str = ""
    me: Probe | None = None
    agent: Probe | None = None
    avatar: Probe | None = None
    swapped_with: str = ""

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def profile(self) -> dict[str, Any]:
        return table_of(self.user.body.get("user"))


@dataclass
class HubView:
    """info: `/api/info`. taken_at_ms: our clock in the middle of that call. version: None when it is no Rocket.Chat.

    url_is: where its address was given, when not in the configuration.
    """

    settings: WorkspaceSettings
    info: Probe
    taken_at_ms: int
    version: Version | None = None
    probes: dict[str, Probe] = field(default_factory=dict)
    bots: list[BotView] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=dict)
    """Department name -> ids of its agents."""
    url_is: str = ""

    @property
    def url_setting(self) -> str:
        return self.url_is or f"[[workspace]] {self.settings.name}: url"

    @property
    def is_known(self) -> bool:
        """The relay account is logged in."""
        return "me" in self.probes and self.probes["me"].is_ok

    @property
    def roles(self) -> set[str]:
        return texts(self.probes["me"].body.get("roles")) if self.is_known else set()

    def rows(self, probe: str, key: str) -> list[dict[str, Any]]:
        """A list of an answer; empty without one."""
        return [table_of(each) for each in list_of(self.probes[probe].body.get(key))] if probe in self.probes else []

    def setting(self, name: str) -> Any:
        """A setting's value; None when it cannot be read."""
        if name in PRIVILEGED:
            probe = self.probes.get(f"setting:{name}")
            return probe.body.get("value") if probe and probe.is_ok else None
        for source in ("public", "webhook"):
            for row in self.rows(source, "settings"):
                if row.get("_id") == name:
                    return row.get("value")
        return None

    @property
    def departments(self) -> list[dict[str, Any]]:
        return self.rows("departments", "departments")

    @property
    def is_enterprise(self) -> bool | None:
        """Whether the licence has `livechat-enterprise`; None when it is not told."""
        probe = self.probes.get("licence")
        if probe is None or not probe.is_ok:
            return None
        return "livechat-enterprise" in texts(table_of(probe.body.get("license")).get("activeModules"))


def texts(raw: Any) -> set[str]:
    return {each for each in list_of(raw) if isinstance(each, str)}


def relay_credentials(workspace: WorkspaceSettings) -> Credentials:
    return Credentials(workspace.user_id, workspace.auth_token.get_secret_value())


async def look(
    workspace: WorkspaceSettings,
    connections: list[ConnectionSettings],
    prober: Prober,
    clock: Clock,
    url_is: str = "",
) -> HubView:
    """Waves one to three. Raises nothing."""
    began = clock.now_ms()
    info = await prober.get("/api/info")
    view = HubView(workspace, info, (began + clock.now_ms()) // 2, url_is=url_is)
    view.version = read_version(dict(info.body)) if info.status == 200 else None
    if view.version is None:
        return view
    calls = {name: prober.get(path, query) for name, (path, query) in READS.items()}
    calls |= {name: prober.post(path, body) for name, (path, body) in TRIES.items()}
    users = [prober.get("users.info", {"username": each.rocketchat_user}) for each in connections]
    found = await asyncio.gather(*calls.values(), *users)
    view.probes = dict(zip(calls, found, strict=False))
    view.bots = [BotView(each, user) for each, user in zip(connections, found[len(calls) :], strict=True)]
    await asyncio.gather(*(_look_at_bot(prober, each) for each in view.bots), _look_at_departments(prober, view))
    return view


async def _look_at_bot(prober: Prober, bot: BotView) -> None:
    bot.id = text_of(bot.profile.get("_id")) or bot.settings.rocketchat_user_id
    if not bot.id:
        return
    own = Credentials(bot.id, bot.settings.rocketchat_token.get_secret_value())
    bot.me, bot.agent, bot.avatar = await asyncio.gather(
        prober.get("me", who=own),
        prober.get(f"livechat/users/agent/{bot.id}"),
        prober.get(f"/avatar/{bot.settings.rocketchat_user}"),
    )


async def _look_at_departments(prober: Prober, view: HubView) -> None:
    """Members of the first 20: a page of answers, not a survey."""
    ids = {text_of(each.get("_id")): text_of(each.get("name")) for each in view.departments[:20]}
    found = await asyncio.gather(*(prober.get(f"livechat/department/{each}/agents", {"count": "100"}) for each in ids))
    for name, probe in zip(ids.values(), found, strict=True):
        rows = (table_of(each) for each in list_of(probe.body.get("agents")))
        view.members[name] = {text_of(each.get("agentId")) for each in rows}


async def find_owner(prober: Prober, view: HubView, token: str, not_of: str) -> str:
    """Whose token it is, among the users that our configuration names; empty when none of theirs."""
    others = {view.settings.user_id: "the relay account"}
    others |= {each.id: f"the user of connection {each.name}" for each in view.bots if each.id}
    others.pop(not_of, None)
    found = await asyncio.gather(*(prober.get("me", who=Credentials(each, token)) for each in others))
    return next((name for name, probe in zip(others.values(), found, strict=True) if probe.is_ok), "")
