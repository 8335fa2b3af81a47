"""What a connector may do beyond words: take files, hear of changes. Each is a protocol of its own."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from omnibridge.domain.files import FilePolicy


class TurnFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that came with a turn. name: safe in a path. size: bytes, 0 = not told. id: the hub's, the same each time.

    url: of this service, without a log-in, for a while (`[files] link_minutes`): hand it on, or fetch it; the bytes are
    streamed from the hub. Another one with each attempt.
    """

    id: str
    name: str
    url: str
    media_type: str = ""
    size: int = 0


@runtime_checkable
class TakesFiles(Protocol):
    """Gets visitors' files in `Turn.files`; `Turn.text` may be empty then. All others have their visitors told."""

    def file_policy(self) -> FilePolicy | None:
        """What it takes; None = nothing, as it is set up. After initialize."""
        ...


@runtime_checkable
class HearsEdits(Protocol):
    """Wants to know when a visitor changes or deletes a message. Comes behind the message's own turn, and may be
    repeated; also for messages that it never had. Raises as on_message."""

    def wants_edits(self) -> bool:
        """Whether it is set up to. After initialize."""
        ...

    async def on_edit(self, session_id: str, message_id: str, text: str) -> None: ...

    async def on_delete(self, session_id: str, message_id: str) -> None: ...
