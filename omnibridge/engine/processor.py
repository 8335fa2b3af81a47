"""Observation -> events -> decisions -> one unit of work. No I/O but look-ups; runs inside a lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from omnibridge.clock import Clock
from omnibridge.connector.desks import HoldsSessions
from omnibridge.domain import commands as cmd
from omnibridge.domain.content import Custom, File, Image
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
from omnibridge.domain.files import KEPT, FileSource, plain_name
from omnibridge.engine.callbacks import Callbacks
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence, message_id
from omnibridge.engine.interpreter import Interpreter
from omnibridge.engine.losses import Losses
from omnibridge.engine.observing import WATCHED, changed_message, for_analysers
from omnibridge.engine.recording import for_keepers
from omnibridge.engine.retry import DEADLINES_MS
from omnibridge.engine.updating import change_of
from omnibridge.engine.work import Lane, Policy, Work
from omnibridge.rocketchat.capabilities import PLAIN, PLAIN_SOURCES, WIDGET, Capabilities
from omnibridge.rocketchat.derive import DerivedEvent
from omnibridge.rocketchat.render import OutgoingMessage, render
from omnibridge.routing.decision import Decision, encode_decision
from omnibridge.routing.facts import Facts
from omnibridge.routing.router import route
from omnibridge.storage import conversations, findings, journal, outbox
from omnibridge.storage.compact import without_known_messages
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.tables import HANDLED, QUARANTINED, SKIPPED

_log = structlog.get_logger("omnibridge.processor")
_state_decoder = msgspec.json.Decoder(Conversation)
_posted_decoder = msgspec.json.Decoder(MessagePosted)
_encode = msgspec.json.Encoder(order="deterministic").encode

LARGE = 2048
"""Bytes of a session event from which on it is worth a look whether its history is known: without one it is 1 KB."""

UNBOUND = (cmd.CloseSession, cmd.CancelDecision, cmd.ReleaseAgent, cmd.RequeueStray, cmd.RemoveChoices, cmd.SyncRecords)
"""Sent whoever is in control."""

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
        self._reader, self._clock, self._ids, self._secret, self._boot = reader, clock, ids, secret, boot
        self._counters, self._losses = counters, Losses(counters)
        self.use(policy)

    def use(self, policy: Policy) -> None:
        """Decide with these rules and this directory from now on; their snapshots are stored already."""
        self._policy = policy
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
            self._enqueue(work, 0, READ_STREAM, "ReadRoom", "", b"{}", epoch=None)
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
            self._send(work, event_id, each, 0, "")

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
            self._enqueue(
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
            self._send(work, event_id, command, epoch, intent)

    def _send(self, work: Work, event_id: int, command: cmd.Command, epoch: int, intent: str) -> None:
        stream, kind = cmd.stream_of(command), cmd.kind_of(command)
        if isinstance(command, cmd.SendToVisitor):
            said_by_us = command.voice == "system"
            for message in self._with_file(work.lane.state, command, self._rendered(work.lane.state, command, intent)):
                if command.thread_id:
                    message = msgspec.structs.replace(message, tmid=command.thread_id)
                body = _encode(message)
                self._enqueue(
                    work,
                    event_id,
                    stream,
                    "SystemText" if said_by_us else kind,
                    command.connection,
                    body,
                    epoch=None if said_by_us else epoch,
                    named=True,
                )
            return
        if isinstance(command, cmd.UpdateMessage):
            shown = cmd.SendToVisitor(command.update.content, command.connection)
            body = _encode(change_of(command, self._rendered(work.lane.state, shown, intent)))
            self._enqueue(work, event_id, stream, kind, command.connection, body, epoch=epoch, named=True)
            return
        if isinstance(command, cmd.ResumeTurns):
            self._resume(work, stream, command, epoch)
            return
        if isinstance(command, cmd.HurryTurns):
            lane_id, now = work.lane.id, work.now_ms
            work.writes.append(lambda cur: outbox.hurry(cur, lane_id, stream, now))
            work.resumed.append((lane_id, stream))
            return
        if isinstance(command, cmd.RequeueStray):
            self._counters.add("assignments_stray")
        self._enqueue(
            work,
            event_id,
            stream,
            kind,
            getattr(command, "connection", ""),
            _encode(command),
            epoch=None if isinstance(command, UNBOUND) or getattr(command, "anyway", False) else epoch,
            within_ms=getattr(command, "within_ms", 0),
            after_ms=command.after_ms if isinstance(command, cmd.StartTimer | cmd.SyncRecords) else 0,
        )

    def _rendered(self, state: Conversation, command: cmd.SendToVisitor, intent: str) -> list[OutgoingMessage]:
        """The messages that show a content in the room, in order; none when nobody could see it. What got lost is
        told by the first of them."""
        connection = command.connection or state.control.connection
        messages, losses = render(command.content, self._capabilities(state, command, connection))
        if losses:
            self._losses.count(connection, losses, intent)
            if messages:
                messages[0] = msgspec.structs.replace(messages[0], lost=losses, intent=intent)
        if command.speaker is not None:
            messages = [msgspec.structs.replace(each, speaker=command.speaker) for each in messages]
        return messages

    def _with_file(
        self, state: Conversation, command: cmd.SendToVisitor, messages: list[OutgoingMessage]
    ) -> list[OutgoingMessage]:
        """Of a bot whose files are uploaded: what it is, beside what is shown if it cannot be."""
        content = command.content
        if not isinstance(content, Image | File):
            return messages
        is_kept = content.url.startswith(KEPT)
        texts = self._policy.rules.texts.for_facts(Facts(state, None).plain)
        lost = texts.file_lost.replace("{name}", plain_name(content.title))
        alone = OutgoingMessage(lost, speaker=command.speaker)
        shown = [alone] if is_kept and lost else [] if is_kept else messages
        bot = self._policy.directory.connection(command.connection)
        if bot is None or not bot.uploads or len(shown) > 1:
            return shown
        if not shown and not is_kept:
            return shown
        kind = content.media_type if isinstance(content, File) else ""
        first = shown[0] if shown else OutgoingMessage("", speaker=command.speaker)
        return [msgspec.structs.replace(first, file=FileSource(content.url, content.title, kind))]

    def _capabilities(self, state: Conversation, command: cmd.SendToVisitor, connection: str) -> Capabilities:
        source = state.facts.get("source", "")
        if command.voice == "system":  # our own sentences are markdown, whatever the bot writes
            return PLAIN if source in PLAIN_SOURCES else WIDGET
        return self._policy.sides.of(state.workspace, connection, source)

    def _resume(self, work: Work, stream: str, command: cmd.ResumeTurns, epoch: int) -> None:
        within_ms = command.within_ms or self._policy.deadlines["SendToParty"]
        lane_id, until = work.lane.id, work.now_ms + within_ms
        work.writes.append(lambda cur: outbox.resume(cur, lane_id, stream, command.count, epoch, until))
        work.resumed.append((lane_id, stream))

    def _enqueue(
        self,
        work: Work,
        event_id: int,
        stream: str,
        kind: str,
        connection: str,
        body: bytes,
        *,
        epoch: int | None,
        named: bool = False,
        within_ms: int = 0,
        after_ms: int = 0,
    ) -> None:
        state, delivery_id = work.lane.state, self._ids.next()
        deadline = within_ms or self._policy.deadlines.get(kind, DEADLINES_MS["SendToVisitor"])
        delivery = Delivery(
            id=delivery_id,
            conversation_id=work.lane.id,
            event_id=event_id,
            stream=stream,
            command=kind,
            connection=connection,
            epoch=epoch,
            external_id=message_id(self._secret, state.workspace, state.room, delivery_id) if named else None,
            body=body,
            attempts=0,
            uncertain=0,
            boot=self._boot,
            next_attempt_at=work.now_ms + after_ms if after_ms else 0,
            deadline_at=work.now_ms + after_ms + deadline,
            created_at=work.now_ms,
        )
        work.writes.append(lambda cursor: outbox.enqueue(cursor, delivery))
        work.deliveries.append(delivery)

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
