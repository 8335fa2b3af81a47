"""Streams: everything that leaves, one row in flight per (conversation, destination).

A row is sent, settled (`settling.py`), retried, resolved or buried; what happened comes back as an observation where
a decision could follow from it. Settles ride on the next commit: losing one costs a read-back, never a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.domain.commands import SendToParty
from omnibridge.domain.delivery_events import DeliveryBuried, DeliveryDelayed, TurnRepeated
from omnibridge.engine.counters import Counters
from omnibridge.engine.doorbell import EmbeddedDoorbell
from omnibridge.engine.faults import Faults
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.notices import Notices
from omnibridge.engine.queues import Queues, StreamKey
from omnibridge.engine.retry import decide_retry
from omnibridge.engine.sender import CONTROL_CHANGED, NOBODY_LEFT, Sender, Sent
from omnibridge.engine.settling import Settling, settle_arrived
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.storage import journal, outbox
from omnibridge.storage.database import Database
from omnibridge.storage.outbox import BURIED, DONE, REFUSED, Delivery

_log = structlog.get_logger("omnibridge.streams")
_turn = msgspec.json.Decoder(SendToParty)

BRIEFLY_S = 0.002
"""Pause before a row is looked at again whose decision the lane does not know yet."""


class Streams:
    """sender_for: by a row's stream. notice_after_ms: how long a visitor waits for a bot before a word."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: IdSequence,
        boot: str,
        counters: Counters,
        faults: Faults,
        notice_after_ms: int,
    ) -> None:
        self._database, self._clock, self._ids, self._boot = database, clock, ids, boot
        self._counters, self._faults = counters, faults
        self._queues = Queues(database.reader)
        self._settling = Settling(database, clock, ids, faults, self._queues, self.ring)
        self._lanes: Lanes | None = None
        self._sender_for: Callable[[str], Sender] | None = None
        self._is_open = False
        self._grace_until = 0
        self.doorbell: EmbeddedDoorbell[StreamKey] = EmbeddedDoorbell()
        self.doorbell.serve(self._drain)
        self._notices = Notices(clock, notice_after_ms, self._is_slow)
        self.in_flight = 0

    async def settle_arrived(self, lanes: Lanes, sender_for: Callable[[str], Sender], at_a_time: int = 32) -> int:
        """Before anything is decided: see `settling.settle_arrived`."""
        self._lanes = self._settling.lanes = lanes
        return await settle_arrived(self._settling, lanes, sender_for, at_a_time)

    def open(self, lanes: Lanes, sender_for: Callable[[str], Sender], grace_ms: int = 30_000) -> int:
        """Start sending: ring every stream that the outbox says has work. Returns how many.

        grace_ms: what we could not send because we were not running is not buried for that.
        """
        self._lanes = self._settling.lanes = lanes
        self._sender_for, self._is_open = sender_for, True
        self._grace_until = self._clock.now_ms() + grace_ms
        waiting = outbox.streams_due(self._database.reader)
        for key in waiting:
            self.ring(*key)
        return len(waiting)

    def ring(self, conversation_id: int, stream: str) -> None:
        """The outbox may hold rows of this stream that were not announced here, or changed ones."""
        if self._is_open:
            self._queues.forget((conversation_id, stream))
            self.doorbell.ring((conversation_id, stream))

    def announce(self, rows: Sequence[Delivery]) -> None:
        """These are about to be committed."""
        self._queues.announce(rows)

    def committed(self, rows: Sequence[Delivery]) -> None:
        """They are durable: send them."""
        for key in self._queues.committed(rows, keep=self._is_open):
            self.doorbell.ring(key)

    def failed(self, rows: Sequence[Delivery]) -> None:
        """They may be durable or not: the outbox knows."""
        for key in self._queues.failed(rows):
            self.doorbell.ring(key)

    def is_settled(self, key: StreamKey) -> bool:
        """Whether everything that was sent is settled in the database; at most a lazy commit later it is."""
        return key not in self._settling.floor

    async def aclose(self) -> None:
        self._notices.close()
        await self.doorbell.aclose()

    async def _drain(self, key: StreamKey) -> None:
        try:
            await self._drain_known(key)
        except BaseException:
            self._queues.forget(key)  # a row may have been dropped from memory and not been settled
            raise

    async def _drain_known(self, key: StreamKey) -> None:
        while self._is_open and (row := self._queues.head(key, self._settling.floor.get(key, 0))):
            now = self._clock.now_ms()
            if row.next_attempt_at > now:
                self.doorbell.ring_at(key, (row.next_attempt_at - now) / 1000)
                return
            if not await self._deliver(key, row):
                return

    async def _deliver(self, key: StreamKey, row: Delivery) -> bool:
        """One attempt. False when the stream has to wait (it will be rung)."""
        assert self._lanes is not None and self._sender_for is not None
        found = self._lanes.conversation(row.conversation_id)
        if found is None:
            raise RuntimeError(f"delivery {row.id} belongs to no conversation")
        (workspace, room), conversation = found
        if row.epoch is not None and row.epoch > conversation.control.epoch:
            # Committed this moment, by a decision that the lane is about to remember: not an old party's word.
            self.doorbell.ring_at(key, BRIEFLY_S)
            return False
        if row.epoch is not None and row.epoch != conversation.control.epoch:
            current = self._queues.reread(key, row)
            if current is None or current.id != row.id or current.epoch == conversation.control.epoch:
                return True  # settled or restamped by the decision that changed control
            self._counters.add("deliveries_refused", 1, row.command)
            self._queues.drop(key, row)
            self._settling.lazily(key, row, REFUSED, CONTROL_CHANGED)
            return True
        sender = self._sender_for(row.stream)
        now = self._clock.now_ms()
        wait_until = sender.wait_until(row, now)
        if wait_until and not self._is_over(row, now):
            self.doorbell.ring_at(key, max(0.02, (min(wait_until, row.deadline_at) - now) / 1000))
            await self._notices.tell(row, workspace, room, now)
            return False
        maybe_sent = row.uncertain > 0 or row.boot != self._boot or row.id in self._settling.begun
        if maybe_sent and row.command == "SendToParty":
            if not await self._announce_repeat(key, row, workspace, room):
                return False
            found = self._lanes.conversation(row.conversation_id)
            if found is None or found[1].control.epoch != conversation.control.epoch:
                return True  # it took a commit, and control changed meanwhile: look again
        self._faults.reach("outbox_to_send", row.command)
        if row.command == "SendToParty":
            self._notices.watch(row, workspace, room)
        self.in_flight += 1
        try:
            if wait_until:
                raise DeliveryRetryable("the destination is being left alone", code="breaker-open")
            self._settling.begun.add(row.id)
            sent = await sender.send(row, workspace, conversation, maybe_sent=maybe_sent)
        except DeliveryError as exc:
            return await self._failed(key, row, workspace, room, exc)
        finally:
            self.in_flight -= 1
            self._notices.ended(row)
        self._faults.reach("response_to_settle", row.command)
        self._counters.add("deliveries_done", 1, row.command)
        if sent.resolved:
            self._counters.add("deliveries_resolved", 1, row.command)
        await self._settling.settle(key, row, DONE, "", workspace, room, sent)
        return True

    async def _announce_repeat(self, key: StreamKey, row: Delivery, workspace: str, room: str) -> bool:
        """Have it known that a turn is given again, after all that its backend had said of it. False = not yet."""
        if any(each.source == "callback" for each in journal.pending(self._database.reader, workspace, room)):
            self.doorbell.ring_at(key, BRIEFLY_S)
            return False
        event = TurnRepeated(row.connection, row.id)
        dedupe = f"repeated:{row.id}:{row.attempts}:{self._boot}"
        await self._settling.tell(workspace, room, event, dedupe)
        return True

    def _is_over(self, row: Delivery, now: int) -> bool:
        return now >= max(row.deadline_at, self._grace_until)

    async def _failed(self, key: StreamKey, row: Delivery, workspace: str, room: str, error: DeliveryError) -> bool:
        now, attempts = self._clock.now_ms(), row.attempts + 1
        uncertain = row.uncertain + isinstance(error, DeliveryUncertain)
        if isinstance(error, DeliveryUncertain):
            self._counters.add("deliveries_uncertain", 1, row.command)
        if isinstance(error, DeliveryRetryable) and error.nobody and self._is_closed(row):
            error = DeliveryRejected(str(error), code=NOBODY_LEFT)
        decision = decide_retry(error, attempts, now, max(row.deadline_at, self._grace_until))
        if decision.action == "bury":
            return await self._bury(key, row, workspace, room, error, attempts)
        self._counters.add("deliveries_retried", 1, row.command, decision.code)
        _log.info(
            "delivery_retried",
            delivery=row.id,
            room=room,
            command=row.command,
            code=decision.code,
            attempts=attempts,
            in_ms=decision.at - now,
        )
        self._queues.forget(key)
        # Not lazily: another row of this stream may ring before, and would find this one due and unmarked.
        await self._database.writer.submit(
            lambda cur: outbox.retry_later(cur, row.id, attempts, uncertain, decision.code, decision.at)
        )
        self._settling.begun.discard(row.id)
        self.doorbell.ring_at(key, (decision.at - now) / 1000)
        await self._notices.tell(row, workspace, room, now)
        return False

    def _is_closed(self, row: Delivery) -> bool:
        assert self._lanes is not None
        found = self._lanes.conversation(row.conversation_id)
        return found is not None and found[1].closed

    async def _bury(
        self, key: StreamKey, row: Delivery, workspace: str, room: str, error: DeliveryError, attempts: int
    ) -> bool:
        refused = isinstance(error, DeliveryRejected) and error.code in (CONTROL_CHANGED, NOBODY_LEFT)
        self._counters.add(
            "deliveries_refused" if refused else "deliveries_buried",
            1,
            row.command,
            *(() if refused else (error.code,)),
        )
        _log.warning(
            "delivery_refused" if refused else "delivery_buried",
            delivery=row.id,
            room=room,
            command=row.command,
            code=error.code,
            reason=str(error),
            attempts=attempts,
        )
        message_id = _turn.decode(row.body).message_id if row.command == "SendToParty" else ""
        event = None if refused else DeliveryBuried(row.id, row.command, row.connection, error.code, message_id)
        await self._settling.settle(key, row, REFUSED if refused else BURIED, error.code, workspace, room, Sent(event))
        return True

    async def _is_slow(self, row: Delivery, workspace: str, room: str) -> None:
        await self._settling.tell(workspace, room, DeliveryDelayed(row.id, row.connection), f"delayed:{row.id}")
