"""Settings in, systems of records out: their connectors, the sender of what they are told, and erasures."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx2
import msgspec
import structlog

from omnibridge.bootstrap_apart import ask_each, context_of
from omnibridge.bootstrap_common import Common
from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.config_systems import CrmSettings
from omnibridge.connector import SyncsRecords
from omnibridge.domain.commands import EraseRecords, SyncRecords, kind_of, stream_of
from omnibridge.domain.files import FileRef
from omnibridge.engine import plugins
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.counters import Counters
from omnibridge.engine.records_sender import Records, RecordsSender, visitor_key
from omnibridge.engine.retry import DEADLINES_MS
from omnibridge.engine.streams import Streams
from omnibridge.errors import DeliveryRetryable
from omnibridge.files.download import FileFetcher, NoFile
from omnibridge.files.links import Link
from omnibridge.http import AnswerTooLarge
from omnibridge.limits import TimeLimit
from omnibridge.routing.facts import NameOf
from omnibridge.storage import conversations, crm, outbox
from omnibridge.storage.outbox import Delivery

_log = structlog.get_logger("omnibridge.records")
FILE_S = 60.0
_encode = msgspec.json.Encoder(order="deterministic").encode


class CrmOrder(msgspec.Struct, frozen=True):
    """What an operator wants. erase: of a visitor, by the hub's id. sync: of one room, by one system."""

    kind: str
    by: str
    workspace: str = ""
    visitor: str = ""
    room: str = ""
    crm: str = ""


class CrmReply(msgspec.Struct, frozen=True):
    """deliveries: their ids, as `omnibridge deliveries` shows them. problem: why there are none."""

    deliveries: tuple[int, ...] = ()
    problem: str = ""


class RecordSystems:
    """Make, `start`, close."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connectors: dict[str, SyncsRecords] = {}

    async def start(self, common: Common, streams: Streams) -> None:
        """Raises ConfigError."""
        self._database, self._ids, self._clock, self._boot = common.database, common.ids, common.clock, common.boot
        self._streams = streams
        for each in self._settings.crm:
            self._connectors[each.name] = await make_records(each, common.clock, common.counters)

    def sender(self, fetcher: FileFetcher, name_of: NameOf) -> RecordsSender:
        """Call after `start`."""
        systems = {
            each.name: Records(
                self._connectors[each.name],
                frozenset(each.facts),
                each.link_field,
                int(each.live_every_s * 1000),
                TimeLimit(each.timeout_s),
                asyncio.Semaphore(each.at_a_time),
                Breaker(max(8, 2 * each.at_a_time), 10_000),
            )
            for each in self._settings.crm
        }
        return RecordsSender(systems, self._database, self._clock, partial(_read_file, fetcher), name_of)

    async def answer(self, body: bytes) -> bytes:
        """A CrmOrder in, a CrmReply out: the rows are in the outbox when this returns."""
        order = msgspec.json.decode(body, type=CrmOrder)
        rows = self._erasures(order) if order.kind == "erase" else self._syncs(order)
        if isinstance(rows, str):
            return msgspec.json.encode(CrmReply(problem=rows))
        if rows:
            await self._database.writer.submit(partial(_enqueue, rows=rows))
        for each in rows:
            self._streams.ring(each.conversation_id, each.stream)
        ids = tuple(each.id for each in rows)
        _log.warning("operator_crm", kind=order.kind, by=order.by, room=order.room, deliveries=ids)
        return msgspec.json.encode(CrmReply(ids))

    async def aclose(self) -> None:
        for each in self._connectors.values():
            await each.aclose()

    def _erasures(self, order: CrmOrder) -> list[Delivery] | str:
        visitor = visitor_key(self._database.secret, order.workspace, order.visitor)
        # What waits while the system is down is written first, and goes with the rest.
        waiting = crm.waiting_of_visitor(self._database.reader, order.workspace, order.visitor)
        found = list(dict.fromkeys([*crm.of_visitor(self._database.reader, visitor), *waiting]))
        gone = sorted({name for _, name in found} - set(self._connectors))
        if gone:
            return f"records of this visitor are in {', '.join(gone)}, which is not configured any more"
        return [self._row(conversation_id, EraseRecords(name)) for conversation_id, name in found]

    def _syncs(self, order: CrmOrder) -> list[Delivery] | str:
        found = conversations.load(self._database.reader, order.workspace, order.room)
        names = [each.name for each in self._settings.crm if order.crm in ("", each.name)]
        if found is None or not names:
            return "there is no such conversation" if names else f"there is no [[crm]] {order.crm!r}"
        closed = bool(msgspec.json.decode(found[2]).get("closed"))
        return [self._row(found[0], SyncRecords(name, "close" if closed else "live")) for name in names]

    def _row(self, conversation_id: int, command: EraseRecords | SyncRecords) -> Delivery:
        now, kind = self._clock.now_ms(), kind_of(command)
        within = DEADLINES_MS.get(kind, 72 * 3_600_000)
        return Delivery(
            id=self._ids.next(),
            conversation_id=conversation_id,
            event_id=0,
            stream=stream_of(command),
            command=kind,
            connection=command.connection,
            epoch=None,
            external_id=None,
            body=_encode(command),
            attempts=0,
            uncertain=0,
            boot=self._boot,
            next_attempt_at=0,
            deadline_at=now + within,
            created_at=now,
        )


async def _read_file(fetcher: FileFetcher, workspace: str, room: str, file: FileRef, most: int) -> bytes | None:
    """None = gone, or longer. Raises DeliveryRetryable."""
    link, problem = Link(workspace, room, file.id, file.name, file.media_type, most, 0), ""
    try:
        async with asyncio.timeout(FILE_S), fetcher.open(link) as found:
            return await found.whole(most)
    except AnswerTooLarge:
        return None
    except NoFile as exc:
        if exc.status in (404, 413):
            return None
        problem = exc.reason
    except (httpx2.TransportError, TimeoutError) as exc:
        problem = type(exc).__name__
    raise DeliveryRetryable(f"a file cannot be read from Rocket.Chat ({problem})", code="file-not-read")


def _enqueue(cursor: Any, *, rows: list[Delivery]) -> None:
    for each in rows:
        outbox.enqueue(cursor, each)


async def make_records(each: CrmSettings, clock: Clock, counters: Counters) -> SyncsRecords:
    """Ready for use. Close it. Raises ConfigError."""
    connector, options = plugins.create_records(each.kind, each.options, f"[[crm]] {each.name}")
    await connector.initialize(context_of("crm", each.name, options, clock, counters))
    return connector


async def look_at(settings: Settings, clock: Clock) -> list[dict[str, Any]]:
    """Of every system whether it answers: `{"crm", "ok", "text"}`. Raises ConfigError."""
    return await ask_each("crm", settings.crm, lambda each: make_records(each, clock, Counters()))
