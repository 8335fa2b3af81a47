"""Settings in, the parts of `identity` out: for the running service, and for commands without one."""

from __future__ import annotations

from collections.abc import Callable

from omnibridge.assignment.telling import PresenceTeller
from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.config_agents import AgentsSettings
from omnibridge.connector.signing import read_secrets
from omnibridge.http import Client, create_client
from omnibridge.identity.admin import Admin
from omnibridge.identity.avatars import Avatars
from omnibridge.identity.policy import Policy
from omnibridge.identity.requests import Reply, Request
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
