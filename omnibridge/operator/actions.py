"""What resend and bury do to the rows of one conversation: a plan, whose `write` is one unit of work.

The operator's will stands above control: a row that is sent again belongs to the *current* control epoch. What
cannot be wanted is left, with the reason: words for a closed conversation, or a turn for a bot whose answer nobody
would say. Chosen by a filter rather than by id, rows are left as well when their party has lost control since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from omnibridge.domain.commands import SendToParty
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.delivery_events import DeliveryBuried, TurnResent
from omnibridge.domain.events import Event, kind_of
from omnibridge.storage import amend, journal, outbox
from omnibridge.storage.journal import Observation
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.tables import BURIED, DUE, HANDLED, REFUSED
from omnibridge.storage.writer import Unit

AFTER_CLOSE = ("CloseSession", "ReadRoom", "SyncRecords", "EraseRecords")
"""Commands that mean something in a closed conversation."""

WORDS = ("SendToVisitor", "SystemText")

_encode = msgspec.json.Encoder(order="deterministic").encode
_turn = msgspec.json.Decoder(SendToParty)


class Outcome(msgspec.Struct, omit_defaults=True):
    """What became of one row. why: reason when it was left as it is. new_id: the row that is sent in its place."""

    id: int
    done: bool
    why: str = ""
    new_id: int = 0


class Order(msgspec.Struct):
    """What an operator wants. by: name of the OS user. named: the ids were given one by one, not by a filter."""

    ids: list[int]
    by: str
    named: bool = True


class Ids(Protocol):
    """Ids that grow."""

    def next(self) -> int: ...


@dataclass(frozen=True)
class Bench:
    """What plans are made with. boot: of the running process, '' without one."""

    ids: Ids
    boot: str
    now_ms: int


@dataclass
class Plan:
    """For one conversation. streams: to ring afterwards."""

    conversation_id: int
    workspace: str
    room: str
    outcomes: list[Outcome] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    streams: set[str] = field(default_factory=set)

    def write(self, cursor: Any) -> None:
        """All of it or nothing. Raises ConcurrentUpdate."""
        for each in self.units:
            each(cursor)

    @property
    def done(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.done]

    def undo(self, why: str) -> None:
        """It could not be written."""
        self.outcomes = [Outcome(each.id, False, why) if each.done else each for each in self.outcomes]


Row = tuple[Delivery, int, str]
"""(row, state, code)"""


def plan_resend(plan: Plan, rows: list[Row], conversation: Conversation, order: Order, bench: Bench) -> Plan:
    """New rows at the end of their streams, in the order of the old ones.

    The new row takes over the id by which the other side knows the old one: what had arrived after all is
    recognised, and is not said twice. A turn of which nobody could tell whether it arrived is sent for certain: that
    is what the operator decides here.
    """
    note = bench.ids.next()
    for row, state, code in rows:
        why = _why_not_again(row, state, code, conversation, named=order.named)
        if why:
            plan.outcomes.append(Outcome(row.id, False, why))
            continue
        again = _again(row, state, code, conversation, bench)
        plan.units += [_superseding(row.id), _enqueueing(again)]
        if row.command == "SendToParty":
            turn = _turn.decode(row.body)
            event = TurnResent(
                again.id, row.connection, turn.message_id, turn.text, turn.choice_value, turn.welcome, turn.late
            )
            plan.units.append(_telling(plan, bench, event, f"resent:{again.id}"))
        plan.outcomes.append(Outcome(row.id, True, new_id=again.id))
        plan.streams.add(row.stream)
    return _noted(plan, note, "resend", order, bench)


def plan_bury(plan: Plan, rows: list[Row], order: Order, bench: Bench) -> Plan:
    """Give up rows that wait; the conversation is told, as of any burial."""
    note = bench.ids.next()
    for row, state, _ in rows:
        if state != DUE:
            plan.outcomes.append(Outcome(row.id, False, "does not wait to be sent"))
            continue
        event = DeliveryBuried(row.id, row.command, row.connection, amend.GIVEN_UP)
        plan.units += [_giving_up(row.id, bench.now_ms), _telling(plan, bench, event, f"settled:{row.id}")]
        plan.outcomes.append(Outcome(row.id, True))
        plan.streams.add(row.stream)
    return _noted(plan, note, "bury", order, bench)


def _why_not_again(row: Delivery, state: int, code: str, conversation: Conversation, *, named: bool) -> str:
    """Empty = it can be sent again."""
    control, party = conversation.control, row.connection
    if state not in (BURIED, REFUSED):
        return "waits to be sent already" if state == DUE else "was delivered"
    if code == amend.RESENT:
        return "was sent again already, under another id"
    if conversation.closed and row.command not in AFTER_CLOSE:
        return "the conversation is closed"
    if row.command == "ListAgents" and conversation.handover.stage != "listing":
        return "nobody waits any more to hear who could serve"
    if row.command in ("AskDecider", "EnsureAgent", "StartTimer") and conversation.assignment.stage == "idle":
        return "nobody waits for this decision any more"
    if row.command == "SendToParty" and control.connection != party:
        return f"{control.party} is in control now: what {party} answered would not be said"
    if named or row.epoch in (None, control.epoch):
        return ""
    if row.command in WORDS:
        return "" if control.connection == party else f"{control.party} is in control now; name its id to insist"
    if row.command == "SendToParty":
        return ""
    return "control has changed since; name its id to insist"


def _again(row: Delivery, state: int, code: str, conversation: Conversation, bench: Bench) -> Delivery:
    control, party = conversation.control, row.connection
    if row.command in WORDS and (control.connection != party or conversation.relay_posts):
        party = ""  # its bot user does not serve and so may not post: the relay account does
    uncertain = 0 if code == "uncertain" else max(row.uncertain, int(state == REFUSED))
    return msgspec.structs.replace(
        row,
        id=bench.ids.next(),
        connection=party,
        epoch=None if row.epoch is None else control.epoch,
        external_id=row.external_id or (str(row.id) if row.command == "SendToParty" else None),
        attempts=0,
        uncertain=uncertain,
        boot=bench.boot,
        next_attempt_at=0,
        deadline_at=bench.now_ms + max(row.deadline_at - row.created_at, 1000),
        created_at=bench.now_ms,
    )


def _noted(plan: Plan, note: int, kind: str, order: Order, bench: Bench) -> Plan:
    """Who did what is part of the time line."""
    if plan.done:
        body = _encode({"by": order.by, "rows": [msgspec.to_builtins(each) for each in plan.done]})
        seen = Observation(note, plan.workspace, plan.room, "operator", kind, bench.now_ms, body)
        plan.units.append(lambda cursor: journal.append(cursor, seen, HANDLED))
    return plan


def _superseding(delivery_id: int) -> Unit:
    return lambda cursor: amend.supersede(cursor, delivery_id)


def _giving_up(delivery_id: int, at: int) -> Unit:
    return lambda cursor: amend.give_up(cursor, delivery_id, at)


def _enqueueing(row: Delivery) -> Unit:
    return lambda cursor: outbox.enqueue(cursor, row)


def _telling(plan: Plan, bench: Bench, event: Event, dedupe: str) -> Unit:
    """An observation that the lane handles, as if a stream had made it."""
    seen = Observation(
        bench.ids.next(), plan.workspace, plan.room, "engine", kind_of(event), bench.now_ms, _encode(event), dedupe
    )
    return lambda cursor: journal.append(cursor, seen)
