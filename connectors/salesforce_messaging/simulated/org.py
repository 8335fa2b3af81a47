"""What the simulated org knows: conversations, messaging sessions, entries (reference 2.4 to 2.9)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connectors.salesforce_messaging.simulated.feeds import Feeds
from connectors.salesforce_messaging.simulated.tokens import Token, Tokens
from omnibridge.connector.simulating import MovedClock, Windows

ORG_ID, DEVELOPER_NAME = "00DSM0000004Omn", "Omnibridge_Web"
EVENTS = {
    "Message": "CONVERSATION_MESSAGE",
    "ParticipantChanged": "CONVERSATION_PARTICIPANT_CHANGED",
    "RoutingResult": "CONVERSATION_ROUTING_RESULT",
    "RoutingWorkResult": "CONVERSATION_ROUTING_WORK_RESULT",
    "SessionStatusChanged": "CONVERSATION_SESSION_STATUS_CHANGED",
    "CloseConversation": "CONVERSATION_CLOSE_CONVERSATION",
    "TypingStartedIndicator": "CONVERSATION_TYPING_STARTED_INDICATOR",
    "TypingStoppedIndicator": "CONVERSATION_TYPING_STOPPED_INDICATOR",
    "DeliveryAcknowledgement": "CONVERSATION_DELIVERY_ACKNOWLEDGEMENT",
    "ReadAcknowledgement": "CONVERSATION_READ_ACKNOWLEDGEMENT",
    "QueuePosition": "CONVERSATION_QUEUE_POSITION",
    "ProgressIndicator": "CONVERSATION_PROGRESS_INDICATOR",
    "StreamingToken": "CONVERSATION_STREAMING_TOKEN",
}
"""Entry type -> event. That of QueuePosition is a guess, as its payload is (reference, section 6)."""

TRANSIENT = frozenset({"TypingStartedIndicator", "TypingStoppedIndicator", "ProgressIndicator", "StreamingToken"})
"""Not kept among the entries."""


@dataclass
class Sender:
    role: str
    subject: str
    name: str = ""
    app_type: str = ""
    client: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "role": self.role,
            "appType": self.app_type,
            "subject": self.subject,
            "clientIdentifier": self.client,
        }


SYSTEM = Sender("System", "system", "Automated Process", "system")
ROUTER = Sender("Router", "router", "Router", "router")


@dataclass
class Session:
    """A messaging session. is_routed: False when it was begun without routing attributes: no agent ever sees it."""

    id: str
    attributes: dict[str, str]
    status: str = "New"
    is_routed: bool = True
    agent: Sender | None = None


@dataclass
class Conversation:
    """taken: answers by the visitor's message ids. entries: envelopes, in order."""

    id: str
    subject: str
    language: str
    created_ms: int
    sessions: list[Session] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_closed: bool = False
    routing_status: str = "INITIAL"

    @property
    def session(self) -> Session | None:
        return self.sessions[-1] if self.sessions and self.sessions[-1].status != "Ended" else None


@dataclass
class Options:
    """limits: 0 = none. prechat_per_session: a new session needs routing attributes, else 417. receipts: taken at all.

    retry_after: told with 429. wait_s: the estimated wait, 0 = not told. business_hours: the whole answer.
    closes_with_session: "Session-Based Chat". longest_text: UTF-16 units; the real limit is not known.
    """

    messages_per_minute: int = 22
    tokens_per_minute: int = 200
    starts_per_30_s: int = 3
    prechat_per_session: bool = False
    receipts: bool = True
    retry_after: bool = True
    closes_with_session: bool = False
    wait_s: int = 60
    longest_text: int = 4096
    business_hours: dict[str, Any] = field(default_factory=dict)


class Org:
    """routed, said: called for each session that waits for an agent, and for each thing the visitor said.

    desk: what reached the desk, in order. files: bytes by id.
    """

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.windows = Windows(self.clock)
        self.tokens = Tokens(self.clock, ORG_ID)
        self.feeds = Feeds()
        self.options = Options()
        self.conversations: dict[str, Conversation] = {}
        self.desk: list[dict[str, Any]] = []
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self.routed: list[Callable[[Conversation], None]] = []
        self.said: list[Callable[[Conversation, dict[str, Any]], None]] = []
        self.url = ""

    def open(self, token: Token, conversation_id: str, body: dict[str, Any]) -> Conversation:
        """A new conversation with its first session."""
        language = str(body.get("language") or "en_US")
        found = Conversation(conversation_id, token.subject, language, self.clock.now_ms())
        self.conversations[conversation_id] = found
        self._participant(found, "add", Sender("EndUser", token.subject, "Guest", "iamessage", token.client))
        self.begin(found, body.get("routingAttributes"), is_routed=True)
        return found

    def begin(self, conversation: Conversation, attributes: dict[str, str] | None, *, is_routed: bool) -> None:
        """A new messaging session, given to routing."""
        number = sum(len(each.sessions) for each in self.conversations.values())
        session = Session(f"0MwSM{number:010d}", dict(attributes or {}), is_routed=is_routed)
        conversation.sessions.append(session)
        conversation.routing_status = "NEEDS_ROUTING"
        self.status(conversation, "Waiting", "System")
        if is_routed:
            self.routing(conversation, "Initial")
            for each in self.routed:
                each(conversation)

    def routing(self, conversation: Conversation, kind: str, failure: str = "None", reason: str = "") -> None:
        session = conversation.session
        payload = {
            "entryType": "RoutingResult",
            "id": str(uuid.uuid4()),
            "routingType": kind,
            "failureType": failure,
            "failureReason": reason,
            "recordId": session.id if session else "",
            "estimatedWaitTime": self.options.wait_s,
            "isEWTAvailable": self.options.wait_s > 0,
            "isEWTRequested": True,
        }
        self.enter(conversation, "RoutingResult", payload, ROUTER)

    def status(self, conversation: Conversation, status: str, ended_by: str = "") -> None:
        """Change the session's. Ended: the conversation stays open, unless the channel wants otherwise."""
        session = conversation.session
        assert session is not None
        before, session.status = session.status, status
        payload = {"entryType": "SessionStatusChanged", "id": str(uuid.uuid4()), "sessionStatus": status}
        payload |= {"sessionStatusPrev": before, "sessionId": session.id}
        if status == "Ended":
            payload["sessionEndedByRole"] = ended_by
        self.enter(conversation, "SessionStatusChanged", payload, SYSTEM)
        if status == "Ended" and self.options.closes_with_session:
            conversation.is_closed = True

    def end(self, conversation: Conversation, role: str) -> None:
        """The session is over: the agent goes, the status changes. There is no close event (reference 2.4)."""
        session = conversation.session
        if session is None:
            return
        if session.agent:
            self._participant(conversation, "remove", session.agent)
        self.status(conversation, "Ended", role)

    def close(self, conversation: Conversation, token: Token) -> None:
        """The end user closes: of a guest the conversation, of a verified user only the session."""
        self.end(conversation, "EndUser")
        if not token.is_verified:
            conversation.is_closed = True
        sender = Sender("EndUser", token.subject, "Guest", "iamessage", token.client)
        payload = {"entryType": "CloseConversation", "id": str(uuid.uuid4())}
        self.enter(conversation, "CloseConversation", payload, sender)

    def join(self, conversation: Conversation, agent: Sender) -> None:
        self._participant(conversation, "add", agent)

    def leave(self, conversation: Conversation, agent: Sender) -> None:
        self._participant(conversation, "remove", agent)

    def _participant(self, conversation: Conversation, operation: str, who: Sender) -> None:
        entry = {"operation": operation, "participant": who.as_json(), "displayName": who.name, "menuMetadata": None}
        payload = {"entryType": "ParticipantChanged", "id": str(uuid.uuid4()), "entries": [entry]}
        self.enter(conversation, "ParticipantChanged", payload, SYSTEM)

    def message(
        self, conversation: Conversation, sender: Sender, abstract: dict[str, Any], client_ms: int | None = None
    ) -> str:
        """Enter a message: its id."""
        payload = {"entryType": "Message", "id": abstract["id"], "abstractMessage": abstract, "messageReason": None}
        return self.enter(conversation, "Message", payload, sender, client_ms=client_ms)

    def enter(
        self,
        conversation: Conversation,
        entry_type: str,
        payload: dict[str, Any],
        sender: Sender,
        *,
        client_ms: int | None = None,
        related: tuple[str, ...] = (),
    ) -> str:
        """An entry, and its event: there the payload is a string (reference 2.8)."""
        now = self.clock.now_ms()
        entry = {
            "identifier": payload["id"],
            "entryType": entry_type,
            "entryPayload": payload,
            "sender": sender.as_json(),
            "senderDisplayName": sender.name,
            "transcriptedTimestamp": now,
            "clientTimestamp": client_ms or now,
            "relatedRecords": list(related),
        }
        if entry_type not in TRANSIENT:
            conversation.entries.append(entry)
        envelope = {
            "channelPlatformKey": "e7f1d1a0-0000-4000-8000-00000000c0de",
            "channelType": "embedded_messaging",
            "channelAddressIdentifier": "c3b1a7de-0000-4000-8000-00000000add0",
            "conversationId": conversation.id,
            "conversationEntry": {**entry, "entryPayload": json.dumps(payload)},
        }
        self.feeds.push(conversation.subject, EVENTS[entry_type], envelope)
        return str(payload["id"])

    def reached_desk(self, conversation: Conversation, kind: str, **facts: Any) -> None:
        """Write into the desk's ledger."""
        session = conversation.session
        self.desk.append(
            {
                "n": len(self.desk),
                "at": self.clock.now_ms(),
                "conversation": conversation.id,
                "session": session.id if session else "",
                "kind": kind,
                **facts,
            }
        )
