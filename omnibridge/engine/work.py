"""What handling works on: the policy that decides, a conversation's lane, and what one handling leads to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from omnibridge.domain.conversation import Conversation
from omnibridge.domain.directory import Directory
from omnibridge.domain.events import UserRef
from omnibridge.engine.recording import Keeper
from omnibridge.engine.retry import DEADLINES_MS
from omnibridge.rocketchat.capabilities import Sides
from omnibridge.routing.rules import RuleSet
from omnibridge.storage import conversations
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.writer import Unit

_encode = msgspec.json.Encoder(order="deterministic").encode

RECENT = 64
"""Event keys that a lane remembers: reports are repeated within minutes, if at all."""


@dataclass(frozen=True)
class Policy:
    """What decisions are made with, and their hashes as stored. deadlines: ms by command."""

    rules: RuleSet
    directory: Directory
    bot_users: Mapping[str, Mapping[str, str]]
    """By workspace: user id and user name of our bot users -> connection."""
    deadlines: Mapping[str, int] = field(default_factory=lambda: dict(DEADLINES_MS))
    systems: Mapping[str, str] = field(default_factory=dict)
    """Decider -> the external system whose ids it names."""
    only_by_decision: Callable[[str, UserRef], bool] | None = None
    """(workspace, user): whether he shall serve only when an external system decided so; a look-up without I/O."""
    sides: Sides = field(default_factory=Sides)
    """What each connection may show where. No decision depends on it, so it is in no hash."""
    analysers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By workspace: who is told of what is said there."""

    keepers: Mapping[str, tuple[Keeper, ...]] = field(default_factory=dict)
    """By workspace: systems of records that write down what happens there."""

    department_seen: Callable[[str, str], None] | None = None
    """(workspace, id): told of each department that a conversation came to; a look-up without I/O."""

    def hashes(self) -> tuple[str, str]:
        directory = _encode(self.directory)
        return self.rules.hash(), hashlib.sha256(directory).hexdigest()[:16]

    def snapshots(self) -> list[tuple[str, str, bytes]]:
        """(hash, kind, body) of what decisions refer to; stored before the first decision."""
        rules, directory = self.hashes()
        return [(rules, "rules", self.rules.encode()), (directory, "directory", _encode(self.directory))]


@dataclass(slots=True)
class Lane:
    """A conversation as the lane holds it. version 0 = not saved yet. recent: its last event keys, oldest first."""

    id: int
    version: int
    state: Conversation
    recent: dict[str, None] = field(default_factory=dict)

    def remember(self, keys: Iterable[str]) -> None:
        """Keys that were committed."""
        self.recent.update(dict.fromkeys(keys))
        while len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]


@dataclass(slots=True)
class Work:
    """What handling a few observations leads to; `write` is the unit that makes it durable.

    resumed: streams whose rows in the outbox were changed, not only added to.
    sure: every key was looked up. Otherwise a repeated event is found by its insert: then do it again, sure.
    """

    lane: Lane
    now_ms: int
    sure: bool = False
    writes: list[Unit] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    changed: bool = False
    resumed: list[tuple[int, str]] = field(default_factory=list)
    keys: dict[str, None] = field(default_factory=dict)

    def knows(self, key: str) -> bool:
        return key in self.keys or key in self.lane.recent

    def write(self, cursor: Any) -> None:
        for each in self.writes:
            each(cursor)
        if self.changed:
            lane, state = self.lane, self.lane.state
            conversations.save(
                cursor,
                lane.id,
                state.workspace,
                state.room,
                lane.version,
                closed=state.closed,
                state=_encode(state),
                at=self.now_ms,
            )
