"""What every part of this package works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from omnibridge.clock import Clock
from omnibridge.errors import DeliveryRejected
from omnibridge.identity.avatars import Avatars
from omnibridge.identity.locks import Locks
from omnibridge.identity.policy import Policy
from omnibridge.identity.vault import Vault
from omnibridge.storage.database import Database

Key = tuple[str, str, str]
"""(workspace, system, external id)"""

_log = structlog.get_logger("omnibridge.identity")


@dataclass(frozen=True)
class World:
    """count: adds one to the counter `agents` under an outcome. raised: the same for alarms."""

    database: Database
    policy: Policy
    clock: Clock
    vault: Vault | None = None
    count: Callable[[str], None] = lambda _: None
    raised: Callable[[str], None] = lambda _: None
    avatars: Avatars = field(default_factory=lambda: Avatars(()))
    locks: Locks = field(default_factory=Locks)

    def sealing(self) -> Vault:
        """Raises DeliveryRejected when there are no keys."""
        if self.vault is None:
            raise DeliveryRejected("[agents] token_keys is missing: users that we make need it", code="no-keys")
        return self.vault

    def alarm(self, kind: str, workspace: str, **told: object) -> None:
        """Something that an operator should look at: a log line and a counter."""
        self.raised(kind)
        _log.warning(f"agents_{kind}", workspace=workspace, **told)
