"""What a hub's report means, given what is known: observation -> events (design, I2). Pure.

Reports have no order, no time stamp of assignment and come twice: a message is an event by its id, start and
close happen once, and who serves is *state*: a report equal to the state says nothing, one that fills an
empty state is believed, one that contradicts leads to one read of the room, and the read decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

import msgspec

from omnibridge.domain.events import (
    AgentAssigned,
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
    OfflineMessageLeft,
    RecoveredMessage,
    UserRef,
)
from omnibridge.rocketchat.clicks import Shown
from omnibridge.rocketchat.reconcile import RoomHistory, is_by_visitor
from omnibridge.rocketchat.rooms import HubMessage, RoomInfo
from omnibridge.rocketchat.webhook import WebhookMessage, WebhookReading


def nothing_shown(message: str) -> Shown | None:
    """Of a message that we did not post."""
    return None


class View(msgspec.Struct, frozen=True):
    """What the conversation knows. bot_users: user id and user name of our bot users -> connection.

    is_ours: whether a message id was given by us (echo). seen: whether a message was an event before.
    emptied: somebody served and was unassigned, so a report that names an agent may be an old one. service_at: hub
    time of the last change of service, 0 = unknown. queued: it was told that it waits. unreported: a move of ours
    changed who serves, and nobody told of it yet; reported is who served before. shown: what we posted under an id.
    changes: how often service changed. has_desk: people of another system have it, who want to read all of it.
    was_found: whether a message that nobody reported was an event before, under the key of what was answered since.
    """

    known: bool
    closed: bool
    served_by: UserRef | None
    department: str
    bot_users: Mapping[str, str]
    is_ours: Callable[[str], bool]
    seen: Callable[[str], bool]
    emptied: bool = False
    service_at: int = 0
    queued: bool = False
    reported: UserRef | None = None
    unreported: bool = False
    shown: Callable[[str], Shown | None] = nothing_shown
    changes: int = 0
    has_desk: bool = False
    was_found: Callable[[str], bool] = lambda message: False


class DerivedEvent(msgspec.Struct, frozen=True):
    """key: unique per room, however often reported; empty = a change of state."""

    key: str
    event: Event


class Derivation(msgspec.Struct, frozen=True):
    """needs_room_read: the report contradicts what is known. note: why nothing follows, in words."""

    events: tuple[DerivedEvent, ...] = ()
    needs_room_read: bool = False
    note: str = ""


class _Change(msgspec.Struct, frozen=True):
    """What a report does to the state of service."""

    events: tuple[Event, ...] = ()
    needs_room_read: bool = False
    note: str = ""


def derive(reading: WebhookReading, view: View) -> Derivation:
    """Events of one webhook, in the order in which they happened.

    Of a session event only the state is read: what its history has and we lack, the reconciler fetches.
    """
    if not reading.acted_on:
        return Derivation(note=reading.note)
    if reading.kind == "LivechatOfflineMessage":
        return Derivation((_offline(reading),))
    events: list[DerivedEvent] = []
    if not view.known:
        events.append(DerivedEvent("start", _started(reading)))
    change = _Change(note="closed already") if view.closed else _service(reading, view)
    events += [DerivedEvent("", each) for each in change.events]
    note = change.note
    for message in reading.messages:
        derived, why = words(message, view)
        note = why or note
        events += derived
    if reading.kind == "LivechatSession":
        closed = ConversationClosed(
            reading.closed_by, reading.closer, reading.closed_at_ms, reading.tags, reading.room_fields
        )
        return Derivation((*events, DerivedEvent("close", closed)), note=note)
    return Derivation(tuple(events), change.needs_room_read, note)


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


def _service(reading: WebhookReading, view: View) -> _Change:
    """Who serves, where it waits, which department it belongs to.

    Reports are repeated 20 s later and overtake each other, and carry no time: a contradiction is never
    believed, neither is an agent where one has just left.
    """
    agent, known = reading.agent, view.served_by
    if agent and known and agent.id != known.id:
        return _Change((), True, "reports another agent: the room is read")
    if known and not agent and reading.kind not in ("LivechatSessionStart", "LivechatSession"):
        return _Change((), True, "reports nobody, but somebody serves: the room is read")
    if agent and not known:
        if view.known and reading.kind == "Message":  # perhaps of before he left: only the room itself can tell
            return _Change((), True, "a message names an agent: the room is read")
        if view.emptied or has_moved(agent, view):
            return _Change((), True, "names an agent where one has left: the room is read")
    moved = _moved(reading, view)
    if moved is None:
        return _Change((), True, "forwarded from a department that we did not know: the room is read")
    changes: list[Event] = list(moved)
    if agent and not known:
        changes += [*caught_up(None, view), assigned(agent, view)]
    elif reading.kind not in ("LivechatSessionStart", "LivechatSession"):
        changes += caught_up(agent, view)
    if reading.kind == "LivechatSessionQueued" and not agent:
        if view.department and reading.department not in ("", view.department):
            return _Change((), True, "waits in another department: the room is read")
        if view.queued:
            return _Change(note="waits already")
        changes.append(ConversationQueued(reading.department))
    return _Change(tuple(changes), False, "" if changes or not known else "served by the same agent")


def has_moved(agent: UserRef, view: View) -> bool:
    """Whether a move of ours ended this agent's service, as far as we know."""
    return view.unreported and view.reported is not None and view.reported.id == agent.id


def caught_up(agent: UserRef | None, view: View, at_ms: int = 0) -> list[Event]:
    """The events of a move of ours, when a report says what we know already."""
    if not view.unreported:
        return []
    left: list[Event] = [AgentUnassigned(view.reported, at_ms)] if view.reported else []
    return [*left, assigned(agent, view, at_ms)] if agent else left


def _moved(reading: WebhookReading, view: View) -> tuple[Event, ...] | None:
    """The change of department of a forward; None when it does not start where we believe to be."""
    department = reading.department
    if reading.kind != "LivechatSessionForwarded" or not department or department == view.department:
        return ()
    if view.department and reading.old_department != view.department:
        return None
    return (ConversationTransferred(reading.old_department or view.department, department),)


def words(message: WebhookMessage | HubMessage, view: View) -> tuple[list[DerivedEvent], str]:
    """A message and its edits, whoever reported it; or why it is none."""
    author = author_of(message.author_id, message.author_username, message.from_visitor, view)
    if author != "visitor" and view.is_ours(message.id):
        return [], "echo of our own message"
    posted = MessagePosted(
        message.id, author, message.author_id, message.text, message.ts_ms,
        has_file=message.has_file, file_name=message.file_name, files=message.files,
    )  # fmt: skip
    if message.edited_at_ms is None:
        return [DerivedEvent(f"msg:{message.id}", posted)], ""
    edited = MessageEdited(message.id, author, message.text, message.edited_at_ms)
    events = [DerivedEvent(f"edit:{message.id}:{message.edited_at_ms}", edited)]
    if not view.seen(message.id):
        events.insert(0, DerivedEvent(f"msg:{message.id}", posted))
    return events, ""


def author_of(author_id: str, username: str, from_visitor: bool, view: View) -> AuthorKind:
    """Who wrote, of the kinds that we tell apart."""
    if from_visitor:
        return "visitor"
    return "bot" if author_id in view.bot_users or username in view.bot_users else "agent"


def assigned(agent: UserRef, view: View, at_ms: int = 0) -> AgentAssigned:
    """An agent serves; as a bot when it is a user of ours."""
    connection = view.bot_users.get(agent.id) or view.bot_users.get(agent.username) or ""
    return AgentAssigned(agent, bool(connection), connection, at_ms)


def _offline(reading: WebhookReading) -> DerivedEvent:
    """The form has no id and belongs to no room: a repeat is known by its time and its words."""
    visitor = reading.visitor
    words = "\0".join((visitor.name, visitor.email, reading.offline_text))
    digest = sha256(words.encode("utf-8", "replace")).hexdigest()[:16]
    key = f"offline:{reading.offline_at_ms}:{digest}" if reading.offline_at_ms else ""
    return DerivedEvent(key, OfflineMessageLeft(visitor.name, visitor.email, reading.offline_text))


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
