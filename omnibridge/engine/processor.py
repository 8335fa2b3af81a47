"""Observation -> events -> decisions -> one unit of work. No I/O but look-ups; runs inside a lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.connector.desks import HoldsSessions
from omnibridge.domain import commands as cmd
from omnibridge.domain.content import Custom
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import (
    AgentAssigned,
    Event,
    MessageDeleted,
    MessagePosted,
    PartyReplied,
    PartySpoke,
    kind_of,
)
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.interpreter import Interpreter
from omnibridge.engine.losses import Losses
from omnibridge.engine.observing import WATCHED, changed_message, for_analysers
from omnibridge.engine.outgoing import Outgoing
from omnibridge.engine.recording import for_keepers
from omnibridge.engine.work import Lane, Policy, Work
from omnibridge.rocketchat.derive import DerivedEvent
from omnibridge.routing.decision import Decision, encode_decision
from omnibridge.routing.router import route
from omnibridge.storage import conversations, findings, journal, outbox
from omnibridge.storage.compact import without_known_messages
from omnibridge.storage.journal import Observation
from omnibridge.storage.tables import HANDLED, QUARANTINED, SKIPPED

_log = structlog.get_logger("omnibridge.processor")
_state_decoder = msgspec.json.Decoder(Conversation)
_posted_decoder = msgspec.json.Decoder(MessagePosted)
_encode = msgspec.json.Encoder(order="deterministic").encode

LARGE = 2048
"""Bytes of a session event from which on it is worth a look whether its history is known: without one it is 1 KB."""

READ_STREAM = "hub-read"
"""Stream of room reads: beside the hub's, so that a read is not held up by what waits to be said."""


class Processor:
    """Stateless but for its ports; `policy` may be replaced between two observations."""

    def __init__(
        self,
        reader: Any,
        clock: Clock,
        ids: IdSequence,
        secret: bytes,
        boot: str,
        policy: Policy,
        counters: Counters,
        callbacks: Callbacks,
        desks: Mapping[str, HoldsSessions] | None = None,
    ) -> None:
        self._interpreter = Interpreter(reader, secret, counters, callbacks, desks)
        self._reader, self._clock, self._ids = reader, clock, ids
        self._counters, self._losses = counters, Losses(counters)
        self._outgoing = Outgoing(ids, secret, boot, counters, self._losses)
        self.use(policy)

    def use(self, policy: Policy) -> None:
        """Decide with these rules and this directory from now on; their snapshots are stored already."""
        self._policy = policy
        self._outgoing.use(policy)
        self._hashes = policy.hashes()

    def load(self, workspace: str, room: str) -> Lane:
        """The lane of a room, from the database or fresh."""
        found = conversations.load(self._reader, workspace, room)
        if found is None:
            return Lane(self._ids.next(), 0, Conversation(workspace, room))
        return Lane(found[0], found[1], _state_decoder.decode(found[2]))

    def handle(
        self, lane: Lane, rows: Sequence[Observation], fresh: frozenset[int] = frozenset(), *, sure: bool = False
    ) -> Work:
        """Handle observations of one room in the order given. fresh: ids that are not journalled yet.

        sure: look each event up. Without, `Work.write` raises EventExists if one was derived before.
        """
        work = Work(Lane(lane.id, lane.version, lane.state, lane.recent), self._clock.now_ms(), sure)
        for row in rows:
            before = (work.lane.state, len(work.writes), work.changed, len(work.deliveries), len(work.keys))
            try:
                state, note = self._handle_one(work, row)
            except Exception as exc:
                # Nothing may stop a lane: what we cannot read is kept, counted, and read again after an upgrade.
                work.lane.state, work.changed = before[0], before[2]
                del work.writes[before[1] :], work.deliveries[before[3] :]
                for key in list(work.keys)[before[4] :]:
                    del work.keys[key]
                state, note = QUARANTINED, f"{type(exc).__name__}"
                _log.exception("observation_quarantined", observation=row.id, room=row.room, kind=row.kind)
            self._close_observation(work, row, state, note, fresh=row.id in fresh)
        return work

    def _handle_one(self, work: Work, row: Observation) -> tuple[int, str]:
        derivation = self._interpreter.interpret(work, row, self._policy)
        if isinstance(derivation, str):
            return SKIPPED, derivation
        derived = 0
        for each in derivation.events:
            if each.key and self._is_known(work, each.key):
                continue
            derived += 1
            self._decide(work, row, each)
        if derivation.needs_room_read:
            self._counters.add("room_reads")
            self._outgoing.enqueue(work, 0, READ_STREAM, "ReadRoom", "", b"{}", epoch=None)
        if not derived:
            self._counters.add("observations_duplicate")
        return HANDLED, derivation.note

    def _is_known(self, work: Work, key: str) -> bool:
        return work.knows(key) or (work.sure and journal.has_event(self._reader, work.lane.id, key))

    def _decide(self, work: Work, row: Observation, derived: DerivedEvent) -> None:
        lane, event = work.lane, derived.event
        if isinstance(event, MessagePosted):
            event = self._lateness(event, lane.state.last_visitor_ts)
        elif isinstance(event, MessageDeleted):
            event = self._whose(event, lane.id)
        elif isinstance(event, AgentAssigned) and self._policy.only_by_decision:
            if self._policy.only_by_decision(lane.state.workspace, event.agent):
                event = msgspec.structs.replace(event, only_by_decision=True)
        before = lane.state
        decision = route(before, event, self._policy.rules, self._policy.directory, row.received_at)
        if decision.after.department != before.department and self._policy.department_seen:
            self._policy.department_seen(before.workspace, decision.after.department)
        event_id = self._ids.next()
        kind, data, body = kind_of(event), _encode(event), encode_decision(decision, before)
        key, lane_id = derived.key, lane.id
        rules_hash, directory_hash = self._hashes
        if key:
            work.keys[key] = None
        work.writes.append(
            lambda cur: journal.append_event(
                cur,
                event_id,
                lane_id,
                row.id,
                key,
                kind,
                data,
                row.received_at,
                rules_hash,
                directory_hash,
                decision.reason,
                body,
            )
        )
        self._counters.add("events", 1, kind)
        self._counters.add("decisions")
        self._apply(work, before, decision, event_id, self._intent_of(event))
        if self._policy.analysers and isinstance(event, WATCHED):
            self._let_look(work, event, event_id)
        for each in for_keepers(event, before, lane.state, self._policy.keepers.get(before.workspace, ())):
            self._outgoing.send(work, event_id, each, 0, "")

    def _intent_of(self, event: Event) -> str:
        """The bot's own word for what it answers. What of the answer nobody is shown is counted."""
        if not isinstance(event, PartyReplied | PartySpoke):
            return ""
        intent = event.intent
        if not intent and isinstance(event, PartyReplied):
            intent = str(event.facts.get("intent", ""))
        self._losses.count(event.connection, event.losses, intent)
        n_custom = sum(type(part) is Custom for part in event.parts)
        self._losses.count(event.connection, ["custom"] * n_custom, intent)
        return intent

    def _let_look(self, work: Work, event: Event, event_id: int) -> None:
        """Tell analysers of what was said; beside the conversation, so of no epoch."""
        state = work.lane.state
        analysers = self._policy.analysers.get(state.workspace, ())
        if not analysers:
            return
        if message := changed_message(event):
            place, now = (state.workspace, state.room, message), work.now_ms
            work.writes.append(lambda cur: findings.change(cur, place, event_id, now))
        for each in for_analysers(event, analysers):
            self._outgoing.enqueue(
                work, event_id, cmd.stream_of(each), cmd.kind_of(each), each.connection, _encode(each), epoch=None
            )

    def _lateness(self, event: MessagePosted, last_visitor_ts: int) -> MessagePosted:
        if event.recovered:
            self._counters.add("messages_recovered", 1, event.author)
        if event.author == "visitor" and (event.late or event.ts < last_visitor_ts):
            self._counters.add("messages_late")
            return msgspec.structs.replace(event, late=True)
        return event

    def _whose(self, event: MessageDeleted, lane_id: int) -> MessageDeleted:
        """No report of a deletion tells who had written it."""
        known = journal.event_by_key(self._reader, lane_id, f"msg:{event.message_id}")
        posted = _posted_decoder.decode(known) if known is not None else None
        return msgspec.structs.replace(event, author=posted.author) if posted else event

    def _apply(self, work: Work, before: Conversation, decision: Decision, event_id: int, intent: str) -> None:
        lane = work.lane
        epoch = decision.after.control.epoch
        if epoch != before.control.epoch:
            lane_id, now = lane.id, work.now_ms
            if not decision.refuse_spoken:
                work.writes.append(lambda cur: outbox.restamp(cur, lane_id, cmd.HUB_STREAM, epoch))
            work.writes.append(lambda cur: outbox.refuse_older(cur, lane_id, epoch, now))
        if decision.after is not before:
            lane.state, work.changed = decision.after, True
        for command in decision.commands:
            self._outgoing.send(work, event_id, command, epoch, intent)

    def _close_observation(self, work: Work, row: Observation, state: int, note: str, *, fresh: bool) -> None:
        if state == QUARANTINED:
            self._counters.add("observations_quarantined")
        if fresh and row.source == "engine" and state == HANDLED:
            return  # the event says all of it, under the same key
        body = self._kept_body(work, row) if state == HANDLED else row.body
        if fresh:
            kept = row if body is row.body else msgspec.structs.replace(row, body=body)
            work.writes.insert(0, lambda cursor: journal.append(cursor, kept, state, note))
            return
        work.writes.append(lambda cursor: journal.mark(cursor, row.id, state, note))
        if body is not row.body:
            work.writes.append(lambda cursor: journal.rewrite(cursor, row.id, body))

    def _kept_body(self, work: Work, row: Observation) -> bytes:
        """Without what is stored already: session events repeat the history of their room each time."""
        if row.source != "webhook" or row.kind == "Message" or len(row.body) < LARGE:
            return row.body
        lane_id = work.lane.id
        return without_known_messages(
            row.body, lambda key: work.knows(key) or journal.has_event(self._reader, lane_id, key)
        )
