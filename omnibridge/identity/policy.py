"""How external ids may become users: the settings of [agents], as the parts here are handed them."""

from __future__ import annotations

from typing import Literal

import msgspec

from omnibridge.storage.seats import Budget

Fallback = Literal["refuse", "queue", "pool", "shared"]


class Policy(msgspec.Struct, frozen=True):
    """See [agents] in the settings table. queue: as refuse, but the room waits for a seat."""

    creation: bool = False
    dry_run: bool = False
    approval: bool = False
    mode: str = "provisioned"
    budget: Budget = Budget(50, 10, 50)
    over_budget: Fallback = "refuse"
    pool_size: int = 0
    shared_user: str = ""
    roles: tuple[str, ...] = ("bot",)
    custom_field: str = "externalAgentId"
    username_prefix: str = "agent"
    email_domain: str = "agents.invalid"
    avatar_hosts: tuple[str, ...] = ()
    avatar_cache_s: float = 3600.0
    idle_days: float = 30.0
    token_days: float = 30.0
    presence_every_s: float = 3.0

    @property
    def makes_users(self) -> bool:
        """Whether the hub may be asked to make one."""
        return self.creation and not self.dry_run
