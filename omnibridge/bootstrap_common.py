"""What nearly every part of the running service is made with."""

from __future__ import annotations

from dataclasses import dataclass

from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.workspaces import Workspaces
from omnibridge.storage.database import Database


@dataclass(frozen=True)
class Common:
    """boot: name of this process in the rows that it writes. workspaces: what is known of them besides events."""

    settings: Settings
    database: Database
    ids: IdSequence
    clock: Clock
    counters: Counters
    faults: Faults
    boot: str
    workspaces: Workspaces

    @property
    def timeout_s(self) -> float:
        """For the commit that a caller waits for."""
        return self.settings.database.commit_timeout_s
