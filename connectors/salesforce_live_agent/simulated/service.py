"""What the simulated Live Agent knows: chat sessions, their batches, sequences and moves (reference 1.3 to 1.9)."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from omnibridge.connector.simulating import MovedClock

ORG_ID, DEPLOYMENT_ID, BUTTON_ID = "00DSM0000004Omn", "572SM0000000Dep", "573SM0000000Btn"
FAIL_REASONS = ("Unavailable", "NoPost", "InternalFailure", "Blocked", "Unknown")
END_REASONS = ("agent", "client", "clientIdleTimeout", "agentsUnavailable", "agentPushTimeout", "NoPost", "unknown")

State = Literal["new", "waiting", "established", "ended"]


@dataclass
class Batch:
    sequence: int
    offset: int
    messages: list[dict[str, Any]]


@dataclass
class Session:
    """One visitor's session.

    expected: the next sequence of a POST. fresh: messages that were in no batch yet. last: the batch that was not
    acknowledged. lines: the conversation, as ChasitorSessionData tells it. is_dead: every request is 403.
    needs: what has to come before other posts, after a move. other: affinity of the server before.
    """

    id: str
    key: str
    affinity: str
    last_seen_s: float
    state: State = "new"
    expected: int = 1
    fresh: list[dict[str, Any]] = field(default_factory=list)
    last: Batch | None = None
    repeat: Batch | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    sequence: int = 0
    offset: int = 0
    is_dead: bool = False
    needs: Literal["", "session data", "resync"] = ""
    poll: asyncio.Event | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    agent: tuple[str, str] = ("", "")
    init: dict[str, Any] = field(default_factory=dict)
    file_token: str = ""
    other: str = ""

    @property
    def chat_key(self) -> str:
        return self.key.split("!")[0]

    def push(self, kind: str, **message: Any) -> None:
        self.fresh.append({"type": kind, "message": message})
        self.wake.set()


@dataclass
class Options:
    """poll_s: a poll without messages ends with 204 after this. connection_timeout_s: without a poll the session dies.

    resend: what a poll gets that does not acknowledge the last batch: the same again, or the same and what came since
    under another sequence. double: each batch is told twice. reconnect_replays: after a move the agent's lines that
    were not acknowledged come again, besides being in ChasitorSessionData. resets: ReconnectSession says so, and posts
    are numbered anew. two_servers: moves go back and forth between two, and each numbers its batches by itself.
    online: agents are there, but for offline: ids of buttons and agents. blocked: this visitor.
    paused: polls get nothing, so that batches grow.
    rules: for sensitive data, as ChatRequestSuccess tells them.
    fails: nouns whose posts are answered with 500, without effect.
    idle: {isEnabled, warningTime, timeout} in seconds. switch_to: another address, told by Visitor resources.
    """

    poll_s: float = 40.0
    connection_timeout_s: float = 150.0
    resend: Literal["same", "grown"] = "same"
    double: bool = False
    reconnect_replays: bool = False
    resets: bool = True
    two_servers: bool = False
    online: bool = True
    offline: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    blocked: bool = False
    paused: bool = False
    sneak_peek: bool = False
    rules: list[dict[str, Any]] = field(default_factory=list)
    idle: dict[str, Any] = field(default_factory=dict)
    switch_to: str = ""


class Service:
    """counts: duplicate_polls (each killed a chat), sequence_gaps, repeated_posts, early_posts (before the agent was
    there, or before the session was whole again after a move).

    visitor: batches that were given, in order. desk: what reached the agents, in order.
    """

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.options = Options()
        self.sessions: dict[str, Session] = {}
        self._by_key: dict[str, Session] = {}
        self.counts = {"duplicate_polls": 0, "sequence_gaps": 0, "repeated_posts": 0, "early_posts": 0, "moves": 0}
        self.visitor: list[dict[str, Any]] = []
        self.desk: list[dict[str, Any]] = []
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self.requested: list[Callable[[Session], None]] = []
        self.said: list[Callable[[Session, str], None]] = []
        self.url = ""

    def begin(self) -> Session:
        key = f"{uuid.uuid4()}!{self.clock.now_ms()}!{secrets.token_urlsafe(24)}"
        found = Session(str(uuid.uuid4()), key, secrets.token_hex(4), self.clock.now_s())
        self.sessions[found.id] = self._by_key[key] = found
        return found

    def find(self, key: str) -> Session | None:
        """By its secret key; one that nobody polled for too long dies of it."""
        found = self._by_key.get(key)
        if found is None or found.is_dead:
            return None
        silent = self.clock.now_s() - found.last_seen_s
        if found.poll is None and silent > self.options.connection_timeout_s:
            self.kill(found, "timeout")
            return None
        return found

    def kill(self, session: Session, why: str) -> None:
        """The session is gone; the desk sees that the visitor left."""
        if not session.is_dead and session.state in ("waiting", "established"):
            self.reached_desk(session, "left", reason=why)
        session.is_dead, session.state = True, "ended"
        session.wake.set()

    def move(self, session: Session) -> None:
        """To another server: every request with the old affinity is 503 until it reconnects."""
        self.counts["moves"] += 1
        if self.options.two_servers:
            session.affinity, session.other = session.other or secrets.token_hex(4), session.affinity
        else:
            session.affinity = secrets.token_hex(4)
        session.needs = "session data"
        session.wake.set()

    def reconnect(self, session: Session, offset: int) -> None:
        """What the session's next polls tell: the whole conversation, then what has no place in it. offset: of the last
        batch that the client has.
        """
        last = session.last.messages if session.last and session.last.offset > offset else []
        missed = [each for each in [*last, *session.fresh] if each["type"] != "ChasitorSessionData"]
        kept = [each for each in missed if each["type"] != "ChatMessage" or self.options.reconnect_replays]
        data = {
            "queuePosition": 0,
            "geoLocation": {},
            "url": "",
            "oref": "",
            "postChatUrl": "",
            "sneakPeekEnabled": self.options.sneak_peek,
            "chatMessages": list(session.lines),
        }
        session.last = session.repeat = None
        if self.options.resets:
            session.expected = 1
        if self.options.two_servers:
            session.sequence = 0
        session.fresh = [{"type": "ChasitorSessionData", "message": data}, *kept]
        session.needs = "session data"
        session.wake.set()

    def batch(self, session: Session, ack: int) -> Batch | None:
        """What a poll gets now; None = it has to wait."""
        if session.repeat is not None:
            found, session.repeat = session.repeat, None
            return found
        if session.last is not None:
            if ack == session.last.sequence:
                session.last = None
            elif self.options.resend == "same" or not session.fresh:
                return session.last
            else:
                session.fresh = [*session.last.messages, *session.fresh]
                session.last = None
        if not session.fresh or self.options.paused:
            return None
        session.sequence += 1 + session.sequence % 4
        session.offset += len(session.fresh)
        session.last = Batch(session.sequence, session.offset, session.fresh)
        session.fresh = []
        if self.options.double:
            session.repeat = session.last
        return session.last

    def given(self, session: Session, batch: Batch) -> None:
        """A batch was written to a poll."""
        types = [each["type"] if isinstance(each, dict) else "?" for each in batch.messages]
        self.visitor.append({"session": session.id, "sequence": batch.sequence, "types": types})
        if "ChasitorSessionData" in types and session.needs:
            session.needs = "resync"

    def line(self, session: Session, kind: str, name: str, content: str) -> None:
        line = {"type": kind, "name": name, "content": content}
        stamp = {"timestamp": self.clock.now_ms(), "sequence": len(session.lines) + 1}
        session.lines.append(line | stamp)

    def end(self, session: Session, reason: str) -> None:
        session.state = "ended"
        records = {"5705g000000Chat": "LiveChatTranscript"}
        session.push("ChatEnded", reason=reason, attachedRecords=records)

    def reached_desk(self, session: Session, kind: str, **facts: Any) -> None:
        entry = {"n": len(self.desk), "at": self.clock.now_ms(), "session": session.id, "kind": kind}
        self.desk.append(entry | facts)
