"""`python -m tests.soak.crippled GUARD serve ...`: the service with one guard switched off.

For the negative controls: a crash test that stays green without a guard does not test it. Each function here
replaces what its guard is made of and nothing else; the product has no such switches.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable
from typing import Any

from omnibridge.cli import main
from omnibridge.engine import interpreter, party_sender, streams
from omnibridge.engine.streams import StreamKey, Streams
from omnibridge.engine.work import Lane, Work
from omnibridge.rocketchat.client import RocketChatClient
from omnibridge.storage import journal, outbox
from omnibridge.storage.outbox import Delivery


def no_dedupe() -> None:
    """A report that comes twice becomes two events."""
    write = journal.append_event

    def append(cursor: Any, event_id: int, conversation_id: int, observation_id: int, key: str, *rest: Any) -> None:
        write(cursor, event_id, conversation_id, observation_id, f"{key}~{event_id}", *rest)

    journal.append_event = append
    journal.has_event = lambda *_: False
    Work.knows = lambda self, key: False  # type: ignore[method-assign]
    Lane.remember = lambda self, keys: None  # type: ignore[method-assign]


def no_read_back() -> None:
    """What may have arrived is sent again as if it were new: another id, no question to the backend."""
    send = RocketChatClient.send_message

    async def send_anew(self: RocketChatClient, room: str, message_id: str, *rest: Any, **options: Any) -> None:
        await send(self, room, secrets.token_urlsafe(16), *rest, **options)

    async def never(*_: Any, **__: Any) -> Any:
        return False

    async def unknown(*_: Any) -> Any:
        return None

    RocketChatClient.send_message = send_anew  # type: ignore[method-assign]
    RocketChatClient.confirm_message = never  # type: ignore[method-assign]
    party_sender.PartySender._resolve = unknown  # type: ignore[method-assign]


def no_stream_order() -> None:
    """Rows of one stream leave all at once, the newest first."""
    seen: set[int] = set()

    async def drain(self: Streams, key: StreamKey) -> None:
        while rows := [row for row in _due(self, key) if row.id not in seen]:
            seen.update(row.id for row in rows)
            await asyncio.gather(*(self._deliver(key, row) for row in reversed(rows)))

    def _due(self: Streams, key: StreamKey) -> list[Delivery]:
        found, after = [], 0
        while row := outbox.next_due(self._database.reader, *key, after=after):
            found.append(row)
            after = row.id
        return found

    Streams._drain = drain  # type: ignore[method-assign]


def no_start_query() -> None:
    """What a dead process left undone is not looked for."""
    streams.outbox.streams_due = lambda reader: []
    journal.rooms_with_pending = lambda reader: []


def no_echo_filter() -> None:
    """Our own messages are taken for those of somebody else."""
    interpreter.is_message_id = lambda *_: False


GUARDS: dict[str, tuple[Callable[[], None], str]] = {
    "dedupe": (no_dedupe, "doubled"),
    "read-back": (no_read_back, "doubled"),
    "stream-order": (no_stream_order, "out_of_order"),
    "start-query": (no_start_query, "lost"),
    "echo-filter": (no_echo_filter, "echoes"),
}
"""Guard -> how it is switched off, and the figure that must rise then."""


if __name__ == "__main__":
    GUARDS[sys.argv.pop(1)][0]()
    main()
