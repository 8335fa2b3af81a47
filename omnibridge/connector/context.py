"""What a connector is handed at initialize."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from omnibridge.clock import Clock
from omnibridge.errors import DeliveryRejected
from omnibridge.http import Client

ClientFactory = Callable[..., Client]
"""`factory(base_url=…, timeout_s=…, headers=…, max_connections=…, max_answer_bytes=…, streams=…)`: one pooled client
per destination. httpx2's API, and `exchange` for the calls that every message makes."""


LONGEST_NOTE = 16_384


class Notes(Protocol):
    """What a connector keeps of its sessions over restarts: a few bytes each, in the connector's own shape.

    Purged with the conversations ([retention]); remove what is not needed any more.
    """

    def get(self, session_id: str) -> bytes | None:
        """The last one that was put. None = there is none."""
        ...

    def put(self, session_id: str, note: bytes) -> None:
        """Returns at once. Durable no later than the answer to the turn that is under way: a crash forgets both or
        none. b"" removes it. Raises ValueError for more than LONGEST_NOTE bytes."""
        ...

    def newest(self, most: int) -> list[tuple[str, bytes]]:
        """(session id, note), the last written first: what is to be taken up again at a start."""
        ...


class MemoryNotes:
    """Forgets them with the process: for tests, and where no database is."""

    def __init__(self) -> None:
        self._notes: dict[str, bytes] = {}

    def get(self, session_id: str) -> bytes | None:
        return self._notes.get(session_id)

    def put(self, session_id: str, note: bytes) -> None:
        if len(note) > LONGEST_NOTE:
            raise ValueError(f"a note has at most {LONGEST_NOTE} bytes, not {len(note)}")
        self._notes.pop(session_id, None)
        if note:
            self._notes[session_id] = note

    def newest(self, most: int) -> list[tuple[str, bytes]]:
        return list(reversed(self._notes.items()))[:most]


KeepFile = Callable[[bytes, str, str], Awaitable[str]]
"""(bytes, name, media type) -> what to put into `File.url`. Durable when it returns."""


async def keeps_nothing(content: bytes, name: str, media_type: str) -> str:
    """Where there is no service around the connector."""
    raise DeliveryRejected("files are not kept here", code="no-files")


@dataclass(frozen=True)
class ConnectorContext:
    """name: of the connection. settings: an instance of the connector's `settings_type`, validated.

    create_client: makes HTTP clients the house way; close what you made in `aclose`.
    count: `count("name", 1)` adds to a metric of this connection.
    log: `log("action", key=value)`, one structured line; never message texts or secrets.
    typing: `typing(session_id, True)` shows the visitor that somebody of the backend's side types, until False, or
    until it was not said again for 15 s. Returns at once, raises nothing; lost where it cannot be shown.
    connector: `connector("name")` is the instance of another connection, None when there is none of that name. Ask
    when you need it: it may be another one after a change of settings.
    notes: what is kept of sessions over restarts.
    keep_file: for bytes that the backend gives instead of an address; kept for three days, so use it right before the
    Reply. Shown where the connection has `upload_files`; elsewhere the visitor is told that a file was lost.
    """

    name: str
    settings: Any
    clock: Clock
    create_client: ClientFactory
    count: Callable[[str, int], None]
    log: Callable[..., None]
    typing: Callable[[str, bool], None] = lambda session_id, is_typing: None
    connector: Callable[[str], object | None] = lambda name: None
    notes: Notes = field(default_factory=MemoryNotes)
    keep_file: KeepFile = keeps_nothing


def decode_settings(settings_type: type[msgspec.Struct], raw: dict[str, Any]) -> msgspec.Struct:
    """Raw TOML values -> settings. Raises msgspec.ValidationError with the key's path."""
    return msgspec.convert(raw, settings_type, strict=True)
