"""Settings in, the parts of `identity` out: for the running service, and for commands without one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from omnibridge.assignment.agents import AgentSender, MappedAgents, MappedFirst
from omnibridge.assignment.capacity import Capacity
from omnibridge.assignment.telling import PresenceTeller
from omnibridge.bootstrap_common import Common
from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.config_agents import AgentsSettings
from omnibridge.connector.signing import read_secrets
from omnibridge.engine.hub import Hub
from omnibridge.http import Client, create_client
from omnibridge.identity import upkeep
from omnibridge.identity.admin import Admin
from omnibridge.identity.avatars import Avatars
from omnibridge.identity.policy import Policy
from omnibridge.identity.presence import Presence
from omnibridge.identity.requests import Reply, Request
from omnibridge.identity.service import Identity
from omnibridge.identity.vault import Vault
from omnibridge.identity.world import World
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.storage.database import Database, open_database
from omnibridge.storage.seats import Budget

PRESENCE_BYTES = 4096
"""Of an answer to what is told about presence: it is not read."""


def policy_of(settings: AgentsSettings) -> Policy:
    """[agents], but for its keys."""
    return Policy(
        creation=settings.creation,
        dry_run=settings.dry_run,
        approval=settings.approval,
        mode=settings.mode,
        budget=Budget(settings.seats, settings.seats_per_hour, settings.seats_per_day),
        over_budget=settings.over_budget,
        pool_size=settings.pool_size,
        shared_user=settings.shared_user,
        roles=settings.roles,
        custom_field=settings.custom_field,
        username_prefix=settings.username_prefix,
        email_domain=settings.email_domain,
        avatar_hosts=settings.avatar_hosts,
        avatar_cache_s=settings.avatar_cache_s,
        idle_days=settings.idle_days,
        token_days=settings.token_days,
        presence_every_s=settings.presence_every_s,
    )


def world_of(
    settings: AgentsSettings,
    database: Database,
    clock: Clock,
    count: Callable[[str], None],
    raised: Callable[[str], None],
) -> World:
    """Raises ConfigError when a key is none."""
    keys = settings.token_keys.reveal()
    vault = Vault(keys) if keys else None
    return World(database, policy_of(settings), clock, vault, count, raised, Avatars(settings.avatar_hosts))


def teller_of(
    settings: AgentsSettings, clock: Clock, boot: str, count: Callable[[str], None]
) -> tuple[PresenceTeller, Client]:
    """For `presence_url`; close the client."""
    client = create_client(base_url=settings.presence_url, max_connections=8, max_answer_bytes=PRESENCE_BYTES)
    return PresenceTeller(client, read_secrets(settings.presence_secret.reveal()), clock, boot, count), client


def hubs_of(settings: Settings) -> dict[str, Provisioner]:
    """By workspace. Close each."""
    found = {}
    for each in settings.workspace:
        token = each.provisioner_token.reveal()
        account = Credentials(each.provisioner_user_id, token) if each.provisioner_user_id and token else None
        relay = Credentials(each.user_id, each.auth_token.reveal())
        found[each.name] = Provisioner(each.url, relay, account, timeout_s=each.http_timeout_s)
    return found


class Agents:
    """External agents for the running service: who they are on the hub, and whether they are available."""

    def __init__(self, common: Common) -> None:
        settings, database, clock, counters = common.settings, common.database, common.clock, common.counters
        self._settings, self._database, self._clock = settings, database, clock
        ours, count = settings.agents, counters.add
        self._world = world_of(
            ours,
            database,
            clock,
            lambda outcome: count("agents", 1, outcome),
            lambda kind: count("agents_alarms", 1, kind),
        )
        self._hubs = hubs_of(settings)
        self.identity = Identity(self._world, self._hubs)
        self.presence = Presence(self._world, self._hubs, repeats=True)
        self.answer = Admin(database, self._hubs, self._world.policy, clock, self._world.locks).answer
        self.may_be_shown = self._world.avatars.may_be_shown
        self._teller: PresenceTeller | None = None
        self._teller_client: Client | None = None
        if ours.presence_url:
            told = teller_of(ours, clock, common.boot, lambda outcome: count("presence", 1, outcome))
            self._teller, self._teller_client = told
            self.presence.tell = self._teller.tell
        n_seats = "SELECT count(*) FROM creations WHERE released_at IS NULL"
        counters.gauge(
            "agents_seats",
            "Users that we made for external agents",
            lambda: database.reader.execute(n_seats).fetchone()[0],
        )

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What runs until it is cancelled."""
        keeping = upkeep.keep(self.identity, self.presence, self._settings.agents.presence_every_s)
        return [keeping, self._teller.serve()] if self._teller else [keeping]

    def sender(self, hubs: Mapping[str, Hub]) -> AgentSender:
        """Of rows that want an agent's user for a room."""
        clients = {name: hub.client for name, hub in hubs.items()}
        mapped = MappedAgents(clients, self._settings.assignment.agents)
        rooms = Capacity(self._database.reader, lambda name, user: clients[name].rooms_of(user), self._clock)
        return AgentSender(MappedFirst(mapped, self.identity), rooms)

    async def aclose(self) -> None:
        """Close what talks to the hubs, to picture hosts and to the system that hears of presence."""
        for each in self._hubs.values():
            await each.aclose()
        await self._world.avatars.aclose()
        if self._teller_client:
            await self._teller_client.aclose()


async def without_server(settings: Settings, request: Request, clock: Clock) -> Reply:
    """Carry a command out here. Raises ConfigError when another process has the database."""
    database = await open_database(settings.database_url)
    hubs = hubs_of(settings)
    try:
        return await Admin(database, hubs, policy_of(settings.agents), clock).carry_out(request)
    finally:
        for each in hubs.values():
            await each.aclose()
        await database.aclose()
