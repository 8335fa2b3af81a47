"""What we read of a room ourselves -> what happened: its state, and messages that no report told us of."""

from __future__ import annotations

from omnibridge.domain.events import (
    AgentUnassigned,
    AuthorKind,
    ConversationClosed,
    ConversationQueued,
    ConversationStarted,
    ConversationTransferred,
    Event,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
    MessagesRecovered,
    RecoveredMessage,
    UserRef,
)
from omnibridge.rocketchat.derive import Derivation, DerivedEvent, View, assigned, author_of, caught_up
from omnibridge.rocketchat.reconcile import RoomHistory, is_by_visitor
from omnibridge.rocketchat.rooms import HubMessage, RoomInfo


def derive_room_read(room: RoomInfo, view: View) -> Derivation:
    """The hub's own word on a room: what differs from what is known becomes events."""
    if view.closed:
        return Derivation(note="closed already")
    events = [] if view.known else [DerivedEvent("start", started_as_read(room))]
    if not room.open:
        return Derivation((*events, _closed_as_read(room)))
    events += [DerivedEvent("", each) for each in _service_as_read(room, view)]
    return Derivation(tuple(events), note="" if events else "as known")


def found_key(message_id: str) -> str:
    """Key of a visitor's message that was found when it had been answered: nobody gets it for that.

    Not the key of its report: if the hub tells it after all, it is delivered late as any other.
    """
    return f"found:{message_id}"


def derive_history(read: RoomHistory, view: View) -> Derivation:
    """A room with the messages that no report told us of: start, who serves, the messages, close.

    Who serves comes first although it may be news of a later time: what a message leads to depends on who has
    control now. Messages that were reported meanwhile are left out. If service changed after the hub was
    asked, its answer may be the older word: the room is read again.
    """
    room, events = read.room, list[DerivedEvent]()
    # Who serves now may be who did, and have been somebody else meanwhile: so the changes are compared too.
    was_counted = read.known_changes >= 0
    is_overtaken = read.known_server != (view.served_by.id if view.served_by else "") or (
        was_counted and read.known_changes != view.changes
    )
    is_stale = view.known and room.open and is_overtaken
    if not view.known:
        events.append(DerivedEvent("start", started_as_read(room)))
    if not view.closed and not is_stale:
        events += [DerivedEvent("", each) for each in _service_as_read(room, view)]
    found: list[RecoveredMessage] = []
    answered_at = 0 if view.has_desk else read.answered_at_ms
    for message in read.messages:
        author = _author_as_read(message, room, view)
        if author != "visitor" and view.is_ours(message.id):
            continue
        # What was found before a desk had it is in the history that the desk was given.
        if not view.seen(message.id) and not (view.has_desk and view.was_found(message.id)):
            is_answered = author == "visitor" and message.ts_ms < answered_at
            key = found_key(message.id) if is_answered else f"msg:{message.id}"
            events.append(DerivedEvent(key, _posted_as_read(message, author)))
            if author == "visitor":
                found.append(RecoveredMessage(message.id, message.text, message.ts_ms, message.has_file, message.files))
        if message.edited_at_ms is not None:
            edited = MessageEdited(message.id, author, message.text, message.edited_at_ms)
            events.append(DerivedEvent(f"edit:{message.id}:{message.edited_at_ms}", edited))
    if found:
        recovered = MessagesRecovered(tuple(found), answered_at, not room.open)
        events.append(DerivedEvent(f"recovered:{found[-1].id}", recovered))
    events += [DerivedEvent(f"del:{each}", MessageDeleted(each)) for each in read.deleted]
    if not room.open and not view.closed:
        events.append(_closed_as_read(room))
    note = "service changed meanwhile: the room is read" if is_stale else "" if events else "as known"
    return Derivation(tuple(events), is_stale and not view.closed, note)


def _service_as_read(room: RoomInfo, view: View) -> list[Event]:
    served, changes = room.served_by, list[Event]()
    if view.known and room.department and room.department != view.department:
        changes.append(ConversationTransferred(view.department, room.department))
    known = view.reported if view.unreported else view.served_by
    at_ms = room.served_at_ms if served else 0
    if view.unreported and _is_same(served, view.reported) and not _is_same(served, view.served_by):
        # The read began after our move was known, so the hub undid it before it told of it.
        changes += caught_up(view.served_by, view, at_ms)
        known = view.served_by
    if known and not _is_same(known, served):
        changes.append(AgentUnassigned(known, at_ms))
    if served and not _is_same(known, served):
        changes.append(assigned(served, view, room.served_at_ms))
    if not served and (known or not view.known) and room.open:
        changes.append(ConversationQueued(room.department))
    return changes


def _is_same(one: UserRef | None, other: UserRef | None) -> bool:
    return (one.id if one else "") == (other.id if other else "")


def _closed_as_read(room: RoomInfo) -> DerivedEvent:
    return DerivedEvent("close", ConversationClosed(room.closed_by, room.closer, room.closed_at_ms))


def _author_as_read(message: HubMessage, room: RoomInfo, view: View) -> AuthorKind:
    return author_of(message.author_id, message.author_username, is_by_visitor(message, room), view)


def _posted_as_read(message: HubMessage, author: AuthorKind) -> MessagePosted:
    return MessagePosted(
        message.id, author, message.author_id, message.text, message.ts_ms, late=True,
        has_file=message.has_file, file_name=message.file_name, recovered=True, files=message.files,
    )  # fmt: skip


def started_as_read(room: RoomInfo) -> ConversationStarted:
    """The beginning of a conversation, from its room."""
    return ConversationStarted(
        visitor_id=room.visitor_id,
        visitor_name=room.visitor_name,
        visitor_username=room.visitor_username,
        visitor_email=room.visitor_email,
        visitor_fields=room.visitor_fields,
        department=room.department,
        room_fields=room.fields,
        source=room.source,
        at=room.created_at_ms,
    )
