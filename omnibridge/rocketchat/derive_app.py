"""What an envelope of the companion app means, given what is known: the same events as a webhook's. Pure.

The app tells each thing once and in order, but perhaps hours later, and its time is that of the telling. So words,
start and close follow by their ids as they always do; of a change of service only what fits an untouched state is
believed, and all else is one read of the room.
"""

from __future__ import annotations

from omnibridge.domain.events import AgentUnassigned, ConversationClosed, Event, MessageDeleted
from omnibridge.rocketchat.app_events import AppReading
from omnibridge.rocketchat.clicks import Click, event_of
from omnibridge.rocketchat.derive import Derivation, DerivedEvent, View, assigned, caught_up, has_moved, words
from omnibridge.rocketchat.derive_live import EQUAL
from omnibridge.rocketchat.derive_read import started_as_read


def derive_app(reading: AppReading, view: View, received_at_ms: int = 0) -> Derivation:
    """Events of one envelope, in the order in which they happened. Raises ActionRefused for what was never shown."""
    if reading.click is not None:
        return _clicked(reading, reading.click, view, received_at_ms)
    events: list[DerivedEvent] = []
    if not view.known:
        if reading.state is None:
            return Derivation((), True, "a room that we do not know: it is read")
        events.append(DerivedEvent("start", started_as_read(reading.state)))
    if reading.kind == "room.closed":
        state = reading.state
        closed = (
            ConversationClosed(state.closed_by, state.closer, state.closed_at_ms) if state else ConversationClosed()
        )
        return Derivation((*events, DerivedEvent("close", closed)))
    if reading.message is not None:
        derived, note = _words(reading, view)
        if not view.known and reading.state and reading.state.served_by:
            events.append(DerivedEvent("", assigned(reading.state.served_by, view)))
        return Derivation((*events, *derived), note=note)
    change = Derivation(note="closed already") if view.closed else _service(reading, view)
    return Derivation((*events, *change.events), change.needs_room_read, change.note)


def _clicked(reading: AppReading, click: Click, view: View, received_at_ms: int) -> Derivation:
    if not view.known or view.closed:
        return Derivation(note="a click in a conversation that is closed, or that we do not know")
    event = event_of(click, reading.room, reading.at_ms, received_at_ms, view.bot_users, view.shown)
    if event is None:
        return Derivation(note="a click on a message that none of our connections had shown")
    return Derivation((DerivedEvent(f"act:{click.id}", event),))


def _words(reading: AppReading, view: View) -> tuple[list[DerivedEvent], str]:
    message = reading.message
    assert message is not None
    if reading.kind == "message.deleted":
        return [DerivedEvent(f"del:{message.id}", MessageDeleted(message.id))], ""
    if message.system_type:
        return [], f"{message.system_type[:40]}: recorded only"
    if reading.kind == "message.updated" and message.edited_at_ms is None:
        return [], "changed, but not by an edit"
    return words(message, view)


def _service(reading: AppReading, view: View) -> Derivation:
    agent, known = reading.agent, view.served_by
    if reading.kind == "agent.assigned" and agent:
        if known and known.id == agent.id:
            return _changed(*caught_up(agent, view), note=EQUAL)
        if known or view.emptied or has_moved(agent, view):
            return Derivation((), True, "names an agent where another serves or one has left: the room is read")
        return _changed(*caught_up(None, view), assigned(agent, view))
    if reading.kind == "agent.unassigned" and agent:
        if known and known.id == agent.id:
            return Derivation((), True, "an agent left, perhaps before he came back: the room is read")
        if view.unreported and view.reported and view.reported.id == agent.id:
            return _changed(AgentUnassigned(agent), note="left, as we decided")
        return Derivation(note="did not serve as far as we know")
    if reading.to_department and reading.to_department != view.department:
        return Derivation((), True, "forwarded to a department: the room is read")
    return Derivation(note="as known")


def _changed(*events: Event, note: str = "") -> Derivation:
    return Derivation(tuple(DerivedEvent("", each) for each in events), note="" if events else note)
