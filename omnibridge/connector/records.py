"""What a connector to a system of records implements: a CRM that keeps who wrote, what was said, and how it ended.

It is no party of a conversation: it says nothing, and nothing waits for it. It is shown a snapshot at the start, when
people take over, at the close, and while people talk if it wants, and writes what its own mapping says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from omnibridge.connector.context import ConnectorContext

SyncTrigger = Literal["start", "handover", "live", "close"]
Scalar = str | int | float | bool


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the transcript. id: grows with time, never changes. at: ms, UTC. text: as it was written."""

    id: int
    at: int
    who: Literal["visitor", "agent", "bot", "system"]
    text: str
    name: str = ""


class SharedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of the conversation. id: never changes."""

    id: str
    name: str
    content_type: str = ""


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of one thing that was found or written. what: the connector's name of it, once a conversation.

    made: it is ours, so an erasure takes it away. digest: of what was written, so that the same is not written again.
    position: how far a transcript is in it.
    """

    what: str
    object: str
    id: str
    made: bool = False
    digest: str = ""
    position: int = 0


async def _no_file(file: SharedFile, most: int) -> bytes | None:
    return None


@dataclass(frozen=True)
class Snapshot:
    """One conversation, as it is now.

    key, visitor_key: names of conversation and visitor for external ids; the same for ever, and not to be guessed.
    Letters and digits, 32. lines: `lines(from_id, limit)`, oldest first; what is not certainly said is not among them.
    read_file: `read_file(file, most)`, its bytes; None = it is gone, or longer. Raises DeliveryRetryable.
    keep: remembers durably; call it after each thing that was written, so that a crash repeats no more than one.
    """

    key: str
    visitor_key: str
    workspace: str
    room: str
    trigger: SyncTrigger
    facts: Mapping[str, Any]
    kept: Mapping[str, Kept]
    keep: Callable[[Kept], Awaitable[None]]
    lines: Callable[[int, int], list[Line]]
    files: tuple[SharedFile, ...] = ()
    read_file: Callable[[SharedFile, int], Awaitable[bytes | None]] = field(default=_no_file)


class SyncResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """facts: what rules may read as `crm.NAME`; only of records that the visitor did not merely claim to be his.

    link: where staff look it up; empty = nowhere.
    """

    facts: dict[str, Scalar] = {}
    link: str = ""


class SyncsRecords(Protocol):
    """Required of a connector that `[[crm]]` names. One instance per entry."""

    settings_type: ClassVar[type[msgspec.Struct]]

    async def initialize(self, context: ConnectorContext) -> None:
        """Take settings and ports. Must not touch the network. Raises ConfigError."""

    async def sync(self, snapshot: Snapshot) -> SyncResult:
        """Write what is to be written now. Never called twice at a time for one conversation; may be repeated after a
        crash or failure, and must then write nothing twice. Raises DeliveryError, nothing else."""
        ...

    async def erase(self, kept: tuple[Kept, ...]) -> None:
        """Take away, or make empty, what we made; newest last. What is gone already is no error. Raises as sync."""

    async def check(self) -> str:
        """One line for people about the system. Raises DeliveryError with what to do."""
        ...

    async def aclose(self) -> None:
        """Release threads and sockets. Raises nothing."""
