"""Commands become rows of the outbox: rendered for whoever reads them, of their stream, epoch and deadline."""

from __future__ import annotations

import msgspec

from omnibridge.domain import commands as cmd
from omnibridge.domain.content import File, Image
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.files import KEPT, FileSource, plain_name
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence, message_id
from omnibridge.engine.losses import Losses
from omnibridge.engine.retry import DEADLINES_MS
from omnibridge.engine.updating import change_of
from omnibridge.engine.work import Policy, Work
from omnibridge.rocketchat.capabilities import PLAIN, PLAIN_SOURCES, WIDGET, Capabilities
from omnibridge.rocketchat.render import OutgoingMessage, render
from omnibridge.routing.facts import Facts
from omnibridge.storage import outbox
from omnibridge.storage.outbox import Delivery

_encode = msgspec.json.Encoder(order="deterministic").encode

UNBOUND = (cmd.CloseSession, cmd.CancelDecision, cmd.ReleaseAgent, cmd.RequeueStray, cmd.RemoveChoices, cmd.SyncRecords)
"""Sent whoever is in control."""


class Outgoing:
    """`use` comes first. boot: name of this process in the rows that it writes."""

    _policy: Policy

    def __init__(self, ids: IdSequence, secret: bytes, boot: str, counters: Counters, losses: Losses) -> None:
        self._ids, self._secret, self._boot, self._counters, self._losses = ids, secret, boot, counters, losses

    def use(self, policy: Policy) -> None:
        """Its deadlines, and what it says that each side shows."""
        self._policy = policy

    def send(self, work: Work, event_id: int, command: cmd.Command, epoch: int, intent: str) -> None:
        """What carries a command out. intent: of the answer that it comes from."""
        stream, kind = cmd.stream_of(command), cmd.kind_of(command)
        if isinstance(command, cmd.SendToVisitor):
            said_by_us = command.voice == "system"
            for message in self._with_file(work.lane.state, command, self._rendered(work.lane.state, command, intent)):
                if command.thread_id:
                    message = msgspec.structs.replace(message, tmid=command.thread_id)
                body = _encode(message)
                self.enqueue(
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
            self.enqueue(work, event_id, stream, kind, command.connection, body, epoch=epoch, named=True)
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
        self.enqueue(
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

    def enqueue(
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
