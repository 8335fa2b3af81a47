"""One session of Live Agent as a state machine: state and answer in, state, events and the next request out. Pure.

Reading: one request at a time, ever (a second poll ends the chat): poll, or after 503 reconnect, poll for the
conversation's record, resync, and poll again (reference 1.7, 1.9). Writing: posts are numbered without gaps, and the
server drops a number that it took; so a post whose outcome is not known is `pending`, and is posted again under its
number before anything else is. State is kept before a post and after every answer, by whoever holds the session.
"""

from __future__ import annotations

import hashlib
import html
from typing import Any, Literal, NamedTuple

import msgspec

from connectors.salesforce_live_agent.errors import GONE, NotYet, SessionGone, from_status
from connectors.salesforce_live_agent.messages import (
    Agent,
    Ended,
    Established,
    Event,
    Failed,
    Line,
    Lost,
    Requested,
    Requeued,
    Restored,
    Said,
    read_batch,
    read_reconnected,
    read_switch,
)
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable

NEEDS_AGENT = frozenset({"ChatMessage", "ChasitorTyping", "ChasitorNotTyping", "ChasitorSneakPeek", "CustomEvent"})
"""Before an agent is there the server answers these with 500."""
TYPING = frozenset({"ChasitorTyping", "ChasitorNotTyping"})
TAIL, DONE = 16, 24

Phase = Literal["polling", "moved", "restoring", "resyncing", "over"]


class Post(msgspec.Struct, frozen=True):
    """id: the caller's, the same for each attempt. noun: of Chasitor."""

    id: str
    noun: str
    body: dict[str, Any] = {}


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that must survive a restart. key is a secret, and pending has the visitor's words.

    sequence: of the next post. offset: None = no batch yet. own: lines of the visitor that were certainly taken.
    agent: lines of agents that were told, tail: digests of the last of them. done: ids of the last posts taken.
    moves: how often it was reconnected.
    """

    base: str
    id: str
    key: str
    affinity: str
    poll_s: float = 40.0
    timeout_s: float = 40.0
    ack: int = -1
    offset: int | None = None
    sequence: int = 1
    phase: Phase = "polling"
    has_agent: bool = False
    own: int = 0
    agent: int = 0
    tail: tuple[str, ...] = ()
    pending: Post | None = None
    done: tuple[str, ...] = ()
    moves: int = 0

    def __repr__(self) -> str:
        return f"Session(id={self.id!r}, phase={self.phase!r}, ack={self.ack}, sequence={self.sequence})"

    @property
    def told_key(self) -> str:
        """Names what led to this state: the same when the same batch is told again. A server to which it comes back may
        number its batches anew."""
        server = f"{self.affinity}.{self.moves}" if self.moves else self.affinity
        return f"{server}.{self.ack}{'.over' if self.phase == 'over' else ''}"

    @property
    def is_ready(self) -> bool:
        """Posts may be sent."""
        return self.phase == "polling"


class Request(NamedTuple):
    """kind: poll, reconnect or resync."""

    kind: Literal["poll", "reconnect", "resync"]
    method: str
    path: str
    query: dict[str, str]
    affinity: str


class Step(NamedTuple):
    """pauses: wait a little, longer each time, before the next request."""

    session: Session
    events: tuple[Event, ...] = ()
    pauses: bool = False


def next_request(session: Session) -> Request | None:
    """None: the session is over."""
    match session.phase:
        case "polling" | "restoring":
            return Request("poll", "GET", "System/Messages", {"ack": str(session.ack)}, session.affinity)
        case "moved":
            query = {"ReconnectSession.offset": str(session.offset)}
            return Request("reconnect", "GET", "System/ReconnectSession", query, "null")
        case "resyncing":
            return Request("resync", "POST", "Chasitor/ChasitorResyncState", {}, session.affinity)
        case "over":
            return None


def moved(session: Session) -> Step:
    """A 503 on any request."""
    if session.phase == "over":
        return Step(session)
    if session.offset is None:
        return _lost(session, "nothing-to-resume")
    return Step(_with(session, phase="moved"))


def lost(session: Session, reason: str) -> Step:
    """It cannot go on."""
    return _lost(session, reason)


def at_base(session: Session, base: str) -> Session:
    """The org moved to another address; the session goes on there."""
    return _with(session, base=base)


def answered(session: Session, kind: str, status: int, body: bytes) -> Step:
    """kind: of the request that was answered."""
    if status == 503:
        step = moved(session)
        return step._replace(pauses=kind == "reconnect")
    if status in GONE:
        return _lost(session, GONE[status])
    if kind == "poll" and status == 204:
        return Step(session)
    if not 200 <= status < 300:
        if isinstance(from_status(status), DeliveryRejected):
            return _lost(session, f"http-{status}")
        return Step(session, pauses=True)
    if kind == "resync":
        return Step(_with(session, phase="polling"))
    try:
        return _reconnected(session, body) if kind == "reconnect" else _polled(session, body)
    except ValueError:
        # A proxy's page, or that the org moved: the batch comes again, as it was not acknowledged.
        return Step(session, read_switch(body), pauses=True)


def _reconnected(session: Session, body: bytes) -> Step:
    told = read_reconnected(body)
    sequence = 1 if told.resets else session.sequence
    moves = session.moves + 1
    return Step(_with(session, affinity=told.affinity, sequence=sequence, ack=-1, moves=moves, phase="restoring"))


def _polled(session: Session, body: bytes) -> Step:
    batch = read_batch(body)
    if batch.sequence == session.ack:
        return Step(session)  # told again
    session = _with(session, ack=batch.sequence, offset=session.offset if batch.offset is None else batch.offset)
    told: list[Event] = []
    waiting = list(batch.events)
    while waiting:
        each = waiting.pop(0)
        match each:
            case Restored(lines=lines):
                session, found = _restore(session, lines)
                told += [each, *found]
                waiting = _without(waiting, [each.text for each in found])
            case Said(is_rich=False):
                session = _told(session, each.text)
                told.append(each)
            case Established():
                session = _with(session, has_agent=session.phase != "over")
                told.append(each)
            case Requeued():
                session = _with(session, has_agent=False)
                told.append(each)
            case Requested(timeout_s=timeout_s):
                session = _with(session, timeout_s=timeout_s)
                told.append(each)
            case Ended() | Failed():
                session = _with(session, phase="over", has_agent=False)
                told.append(each)
            case _:
                told.append(each)
    return Step(session, tuple(told))


def _without(events: list[Event], lines: list[str]) -> list[Event]:
    """The rest of a batch, without lines that its record told already: all of them, in that order, or none."""
    said = [each for each in events if isinstance(each, Said) and not each.is_rich]
    if [_digest(each.text) for each in said[: len(lines)]] != [_digest(each) for each in lines]:
        return events
    again = {id(each) for each in said[: len(lines)]}
    return [each for each in events if id(each) not in again]


def _restore(session: Session, lines: tuple[Line, ...]) -> tuple[Session, list[Said]]:
    """What the record of the conversation says that was not told, and whether the pending post is in it."""
    said = [each for each in lines if each.kind == "Agent"]
    known = _known(session, [_digest(each.text) for each in said])
    found = [Said(each.text, Agent(each.name), is_late=True) for each in said[known:]]
    for each in found:
        session = _told(session, each.text)
    own = [each.text for each in lines if each.kind == "Chasitor"]
    pending = session.pending
    is_numbered_on = session.sequence > 1  # the first number is taken long ago; the pending post may have taken its own
    if pending and pending.noun == "ChatMessage":
        fresh = own[session.own :] if len(own) >= session.own else own[-1:]  # a record that was cut: its last line
        if any(_same(each, str(pending.body.get("text"))) for each in fresh):
            session = _with(_taken(session, pending), sequence=session.sequence + is_numbered_on)
    elif pending and pending.noun in TYPING and not is_numbered_on:
        session = _taken(session, pending)  # what a move swallowed of it is not repeated; a ChatEnd is
    phase: Phase = "over" if session.phase == "over" else "resyncing"
    return _with(session, own=max(session.own, len(own)), phase=phase), found


def _known(session: Session, record: list[str]) -> int:
    """How many lines of the record were told. It begins with the conversation, or somewhere in it. Some lines may be
    written in another way there than they were told, but not most."""
    told, tail = session.agent, session.tail
    if len(record) >= told:
        alike = sum(map(str.__eq__, record[max(0, told - len(tail)) : told], tail))
        if 2 * alike >= len(tail):
            return told
    for end in range(len(record), 0, -1):
        length = min(end, len(tail))
        if length and tuple(record[end - length : end]) == tail[-length:]:
            return end
    return 0


def _told(session: Session, text: str) -> Session:
    return _with(session, agent=session.agent + 1, tail=(*session.tail, _digest(text))[-TAIL:])


def _digest(text: str) -> str:
    plain = " ".join(text.split())
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _same(record: str, words: str) -> bool:
    """record: freed of HTML entities, which may have been the visitor's own."""
    return record.split() in (words.split(), html.unescape(words).split())


def _lost(session: Session, reason: str) -> Step:
    if session.phase == "over":
        return Step(session)
    return Step(_with(session, phase="over", has_agent=False), (Lost(reason),))


# -- posts ---------------------------------------------------------------------------------------------------


def begun(session: Session, post: Post) -> Session:
    """Before it is posted under `sequence`: keep this first. Nothing else may be pending.

    Raises NotYet or SessionGone: nothing was sent.
    """
    if session.phase == "over":
        is_own = session.pending is not None and session.pending.id == post.id
        raise SessionGone("the chat of Live Agent is over", code="over", may_be_sent=is_own)
    if not session.is_ready:
        raise NotYet("the chat of Live Agent is being restored", code="restoring", retry_after_s=1.0)
    if post.noun in NEEDS_AGENT and not session.has_agent:
        raise NotYet("no agent of Live Agent has accepted yet", code="not-established")
    if session.pending is not None and session.pending.id != post.id:
        raise AssertionError("another post is pending")
    return _with(session, pending=post)


def posted(session: Session, status: int, *, again: bool = False) -> tuple[Step, DeliveryError | None]:
    """The pending post was answered. None: it was taken. Else it was not, or nobody knows and it stays pending.

    again: an attempt before this one was uncertain; only its own refusal ends that.
    """
    assert session.pending is not None
    if 200 <= status < 300:
        taken = _taken(session, session.pending)
        own = taken.own + (session.pending.noun == "ChatMessage")
        return Step(_with(taken, sequence=taken.sequence + 1, own=own)), None
    if status == 503:
        return moved(session), from_status(status)
    error = from_status(status)
    if isinstance(error, SessionGone):
        return _lost(session, error.code), error
    if isinstance(error, DeliveryRejected):
        return Step(_with(session, pending=None)), error
    return Step(not_sent(session, again=again) if isinstance(error, DeliveryRetryable) else session), error


def refused(session: Session, status: int) -> tuple[Step, DeliveryError]:
    """The pending post is not taken, and is wanted no more."""
    error = DeliveryRejected(f"Live Agent does not take it (HTTP {status})", code=f"http-{status}")
    return Step(_with(session, pending=None)), error


def not_sent(session: Session, *, again: bool) -> Session:
    """This attempt reached nobody."""
    return session if again else _with(session, pending=None)


def given_up(session: Session, post_id: str) -> Session:
    """The pending post is wanted no more, whatever became of it: its number is filled with one that does nothing."""
    if session.pending is None or session.pending.id != post_id:
        return session
    return _with(session, pending=Post(f"{post_id}-none", "ChasitorNotTyping"))


def _taken(session: Session, post: Post) -> Session:
    if post.noun in TYPING:  # nobody asks for it again
        return _with(session, pending=None)
    return _with(session, pending=None, done=(*session.done, post.id)[-DONE:])


def _with(session: Session, **changes: Any) -> Session:
    return msgspec.structs.replace(session, **changes)
