"""Deliveries to systems of records: a snapshot of the conversation, and what was written remembered step by step.

Bulk: its rows are in a stream of their own, its writes go behind those of messages, and nothing waits for it but an
erasure. A row that is carried out again finds in `kept` what was written, and the other side by our external ids.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from omnibridge.clock import Clock
from omnibridge.connector import Kept, Line, SharedFile, Snapshot, SyncsRecords
from omnibridge.domain import commands as cmd
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import ConversationClosed, FactsLearned
from omnibridge.domain.files import FileRef, plain_name
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.recording import end_facts
from omnibridge.engine.sender import Sent
from omnibridge.engine.transcripts import StillSaying, files_of, lines_of
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.limits import TimeLimit
from omnibridge.routing.facts import NameOf, allowed_facts, known_facts, no_name
from omnibridge.storage import crm, said
from omnibridge.storage.database import Database
from omnibridge.storage.outbox import Delivery

_sync = msgspec.json.Decoder(cmd.SyncRecords)
_closed = msgspec.json.Decoder(ConversationClosed)
T = TypeVar("T")
ReadFile = Callable[[str, str, FileRef, int], Awaitable[bytes | None]]
REMEMBERED = 10_000
"""Conversations of which is known when they were last synced live, and which link stands in their room."""


@dataclass(frozen=True)
class Records:
    """One system as the sender sees it. facts: that it is told. link_field: custom field of the room for its link."""

    connector: SyncsRecords
    facts: frozenset[str] = frozenset()
    link_field: str = ""
    live_ms: int = 30_000
    limit: TimeLimit = field(default_factory=lambda: TimeLimit(300.0))
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    breaker: Breaker = field(default_factory=lambda: Breaker(8, 10_000))


class RecordsSender:
    """systems: by name. read_file: `read_file(workspace, room, file, most)`, as a snapshot offers it."""

    def __init__(
        self,
        systems: Mapping[str, Records],
        database: Database,
        clock: Clock,
        read_file: ReadFile,
        name_of: NameOf = no_name,
    ) -> None:
        self._systems, self._database, self._clock, self._read_file = systems, database, clock, read_file
        self._name_of = name_of
        self._synced: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._linked: OrderedDict[tuple[int, str], str] = OrderedDict()

    def wait_until(self, row: Delivery, now_ms: int) -> int:
        system = self._systems.get(row.connection)
        return system.breaker.wait_until(now_ms) if system else 0

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """Carried out again: what was written is known by its external id."""
        return None

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        system = self._systems.get(row.connection)
        if system is None:
            raise DeliveryRejected(f"[[crm]] {row.connection!r} is not configured any more", code="crm-unknown")
        sent, error = Sent(), None
        try:
            async with system.slots:
                if row.command == "EraseRecords":
                    await self._erase(system, row)
                else:
                    sent = await self._sync(system, row, workspace, conversation)
        except (DeliveryRejected, StillSaying) as exc:
            system.breaker.succeeded()  # it answered, or was not asked
            raise exc
        except DeliveryRetryable as exc:
            if exc.retry_after_s is None:
                system.breaker.failed(self._clock.now_ms())
            else:
                system.breaker.succeeded()  # it told when to come again
            raise
        except (DeliveryUncertain, TimeoutError) as exc:
            system.breaker.failed(self._clock.now_ms())
            if isinstance(exc, DeliveryUncertain):
                raise
            error = DeliveryUncertain(f"not over within {system.limit.seconds:g} s", code="crm-timeout")
        except asyncio.CancelledError:
            system.breaker.succeeded()
            raise
        except DeliveryError:
            system.breaker.succeeded()
            raise
        except Exception as exc:
            system.breaker.failed(self._clock.now_ms())
            error = DeliveryUncertain(f"{type(exc).__name__} in the connector", code="connector-bug")
        if error is not None:
            raise error
        system.breaker.succeeded()
        return sent

    async def _sync(self, system: Records, row: Delivery, workspace: str, conversation: Conversation) -> Sent:
        command, key = _sync.decode(row.body), (row.conversation_id, row.connection)
        now, reader = self._clock.now_ms(), self._database.reader
        if command.trigger == "live":
            is_recent = now - self._synced.get(key, 0) < system.live_ms
            if is_recent and said.waits_behind(reader, row.conversation_id, row.stream, row.id):
                return Sent()  # that one tells all that this one would
        if command.trigger == "close":
            lines_of(reader, row.conversation_id, 0, 1, to_the_end=True)
        snapshot = self._snapshot(system, row, command.trigger, workspace, conversation)
        async with system.limit():
            result = await system.connector.sync(snapshot)
        _remember(self._synced, key, self._clock.now_ms())
        if conversation.closed or command.trigger == "close":
            return Sent()
        link = result.link if system.link_field else ""
        if command.trigger == "live" and self._linked.get(key, "") == link:
            if conversation.crm_facts == result.facts:
                return Sent()
            link = ""  # it stands there: each time it is written costs the hub three calls
        fields = {system.link_field: link} if link else {}
        if link:
            _remember(self._linked, key, link)
        return Sent(FactsLearned(row.connection, dict(result.facts), fields))

    def _snapshot(
        self, system: Records, row: Delivery, trigger: Any, workspace: str, conversation: Conversation
    ) -> Snapshot:
        database, conversation_id, name = self._database, row.conversation_id, row.connection
        visitor = visitor_key(database.secret, workspace, str(conversation.facts.get("visitor_id", "")) or
                              conversation.room)  # fmt: skip

        async def keep(kept: Kept) -> None:
            record = crm.Record(
                kept.what, kept.object, kept.id, int(kept.made), kept.digest, kept.position, self._clock.now_ms()
            )
            await database.writer.submit_bulk(lambda cursor: crm.put(cursor, conversation_id, name, visitor, record))

        def lines(from_id: int, limit: int) -> list[Line]:
            return lines_of(database.reader, conversation_id, from_id, limit)

        refs = {each.id: each for each in files_of(database.reader, conversation_id)}

        async def read_file(file: SharedFile, most: int) -> bytes | None:
            return await self._read_file(workspace, conversation.room, refs[file.id], most)

        return Snapshot(
            key=conversation_key(database.secret, workspace, conversation.room),
            visitor_key=visitor,
            workspace=workspace,
            room=conversation.room,
            trigger=trigger,
            facts=self._facts(system, row, trigger, workspace, conversation),
            kept={each.what: each for each in kept_of(database.reader, conversation_id, name)},
            keep=keep,
            lines=lines,
            files=tuple(SharedFile(each.id, plain_name(each.name), each.media_type) for each in refs.values()),
            read_file=read_file,
        )

    def _facts(
        self, system: Records, row: Delivery, trigger: str, workspace: str, conversation: Conversation
    ) -> dict[str, Any]:
        """Those that it may be told, and what is known of who served and of the end."""
        facts = known_facts(workspace, conversation, self._name_of)
        ended = said.last_of(self._database.reader, row.conversation_id, "ConversationClosed")
        if ended is not None:
            facts = end_facts(facts, _closed.decode(ended[1]), ended[0])
        ours = {name: facts.pop(name, "") for name in ("closed_by", "closed_at", "tags")}
        server = conversation.served_by
        ours |= {
            "trigger": trigger,
            "started_at": datetime.fromtimestamp((row.conversation_id >> 20) / 1000, UTC).isoformat(timespec="seconds"),
            "agent_name": (server.name or server.username) if server else "",
            "agent_username": server.username if server else "",
            "bot": conversation.control.connection or conversation.session,
        }
        return allowed_facts(facts, system.facts) | {name: each for name, each in ours.items() if each}

    async def _erase(self, system: Records, row: Delivery) -> None:
        conversation_id, name = row.conversation_id, row.connection
        kept = tuple(kept_of(self._database.reader, conversation_id, name))
        async with system.limit():
            await system.connector.erase(kept)
        await self._database.writer.submit_bulk(lambda cursor: crm.forget(cursor, conversation_id, name))


def _remember(among: OrderedDict[tuple[int, str], T], key: tuple[int, str], what: T) -> None:
    among[key] = what
    among.move_to_end(key)
    while len(among) > REMEMBERED:
        among.popitem(last=False)


def kept_of(reader: Any, conversation_id: int, name: str) -> list[Kept]:
    """What is remembered of one conversation, the oldest first."""
    return [
        Kept(each.what, each.object, each.record_id, bool(each.made), each.digest, each.position)
        for each in crm.records(reader, conversation_id, name)
    ]


def conversation_key(secret: bytes, workspace: str, room: str) -> str:
    """A conversation's name in external ids: the same for ever, and not to be guessed."""
    return blake2b(f"crm/conversation/{workspace}/{room}".encode(), digest_size=16, key=secret).hexdigest()


def visitor_key(secret: bytes, workspace: str, visitor_id: str) -> str:
    """A visitor's; by the hub's id of him, which only his browser can act as."""
    return blake2b(f"crm/visitor/{workspace}/{visitor_id}".encode(), digest_size=16, key=secret).hexdigest()
