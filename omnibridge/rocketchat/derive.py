"""What a hub's report means, given what is known: observation -> events (design, I2). Pure.

Reports have no order, no time stamp of assignment and come twice: a message is an event by its id, start and
close happen once, and who serves is *state*: a report equal to the state says nothing, one that fills an
empty state is believed, one that contradicts leads to one read of the room, and the read decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omnibridge.domain.events import (
    AgentAssigned,
    AgentUnassigned,
    AuthorKind,
    ConversationClosed,
    ConversationQueued,
    ConversationStarted,
    ConversationTransferred,
    Event,
    MessageEdited,
    MessagePosted,
    OfflineMessageLeft,
    UserRef,
)
from omnibridge.rocketchat.rooms import RoomInfo
from omnibridge.rocketchat.webhook import WebhookMessage, WebhookReading


@dataclass(frozen=True)
class View:
    """What the conversation knows. bot_users: user id and user name of our bot users -> connection.

    is_ours: whether a message id was given by us (echo). seen: whether a message was an event before.
    """

    known: bool
    closed: bool
    served_by: UserRef | None
    department: str
    bot_users: Mapping[str, str]
    is_ours: Callable[[str], bool]
    seen: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class DerivedEvent:
    """key: unique per room, however often reported; empty = a change of state."""

    key: str
    event: Event


@dataclass(frozen=True, slots=True)
class Derivation:
    """needs_room_read: the report contradicts what is known. note: why nothing follows, in words."""

    events: tuple[DerivedEvent, ...] = ()
    needs_room_read: bool = False
    note: str = ""


def derive(reading: WebhookReading, view: View) -> Derivation:
    """Events of one webhook, in the order in which they happened."""
    if reading.kind == "LivechatOfflineMessage":
        left = OfflineMessageLeft(reading.visitor.name, reading.visitor.email, reading.offline_text)
        return Derivation((DerivedEvent("", left),))
    events: list[DerivedEvent] = []
    if not view.known:
        events.append(DerivedEvent("start", _started(reading)))
    changes, needs_read, note = ((), False, "closed already") if view.closed else _service(reading, view)
    events += [DerivedEvent("", each) for each in changes]
    for message in reading.messages:
        derived, why = _message(message, view)
        note = why or note
        events += derived
    if reading.kind == "LivechatSession":
        closed = ConversationClosed(reading.closed_by, reading.closer, reading.closed_at_ms)
        events.append(DerivedEvent("close", closed))
        needs_read = False
    return Derivation(tuple(events), needs_read, note)


def derive_room_read(room: RoomInfo, view: View) -> Derivation:
    """The hub's own word on a room: what differs from what is known becomes events."""
    if view.closed:
        return Derivation(note="closed already")
    if not room.open:
        return Derivation((DerivedEvent("close", ConversationClosed(room.closed_by, room.closer, room.closed_at_ms)),))
    changes: list[Event] = []
    if room.department and view.department and room.department != view.department:
        changes.append(ConversationTransferred(view.department, room.department))
    known = view.served_by.id if view.served_by else ""
    served = room.served_by.id if room.served_by else ""
    if known and known != served and view.served_by:
        changes.append(AgentUnassigned(view.served_by))
    if room.served_by and known != served:
        changes.append(_assigned(room.served_by, view))
    if known and not served:
        changes.append(ConversationQueued(room.department))
    return Derivation(tuple(DerivedEvent("", each) for each in changes), note="" if changes else "as known")


def _service(reading: WebhookReading, view: View) -> tuple[tuple[Event, ...], bool, str]:
    """Who serves, where it waits, which department it belongs to."""
    agent, known = reading.agent, view.served_by
    if agent and known and agent.id == known.id:
        return (), False, "served by the same agent"
    if agent and known:
        return (), True, "reports another agent: the room is read"
    if agent:
        if reading.kind == "Message":
            # May have been sent before the agent left: only the room itself can tell.
            return ((_assigned(agent, view),), False, "") if not view.known else ((), True, "an agent is named")
        return (_assigned(agent, view),), False, ""
    if known and reading.kind in (
        "LivechatSessionQueued",
        "LivechatSessionForwarded",
        "LivechatSessionStart",
    ):
        return (), reading.kind != "LivechatSessionStart", "reports nobody, but somebody serves"
    changes: list[Event] = []
    if reading.kind == "LivechatSessionForwarded" and reading.department != view.department:
        changes.append(ConversationTransferred(reading.old_department or view.department, reading.department))
    if reading.kind == "LivechatSessionQueued":
        changes.append(ConversationQueued(reading.department))
    return tuple(changes), False, ""


def _message(message: WebhookMessage, view: View) -> tuple[list[DerivedEvent], str]:
    if not message.id:
        raise ValueError("a message without _id")
    author = _author(message, view)
    if author != "visitor" and view.is_ours(message.id):
        return [], "echo of our own message"
    posted = MessagePosted(
        message.id, author, message.author_id, message.text, message.ts_ms,
        has_file=message.has_file, file_name=message.file_name,
    )  # fmt: skip
    if message.edited_at_ms is None:
        return [DerivedEvent(f"msg:{message.id}", posted)], ""
    edited = MessageEdited(message.id, author, message.text, message.edited_at_ms)
    events = [DerivedEvent(f"edit:{message.id}:{message.edited_at_ms}", edited)]
    if not view.seen(message.id):
        events.insert(0, DerivedEvent(f"msg:{message.id}", posted))
    return events, ""


def _author(message: WebhookMessage, view: View) -> AuthorKind:
    if message.from_visitor:
        return "visitor"
    is_bot = message.author_id in view.bot_users or message.author_username in view.bot_users
    return "bot" if is_bot else "agent"


def _assigned(agent: UserRef, view: View) -> AgentAssigned:
    connection = view.bot_users.get(agent.id) or view.bot_users.get(agent.username) or ""
    return AgentAssigned(agent, bool(connection), connection)


def _started(reading: WebhookReading) -> ConversationStarted:
    visitor = reading.visitor
    return ConversationStarted(
        visitor_id=visitor.id,
        visitor_name=visitor.name,
        visitor_username=visitor.username,
        visitor_email=visitor.email,
        department=reading.department,
        room_fields=reading.room_fields,
        visitor_fields=visitor.fields,
        at=reading.created_at_ms,
    )
