"""What happened, in the past tense. Derived from observations in the lane, unique by key per room.

Here are those of the room and of bots; desks, people of other systems and deliveries have modules of their own. Every
event is plain data: replaying it needs nothing else. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.content import Content
from omnibridge.domain.files import FileRef
from omnibridge.domain.interactions import Interaction, MessageUpdate

AuthorKind = Literal["visitor", "agent", "bot"]
"""Who wrote: the visitor, a person of the workspace, or one of our bot users."""


class UserRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Rocket.Chat user as far as an event shows it."""

    id: str
    username: str = ""
    name: str = ""


class Event(msgspec.Struct, frozen=True, tag_field="event", omit_defaults=True):
    """What all of them are. Each kind is in the union of `stored_events.py`, or the journal cannot be read."""


class ConversationStarted(Event, frozen=True, tag="ConversationStarted"):
    """First sight of a room. `room_fields`, `visitor_fields`, name and e-mail are claims of the visitor."""

    visitor_id: str = ""
    visitor_name: str = ""
    visitor_username: str = ""
    visitor_email: str = ""
    department: str = ""
    room_fields: dict[str, Any] = {}
    visitor_fields: dict[str, Any] = {}
    source: str = ""
    at: int = 0


class ConversationQueued(Event, frozen=True, tag="ConversationQueued"):
    """Waits for somebody to take it."""

    department: str = ""


class AgentAssigned(Event, frozen=True, tag="AgentAssigned"):
    agent: UserRef
    is_bot: bool = False
    """True when the user is one of our connections' bot users."""
    connection: str = ""
    """The connection whose bot user this is, or empty."""
    at: int = 0
    """Since when, hub time; 0 = the report did not tell."""
    only_by_decision: bool = False
    """He shall serve only when an external system decided so, and not because the hub picks him."""


class AgentUnassigned(Event, frozen=True, tag="AgentUnassigned"):
    agent: UserRef
    at: int = 0
    """Since when, hub time; 0 = the report did not tell."""


class ConversationTransferred(Event, frozen=True, tag="ConversationTransferred"):
    """Forwarded by somebody: agent to agent, or department to department."""

    from_department: str = ""
    to_department: str = ""
    from_agent: UserRef | None = None
    to_agent: UserRef | None = None


class MessagePosted(Event, frozen=True, tag="MessagePosted"):
    message_id: str
    author: AuthorKind
    author_id: str
    text: str
    ts: int
    """Hub's time stamp of the message; 0 when it could not be read."""
    late: bool = False
    """Older than a visitor message that was already released, or recovered."""
    has_file: bool = False
    file_name: str = ""
    recovered: bool = False
    """No report of it came: found in the hub's history. `MessagesRecovered` says what follows."""
    files: tuple[FileRef, ...] = ()
    """Those that can be fetched. has_file without any: what came with it cannot be."""


class MessageEdited(Event, frozen=True, tag="MessageEdited"):
    message_id: str
    author: AuthorKind
    text: str
    edited_at: int


class MessageDeleted(Event, frozen=True, tag="MessageDeleted"):
    """Taken back in the room. What was said stays said: nothing that is on its way is held back for it.

    author: as we knew it from the message; empty = we never had it.
    """

    message_id: str
    author: AuthorKind | Literal[""] = ""


class InteractionReceived(Event, frozen=True, tag="InteractionReceived"):
    """Somebody used an element of a message that one of our connections had shown; no message is written for it.

    connection: whose message it was.
    """

    interaction: Interaction
    connection: str = ""


class RecoveredMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    text: str
    ts: int
    has_file: bool = False
    files: tuple[FileRef, ...] = ()


class MessagesRecovered(Event, frozen=True, tag="MessagesRecovered"):
    """What the visitor wrote in a gap, oldest first; comes after a MessagePosted of each.

    answered_at: hub time; what was written before it was answered by a bot or a person, 0 = nothing was.
    closed: the conversation ended meanwhile.
    """

    messages: tuple[RecoveredMessage, ...]
    answered_at: int = 0
    closed: bool = False


class ConversationClosed(Event, frozen=True, tag="ConversationClosed"):
    by: str = ""
    closer: str = ""
    at: int = 0
    tags: tuple[str, ...] = ()
    fields: dict[str, Any] = {}
    """Custom fields of the room at its end, where the report tells them; claims of the visitor."""


class OfflineMessageLeft(Event, frozen=True, tag="OfflineMessageLeft"):
    visitor_name: str = ""
    visitor_email: str = ""
    text: str = ""


class PartyReplied(Event, frozen=True, tag="PartyReplied"):
    """A backend answered one turn. `handover` wins over `close` when both are set."""

    connection: str
    delivery_id: int
    epoch: int
    parts: tuple[Content, ...] = ()
    handover: bool = False
    handover_department: str = ""
    handover_reason: str = ""
    close: bool = False
    fallback: bool = False
    welcome: bool = False
    accepted: bool = False
    """It took the turn; what it says to it comes as PartySpoke."""
    fields: dict[str, str] = {}
    """Custom fields of the conversation that it wants written."""
    agent: ExternalAgent | None = None
    """Who says it, where the party speaks for people of its own."""
    message_id: str = ""
    """Of the visitor's message that it answers."""
    updates: tuple[MessageUpdate, ...] = ()
    """Of messages that it showed before."""
    facts: dict[str, str | int | float | bool] = {}
    """What it found out about the visitor's words."""
    intent: str = ""
    """The backend's own word for what it answers."""
    losses: tuple[str, ...] = ()
    """Kinds of what the backend sent and `parts` cannot hold."""
    declined: str = ""
    """Why the turn was not given to it, though it is over."""


class PartySpoke(Event, frozen=True, tag="PartySpoke"):
    """A backend said something by itself: a reminder, or one message of its answer to an accepted turn."""

    connection: str
    parts: tuple[Content, ...] = ()
    handover: bool = False
    handover_department: str = ""
    handover_reason: str = ""
    close: bool = False
    fallback: bool = False
    fields: dict[str, str] = {}
    agent: ExternalAgent | None = None
    updates: tuple[MessageUpdate, ...] = ()
    thread_id: str = ""
    """Of the message that begins the thread where it is said; empty = in the room."""
    facts: dict[str, str | int | float | bool] = {}
    """What a desk tells of the conversation, beside those that are known."""
    intent: str = ""
    losses: tuple[str, ...] = ()


class AgentsListed(Event, frozen=True, tag="AgentsListed"):
    """Answer to ListAgents: people who could serve now, as the hub reports them."""

    delivery_id: int
    agents: tuple[CandidateAgent, ...] = ()
    departments: tuple[CandidateDepartment, ...] = ()
    can_return_to_queue: bool = False


class CandidateAgent(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    username: str
    name: str = ""
    open_chats: int = 0
    is_bot: bool = False


class CandidateDepartment(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    name: str


class FactsLearned(Event, frozen=True, tag="FactsLearned"):
    """What a system of records knows of the visitor. fields: custom fields of the room to write, such as a link."""

    connection: str
    facts: dict[str, Any] = {}
    fields: dict[str, str] = {}


class TimerFired(Event, frozen=True, tag="TimerFired"):
    timer: str
    ref: str


def kind_of(event: Event) -> str:
    """Name of the event's class, as stored."""
    return type(event).__name__
