"""Entries of a conversation, from the event stream and from listings, as things that happened (reference 2.8). Pure.

The payload is a string of JSON in events and an object in listings: both are read. Unknown kinds are nothing; a known
kind that cannot be read is `Unreadable`, because it may have been something an agent said.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec


class Sender(msgspec.Struct, frozen=True, omit_defaults=True):
    """role: EndUser, Agent, Chatbot, System, Router or Supervisor. subject: of an agent perhaps his Salesforce id."""

    role: str = ""
    subject: str = ""
    name: str = ""


class Happened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """id: the entry's. at: milliseconds, when Salesforce took it."""

    conversation: str
    id: str
    at: int = 0
    sender: Sender = Sender()


class Said(Happened, frozen=True, tag="said", omit_defaults=True):
    """A message that is not the visitor's. abstract: its abstractMessage, see `content.py`."""

    abstract: dict[str, Any] = {}


class Echo(Happened, frozen=True, tag="echo", omit_defaults=True):
    """A message of the visitor, as Salesforce has it: id is the one that it was sent with. A link that was split from
    it has an id of its own. abstract: as of Said, empty where it cannot be read."""

    abstract: dict[str, Any] = {}


class Joined(Happened, frozen=True, tag="joined", omit_defaults=True):
    """sender: who came, and in which role."""


class Left(Happened, frozen=True, tag="left", omit_defaults=True):
    """sender: who went."""


class Routed(Happened, frozen=True, tag="routed", omit_defaults=True):
    """failure: empty = it waits for an agent. wait_s: estimated; None = not told. session: the record's id."""

    is_transfer: bool = False
    failure: str = ""
    session: str = ""
    wait_s: int | None = None


class Worked(Happened, frozen=True, tag="worked", omit_defaults=True):
    """work: what became of the offer to an agent, such as `Accepted`."""

    work: str = ""


class SessionIs(Happened, frozen=True, tag="session", omit_defaults=True):
    """status: Waiting, Active, Inactive or Ended. An end has no other event (reference 2.8)."""

    status: str
    before: str = ""


class Closed(Happened, frozen=True, tag="closed", omit_defaults=True):
    """The end user closed the conversation."""


class Typing(Happened, frozen=True, tag="typing", omit_defaults=True):
    """Somebody of the other side. Shown for 5 s after the last start."""

    is_typing: bool


class Seen(Happened, frozen=True, tag="seen", omit_defaults=True):
    """of: the visitor's message that was delivered, or read."""

    of: str
    is_read: bool


class QueuePosition(Happened, frozen=True, tag="queue", omit_defaults=True):
    """position: 1 is the next; None = told in a way that is not known (reference, section 6)."""

    position: int | None = None


class Unreadable(Happened, frozen=True, tag="unreadable", omit_defaults=True):
    """kind: the entry's type."""

    kind: str


Event = Said | Echo | Joined | Left | Routed | Worked | SessionIs | Closed | Typing | Seen | QueuePosition | Unreadable


END_OF_TIME_MS = 1 << 46
"""In the year 4199."""
UNREADABLE = "{"
"""As a payload, of an entry of which the rest could not be read."""


def mark_of(entry_type: str, identifier: str) -> str:
    return blake2b(f"{entry_type}:{identifier}".encode(), digest_size=8).hexdigest()


class _Sender(msgspec.Struct):
    role: str | None = None
    subject: str | None = None


class Entry(msgspec.Struct, rename="camel"):
    """As it is on the wire."""

    identifier: str
    entry_type: str
    entry_payload: Any = None
    sender: _Sender | None = None
    sender_display_name: str | None = None
    transcripted_timestamp: int | float | None = None
    client_timestamp: int | float | None = None

    @property
    def mark(self) -> str:
        """The same for the same entry, wherever it is read. Short: many are remembered."""
        return mark_of(self.entry_type, self.identifier)

    @property
    def is_transient(self) -> bool:
        """Typing: to hear it twice does no harm, and there is much of it."""
        return self.entry_type.startswith("Typing")

    @property
    def at(self) -> int:
        """Milliseconds; 0 = not told, or none that can be."""
        given = self.transcripted_timestamp or self.client_timestamp or 0
        return int(given) if 0 < given < END_OF_TIME_MS else 0


class _Envelope(msgspec.Struct, rename="camel"):
    conversation_id: str
    conversation_entry: msgspec.Raw


class _Listing(msgspec.Struct, rename="camel"):
    conversation_entries: list[msgspec.Raw] = []


class Envelope(NamedTuple):
    conversation_id: str
    conversation_entry: Entry


_envelopes = msgspec.json.Decoder(_Envelope)
_listings = msgspec.json.Decoder(_Listing)
_entries = msgspec.json.Decoder(Entry)
MOST_LEVELS = 64
"""Of JSON in a message. What is deeper than some hundreds can be read in one place, and not be written in another."""


def read_event(name: str, data: bytes) -> Envelope | None:
    """None: not of a kind that we know. Raises ValueError for one of which nothing can be read."""
    if name not in EVENTS:
        return None
    try:
        found = _envelopes.decode(data)
    except RecursionError as exc:
        raise ValueError("too deep") from exc
    entry = _entry(found.conversation_entry)
    if entry.entry_type not in _KINDS:  # that of a queue's position is not known (reference 2.8): its event's name is
        entry = msgspec.structs.replace(entry, entry_type=EVENTS[name])
    return Envelope(found.conversation_id, entry)


def read_listing(body: bytes) -> list[Entry]:
    """As many as there are: one that is odd does not hide the others. Raises ValueError where it is no listing."""
    try:
        return [_entry(each) for each in _listings.decode(body).conversation_entries]
    except RecursionError as exc:
        raise ValueError("too deep") from exc


def _entry(raw: msgspec.Raw) -> Entry:
    """Where it cannot be read: what is left of it, which is `Unreadable` where its kind is known."""
    try:
        return _entries.decode(raw)
    except (RecursionError, ValueError):
        pass
    try:
        found = msgspec.json.decode(raw)
    except (RecursionError, ValueError):
        found = None
    given: dict[str, Any] = found if isinstance(found, dict) else {}
    name, kind = given.get("identifier"), given.get("entryType")
    name = name if isinstance(name, str) and name else blake2b(bytes(raw), digest_size=16).hexdigest()
    return Entry(name, kind if isinstance(kind, str) else "", UNREADABLE)


def events_of(conversation: str, entry: Entry) -> tuple[Event, ...]:
    """Empty for kinds that are not known, or nothing to us."""
    read = _KINDS.get(entry.entry_type)
    if read is None:
        return ()
    given = entry.sender or _Sender()
    sender = Sender(given.role or "", given.subject or "", entry.sender_display_name or "")
    common: dict[str, Any] = {"conversation": conversation, "id": entry.identifier, "at": entry.at, "sender": sender}
    try:
        payload = entry.entry_payload
        found = msgspec.json.decode(payload) if isinstance(payload, str) and payload else payload or {}
        if _is_deep(found):
            raise ValueError("too deep")
        return read(found, common)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return (Unreadable(kind=entry.entry_type, **common),)


def _is_deep(found: object) -> bool:
    level = [found]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _message(payload: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
    if common["sender"].role == "EndUser":
        own = payload.get("abstractMessage")
        return (Echo(abstract=own if isinstance(own, dict) else {}, **common),)
    abstract = payload["abstractMessage"]
    if not isinstance(abstract, dict) or not isinstance(abstract["messageType"], str):
        raise ValueError("no message")
    return (Said(abstract=abstract, **common),)


def _participants(payload: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
    """One entry may tell several."""
    found: list[Event] = []
    for each in payload["entries"]:
        who = each["participant"]
        given = Sender(str(who["role"]), str(who.get("subject") or ""), str(each.get("displayName") or ""))
        if each["operation"] in ("add", "remove"):
            kind = Joined if each["operation"] == "add" else Left
            found.append(kind(**{**common, "sender": given}))
    return tuple(found)


def _routing(payload: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
    failure = str(payload.get("failureType") or "None")
    wait = payload.get("estimatedWaitTime")
    is_told = payload.get("isEWTAvailable", wait is not None) and isinstance(wait, int | float) and wait >= 0
    return (
        Routed(
            is_transfer=payload.get("routingType") == "Transfer",
            failure="" if failure == "None" else failure,
            session=str(payload.get("recordId") or ""),
            wait_s=int(wait) if is_told and wait is not None else None,
            **common,
        ),
    )


def _work(payload: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
    return (Worked(work=str(payload.get("workType") or ""), **common),)


def _status(payload: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
    status = payload["sessionStatus"]
    if not isinstance(status, str):
        raise ValueError("no status")
    return (SessionIs(status=status, before=str(payload.get("sessionStatusPrev") or ""), **common),)


def _closed(_: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
    return (Closed(**common),)


def _typing(is_typing: bool) -> Callable[[dict[str, Any], dict[str, Any]], tuple[Event, ...]]:
    def read(_: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
        return () if common["sender"].role == "EndUser" else (Typing(is_typing=is_typing, **common),)

    return read


def _seen(is_read: bool) -> Callable[[dict[str, Any], dict[str, Any]], tuple[Event, ...]]:
    def read(payload: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
        of = str(payload.get("acknowledgedConversationEntryIdentifier") or "")
        return (Seen(of=of, is_read=is_read, **common),) if common["sender"].role != "EndUser" else ()

    return read


POSITIONS = ("position", "queuePosition", "positionInQueue", "currentPosition")


def _queue(payload: dict[str, Any], common: dict[str, Any]) -> tuple[Event, ...]:
    """The field's name is a guess: any of those that make sense."""
    given = next((payload[each] for each in POSITIONS if each in payload), None)
    plain = str(int(given)) if isinstance(given, float) else str(given)
    position = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 7 else None
    return (QueuePosition(position=position, **common),)


_KINDS: dict[str, Callable[[dict[str, Any], dict[str, Any]], tuple[Event, ...]]] = {
    "Message": _message,
    "ParticipantChanged": _participants,
    "RoutingResult": _routing,
    "RoutingWorkResult": _work,
    "SessionStatusChanged": _status,
    "CloseConversation": _closed,
    "TypingStartedIndicator": _typing(True),
    "TypingStoppedIndicator": _typing(False),
    "DeliveryAcknowledgement": _seen(False),
    "ReadAcknowledgement": _seen(True),
    "QueuePosition": _queue,
}

EVENTS = {
    "CONVERSATION_MESSAGE": "Message",
    "CONVERSATION_PARTICIPANT_CHANGED": "ParticipantChanged",
    "CONVERSATION_ROUTING_RESULT": "RoutingResult",
    "CONVERSATION_ROUTING_WORK_RESULT": "RoutingWorkResult",
    "CONVERSATION_SESSION_STATUS_CHANGED": "SessionStatusChanged",
    "CONVERSATION_CLOSE_CONVERSATION": "CloseConversation",
    "CONVERSATION_TYPING_STARTED_INDICATOR": "TypingStartedIndicator",
    "CONVERSATION_TYPING_STOPPED_INDICATOR": "TypingStoppedIndicator",
    "CONVERSATION_DELIVERY_ACKNOWLEDGEMENT": "DeliveryAcknowledgement",
    "CONVERSATION_READ_ACKNOWLEDGEMENT": "ReadAcknowledgement",
    "CONVERSATION_QUEUE_POSITION": "QueuePosition",
}
"""Those of the stream that are read, and the kind of their entries; new ones appear without notice."""
