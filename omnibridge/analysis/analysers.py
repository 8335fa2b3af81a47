"""The analysers of this service: whose connector, how long it may take, and how it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from omnibridge.clock import Clock
from omnibridge.connector import Analyzes, ReadsTranscripts
from omnibridge.engine.breaker import Breaker
from omnibridge.limits import TimeLimit

HOUR_MS = 3_600_000


@dataclass
class Analyser:
    """connector: None = it could not be initialized, see `why`. workspaces: empty = all.

    keep_ms: how long its findings are shown. later_ms: how long its system may post them.
    why: what is wrong with it, in words; empty = nothing.
    """

    name: str
    connector: object | None
    workspaces: frozenset[str] = frozenset()
    limit: TimeLimit = field(default_factory=lambda: TimeLimit(10.0))
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    breaker: Breaker = field(default_factory=Breaker)
    keep_ms: int = 24 * HOUR_MS
    later_ms: int = HOUR_MS
    keys: tuple[bytes, ...] = ()
    token: str = ""
    why: str = ""

    @property
    def version(self) -> str:
        return self.connector.version[:64] if isinstance(self.connector, Analyzes) else ""

    @property
    def wants(self) -> bool:
        return isinstance(self.connector, Analyzes | ReadsTranscripts)


class Analysers:
    """By name. what: what is wrong with each, for health."""

    def __init__(self, analysers: Mapping[str, Analyser], clock: Clock) -> None:
        self._analysers, self._clock = dict(analysers), clock

    def get(self, name: str) -> Analyser | None:
        return self._analysers.get(name)

    def in_workspaces(self, workspaces: list[str]) -> dict[str, tuple[str, ...]]:
        """Who is told of what is said in each of them."""
        found = {
            workspace: tuple(
                each.name for each in self._analysers.values() if not each.workspaces or workspace in each.workspaces
            )
            for workspace in workspaces
        }
        return {workspace: names for workspace, names in found.items() if names}

    def degraded(self) -> list[str]:
        """What is wrong, in words; empty = nothing."""
        return [
            f"analyser {each.name}: {each.why or 'does not answer'}"
            for each in self._analysers.values()
            if each.why or each.breaker.is_open
        ]
