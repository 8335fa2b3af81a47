"""What a frame of the realtime connection means, given what is known: the same events as a webhook's. Pure.

A system message of a change of service carries its own time, so where webhooks lead to a read, this can often be
believed: what fits the state follows at once, what is older than the state is ignored, and what contradicts it
leads to one read of the room. Only a whole room tells since when somebody serves (`servedBy.ts`), and replaces him.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain.events import (
    AgentUnassigned,
    ConversationClosed,
    ConversationQueued,
    ConversationTransferred,
    Event,
    MessageDeleted,
    UserRef,
)
from omnibridge.rocketchat.derive import Derivation, DerivedEvent, View, assigned, caught_up, has_moved, words
from omnibridge.rocketchat.realtime.translate import LiveReading
from omnibridge.rocketchat.rooms import RoomInfo

EQUAL, OLDER = "served by the same agent", "older than what is known"


def derive_live(reading: LiveReading, view: View) -> Derivation:
    """Events of one frame, in the order in which they happened."""
    if not view.known:
        # Department, fields and visitor are in no frame, and rules need them: the room itself begins it, which is
        # read before any frame comes this far; if it could not be, the reconciler finds it.
        return Derivation(note="a room that we do not know")
    events = [DerivedEvent(f"del:{each}", MessageDeleted(each)) for each in reading.deleted]
    if reading.message is not None:
        messages, note = words(reading.message, view)
        return Derivation((*events, *messages), note=note)
    if reading.closed:
        closed = ConversationClosed(reading.closed_by, reading.closer, reading.at_ms)
        return Derivation((*events, DerivedEvent("close", closed)))
    if view.closed:
        return Derivation(tuple(events), note="closed already")
    change = _service(reading, view)
    return msgspec.structs.replace(change, events=(*events, *change.events), note=change.note or reading.note)


def _service(reading: LiveReading, view: View) -> Derivation:
    if reading.state is not None:
        return _room(reading.state, view)
    if reading.waits is not None:
        if reading.waits == (view.served_by is None):
            return Derivation(note="as known")
        return _read("an inquiry tells otherwise: the room is read")
    if reading.service == "assigned" and reading.agent:
        return _assigned(reading.agent, reading.at_ms, view)
    if reading.service == "unassigned" and reading.agent:
        return _unassigned(reading.agent, reading.at_ms, view, [])
    if reading.service == "queued":
        # `ul` of who served comes after it, and finds it done.
        queued = ConversationQueued(reading.department or view.department)
        if view.served_by is None:
            then = [] if view.queued else [queued]
            return _changed(*caught_up(None, view, reading.at_ms), *then, note="as known")
        return _unassigned(view.served_by, reading.at_ms, view, [queued])
    if reading.service == "department":
        return _department(reading, view)
    return Derivation()


def _assigned(agent: UserRef, at_ms: int, view: View) -> Derivation:
    known = view.served_by
    if known and known.id == agent.id:
        return _changed(*caught_up(agent, view, at_ms), note=EQUAL)
    if view.service_at and at_ms < view.service_at:
        return Derivation(note=OLDER)
    if known:
        return _read("reports another agent: the room is read")
    if (view.emptied and not (view.service_at and at_ms)) or has_moved(agent, view):
        return _read("names an agent where one has left: the room is read")
    return _changed(*caught_up(None, view, at_ms), assigned(agent, view, at_ms))


def _unassigned(agent: UserRef, at_ms: int, view: View, then: list[Event]) -> Derivation:
    known = view.served_by
    if known is None or known.id != agent.id:
        if view.unreported and view.reported and view.reported.id == agent.id:
            return _changed(AgentUnassigned(agent, at_ms), note="left, as we decided")
        return Derivation(note="did not serve as far as we know")
    if view.unreported or not (view.service_at and at_ms):
        return _read("an agent left, perhaps before he came back: the room is read")
    if at_ms < view.service_at:
        return Derivation(note=OLDER)
    return _changed(AgentUnassigned(known, at_ms), *then)


def _department(reading: LiveReading, view: View) -> Derivation:
    if reading.department == view.department:
        return Derivation(note="as known")
    if reading.old_department != view.department:
        return _read("forwarded from a department that we did not know: the room is read")
    return _changed(ConversationTransferred(view.department, reading.department))


def _room(room: RoomInfo, view: View) -> Derivation:
    """The room as it was at some moment: who serves has a time, everything else has none."""
    if not room.open and not room.closed_at_ms:
        return _read("neither open nor closed at some time: the room is read")
    if not room.open:
        closed = ConversationClosed(room.closed_by, room.closer, room.closed_at_ms)
        return Derivation((DerivedEvent("close", closed),))
    known, served = view.served_by, room.served_by
    if room.department and room.department != view.department:
        return _read("another department: the room is read")
    if (known.id if known else "") == (served.id if served else ""):
        return _changed(*caught_up(served, view, room.served_at_ms), note="as known")
    if served is None or not room.served_at_ms:
        return _read("contradicts what is known: the room is read")
    if room.served_at_ms < view.service_at:
        return Derivation(note=OLDER)
    if not view.service_at and (known or view.emptied):
        return _read("contradicts what is known: the room is read")
    before = view.reported if view.unreported else known
    left = [AgentUnassigned(before, room.served_at_ms)] if before else []
    return _changed(*left, assigned(served, view, room.served_at_ms))


def _changed(*events: Event, note: str = "") -> Derivation:
    """note: why nothing follows, when nothing does."""
    return Derivation(tuple(DerivedEvent("", each) for each in events), note="" if events else note)


def _read(note: str) -> Derivation:
    return Derivation((), True, note)
