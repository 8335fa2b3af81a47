"""[agents]: who external agents are in Rocket.Chat."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from omnibridge.config_values import OptionalSigningSecret, OptionalUrl, Secret, Section


class AgentsSettings(Section):
    """Agents of external systems, and who they are in Rocket.Chat. Nobody is created unless `creation` says so."""

    creation: bool = Field(False, description="make users for agents that Rocket.Chat does not know")
    dry_run: bool = Field(False, description="with creation: only note what would be made, and refuse")
    approval: bool = Field(False, description="with creation: each user waits for `omnibridge agents approve`")
    mode: Literal["provisioned", "pooled", "shared"] = Field(
        "provisioned", description="an unknown agent gets a user of his own, a proxy of the pool, or the shared bot"
    )
    seats: int = Field(50, ge=0, description="users that we may have made at a time, proxies among them")
    seats_per_hour: int = Field(10, ge=0, description="users that we may make in an hour")
    seats_per_day: int = Field(50, ge=0, description="users that we may make in a day")
    over_budget: Literal["refuse", "queue", "pool", "shared"] = Field(
        "refuse", description="what an agent gets when there is no seat; queue: the room waits for one"
    )
    pool_size: int = Field(
        0, ge=0, le=1000, description="proxies that carry one agent's name and picture after another"
    )
    shared_user: str = Field("", description="user name of the bot that speaks for all when nothing else is left")
    roles: tuple[Literal["bot", "user"], ...] = Field(
        ("bot",), description="roles of users that we make: bot and user, no other"
    )
    custom_field: str = Field(
        "externalAgentId", pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="custom field of users that holds SYSTEM:ID"
    )
    username_prefix: str = Field(
        "agent", pattern=r"^[a-z0-9_-]{1,20}$", description="user names begin with it and a full stop"
    )
    email_domain: str = Field(
        "agents.invalid", pattern=r"^[A-Za-z0-9.-]+$", description="addresses of users that we make; needs no mailbox"
    )
    avatar_hosts: tuple[str, ...] = Field(
        (), description="HOST or HOST:PORT that pictures may be fetched from, by us and by staff; others are not asked"
    )
    avatar_cache_s: float = Field(3600, ge=0, description="Accounts_AvatarCacheTime, where the server does not tell it")
    idle_days: float = Field(30, ge=0, description="unused users that we made are deactivated after this; 0 = never")
    token_days: float = Field(30, gt=0, description="log-ins of users that we made are renewed after this")
    presence_every_s: float = Field(3, ge=0, description="how often agents' availability is looked at; 0 = never")
    presence_url: OptionalUrl = Field(
        "", description="is told, signed, when an agent's availability changes in Rocket.Chat; empty = nobody is"
    )
    presence_secret: OptionalSigningSecret = Field(
        Secret(""), description="whsec_ and base64: signs what is told there"
    )
    token_keys: Secret = Field(
        Secret(""), description="NAME:KEY, separated by spaces: encrypt those log-ins; the first for new ones"
    )

    @model_validator(mode="after")
    def _check(self) -> AgentsSettings:
        keys = self.token_keys.reveal().split()
        if not all(re.fullmatch(r"[^:\s]+:[A-Za-z0-9_-]{43}=", each) for each in keys) or (self.creation and not keys):
            raise ValueError("creation needs token_keys: NAME:KEY, KEY from `openssl rand -base64 32 | tr +/ -_`")
        if "bot" not in self.roles:
            raise ValueError("roles must hold bot: Rocket.Chat routes to others only while they are online")
        if "shared" in (self.mode, self.over_budget) and not self.shared_user:
            raise ValueError('mode or over_budget "shared" needs shared_user')
        if self.presence_url and not (self.presence_secret.reveal() and self.presence_every_s):
            raise ValueError("presence_url needs presence_secret, and presence_every_s above 0")
        if "pooled" == self.mode and not self.pool_size:
            raise ValueError('mode "pooled" needs pool_size')
        return self
