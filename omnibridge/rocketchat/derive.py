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
    MessageEdited,
    MessagePosted,
    OfflineMessageLeft,
    UserRef,
)
from omnibridge.rocketchat.clicks import Shown
from omnibridge.rocketchat.rooms import HubMessage
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
