"""Engines with one guard missing: what the simulation must notice, or it proves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from omnibridge.engine import interpreter, lanes
from omnibridge.engine.hub_sender import HubSender
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.outgoing import Outgoing
from omnibridge.engine.queues import Queues, StreamKey
from omnibridge.engine.reconciler import Reconciler, Run
from omnibridge.engine.sender import Sent
from omnibridge.engine.streams import Streams
from omnibridge.engine.work import Lane, Work
from omnibridge.rocketchat import derive, derive_read
from omnibridge.routing import parties
from omnibridge.storage import journal, outbox
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import Delivery

Patches = list[tuple[object, str, Any]]


def _no_dedupe() -> Patches:
    write = journal.append_event

    def append(cursor: Any, event_id: int, conversation: int, observation: int, key: str, *rest: Any) -> None:
        write(cursor, event_id, conversation, observation, f"{key}~{event_id}", *rest)

    return [
        (journal, "append_event", append),
        (journal, "has_event", lambda *_: False),
        (Work, "knows", lambda self, key: False),
        (Lane, "remember", lambda self, keys: None),
    ]


def _all_is_new() -> Patches:
    """What is found to be repeated when it is written is not decided again."""

    async def handle(self: Lanes, key: Any, rows: Any, fresh: Any = frozenset(), settle: Any = None) -> None:
        await self._commit(key, self._processor.handle(self._lane(key), rows, fresh), rows, fresh, settle)

    return [(Lanes, "_handle", handle)]


def _at_once(name: str, result: Any) -> Callable[[type], Patches]:
    async def done(*_: Any, **__: Any) -> Any:
        return result

    return lambda owner: [(owner, name, done)]


def _believes() -> Patches:
    send = HubSender.send

    async def believing(self: Any, row: Any, workspace: str, conversation: Any, *, maybe_sent: bool) -> Sent:
        if maybe_sent and row.external_id is not None:
            return Sent(resolved=True)
        return await send(self, row, workspace, conversation, maybe_sent=maybe_sent)

    return [(HubSender, "send", believing)]


def _no_stream_order() -> Patches:
    """Rows of one stream leave all at once, the newest first."""

    async def drain(self: Streams, key: StreamKey) -> None:
        seen: set[int] = set()
        while rows := [row for row in due(self, key) if row.id not in seen]:
            seen.update(row.id for row in rows)
            await asyncio.gather(*(self._deliver(key, row) for row in reversed(rows)))

    def due(self: Streams, key: StreamKey) -> list[Delivery]:
        found, after = [], self._settling.floor.get(key, 0)
        while row := outbox.next_due(self._database.reader, *key, after=after):
            found.append(row)
            after = row.id
        return found

    return [(Streams, "_drain", drain)]


def _any_party() -> Patches:
    enqueue = Outgoing.enqueue

    def unbound(self: Outgoing, *args: Any, epoch: int | None, **rest: Any) -> None:
        enqueue(self, *args, epoch=None, **rest)

    return [(Outgoing, "enqueue", unbound)]


def _acknowledges_first() -> Patches:
    take_in = Lanes.take_in

    async def hasty(self: Lanes, row: Observation) -> None:
        self._simulated = asyncio.ensure_future(take_in(self, row))  # type: ignore[attr-defined]

    return [(Lanes, "take_in", hasty)]


MUTANTS: dict[str, Callable[[], Patches]] = {
    "events are not deduplicated": _no_dedupe,
    "acknowledges before it is durable": _acknowledges_first,
    "messages are not put in order": lambda: [(lanes, "release", lambda rows, *_: (list(rows), None))],
    "takes every report for new": _all_is_new,
    "keeps a lane whose commit failed": lambda: [(Lanes, "_forget", lambda self, key: None)],
    "believes its memory of a stream": lambda: [(Queues, "forget", lambda self, key: self._rows.pop(key, None))],
    "answers pass earlier answers": lambda: [(Lanes, "_told_before", lambda *_: False)],
    "stream order off": _no_stream_order,
    "sends before it has caught up": lambda: _at_once("caught_up", True)(Lanes),
    "does not settle what had arrived": lambda: _at_once("settle_arrived", 0)(Streams),
    "forgets lanes at the start": lambda: [(journal, "rooms_with_pending", lambda _: [])],
    "forgets streams at the start": lambda: [(outbox, "streams_due", lambda _: [])],
    "answers itself": lambda: [(each, "author_of", lambda *_: "visitor") for each in (derive, derive_read)],
    "gives a turn again that the party has": lambda: [(parties, "kept_back", lambda state: state.waiting)],
    "forgets turns of a party that stays": lambda: [(outbox, "resume", lambda *_: None)],
    "drops what was answered meanwhile": lambda: [(parties, "gives_way", lambda *_: False)],
    "takes its own words for those of others": lambda: [(interpreter, "is_message_id", lambda *_: False)],
    "believes that it was sent": _believes,
    "rows belong to no party": _any_party,
    "does not compare with the hub": lambda: _at_once("run", Run(0, 0))(Reconciler),
}
"""What is wrong -> what is put in the place of what."""


@contextmanager
def mutated(name: str) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, attribute, ours in MUTANTS[name]():
            stack.enter_context(patch.object(owner, attribute, ours))
        yield
