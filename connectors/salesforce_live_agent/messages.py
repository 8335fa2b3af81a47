"""Messages of the long poll as things that happened (reference 1.8). Pure.

A batch may hold several kinds, told in its order. Unknown kinds are nothing; a known kind that cannot be read is
`Unreadable`, because it may have been something an agent said. Texts are hostile.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from connectors.salesforce.ids import long_id
from connectors.salesforce_live_agent.answers import MOST, decoded, number, position, whole
from connectors.salesforce_live_agent.rules import Rule, read_rules

TOKEN = re.compile(r"[\x21-\x7e]+")
"""What may go into a header."""


class Agent(msgspec.Struct, frozen=True, omit_defaults=True):
    """id: of the Salesforce user, 18 characters; empty = not told."""

    name: str
    id: str = ""


class Idle(msgspec.Struct, frozen=True):
    """After the agent's message: seconds until the visitor is warned, and until the chat ends. Ours to enforce."""

    warning_s: float
    timeout_s: float


class Requested(msgspec.Struct, frozen=True, tag=True):
    """It is queued. wait_s: None = not known. timeout_s: without a poll the session dies after this."""

    position: int
    wait_s: int | None
    timeout_s: float
    visitor_id: str = ""
    rules: tuple[Rule, ...] = ()


class Queued(msgspec.Struct, frozen=True, tag=True):
    """position: 0 = the next."""

    position: int
    wait_s: int | None


class Failed(msgspec.Struct, frozen=True, tag=True):
    """reason: Unavailable, NoPost, InternalFailure, Blocked or Unknown."""

    reason: str


class Established(msgspec.Struct, frozen=True, tag=True):
    """is_transfer: another agent took over."""

    agent: Agent
    sneak_peek: bool = False
    idle: Idle | None = None
    is_transfer: bool = False


class Said(msgspec.Struct, frozen=True, tag=True):
    """is_late: known from the conversation's record after a move; is_rich: a menu of a bot, as text."""

    text: str
    agent: Agent
    is_late: bool = False
    is_rich: bool = False


class Typing(msgspec.Struct, frozen=True, tag=True):
    """Repeated every few seconds. The agent's id here is none of a user."""

    is_typing: bool
    name: str


class Requeued(msgspec.Struct, frozen=True, tag=True):
    """The agent gave it back, or dropped: another one may accept. The session lives on."""

    has_dropped: bool


class Conference(msgspec.Struct, frozen=True, tag=True):
    name: str
    joined: bool


class Ended(msgspec.Struct, frozen=True, tag=True):
    """reason: agent, client, clientIdleTimeout, agentsUnavailable, agentPushTimeout, NoPost or unknown."""

    reason: str


class Line(msgspec.Struct, frozen=True):
    """kind: Agent, Chasitor or OperatorTransferred."""

    kind: str
    name: str
    text: str


class Restored(msgspec.Struct, frozen=True, tag=True):
    """The conversation so far, after a move."""

    lines: tuple[Line, ...]


class CustomEvent(msgspec.Struct, frozen=True, tag=True):
    kind: str
    data: str


class FileWanted(msgspec.Struct, frozen=True, tag=True):
    """The agent asks for a file. referer: sent along with the upload."""

    url: str
    referer: str
    token: str


class FileOutcome(msgspec.Struct, frozen=True, tag=True):
    """outcome: Success, Failure or Canceled."""

    outcome: str
    token: str


class Rules(msgspec.Struct, frozen=True, tag=True):
    """Those for sensitive data, instead of the ones before."""

    rules: tuple[Rule, ...]


class SwitchServer(msgspec.Struct, frozen=True, tag=True):
    """The org moved to another address. url: not judged yet."""

    url: str


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """message: as it came, to be read again after an upgrade."""

    kind: str
    message: dict[str, Any] = {}


class Lost(msgspec.Struct, frozen=True, tag=True):
    """The session is gone without an end: expired, duplicate-poll, nothing-to-resume or http-…"""

    reason: str


Event = (
    Requested
    | Queued
    | Failed
    | Established
    | Said
    | Typing
    | Requeued
    | Conference
    | Ended
    | Restored
    | CustomEvent
    | FileWanted
    | FileOutcome
    | Rules
    | SwitchServer
    | Unreadable
    | Lost
)


class _Message(NamedTuple):
    type: str
    message: dict[str, Any]


class Batch(NamedTuple):
    """sequence: opaque, to be acknowledged. offset: for ReconnectSession; None = keep the one before."""

    sequence: int
    offset: int | None
    events: tuple[Event, ...]


class Reconnected(NamedTuple):
    affinity: str
    resets: bool


def read_batch(body: bytes) -> Batch:
    """Raises ValueError."""
    found = decoded(body)
    sequence = whole(found.get("sequence"))
    if sequence is None:
        raise ValueError("no sequence in the answer")
    return Batch(sequence, whole(found.get("offset")), tuple(told for each in rows(found) for told in _read(each)))


def read_reconnected(body: bytes) -> Reconnected:
    """Raises ValueError. A missing resetSequence is true, as it always was in practice (reference 1.9)."""
    for kind, message in rows(decoded(body)):
        affinity = message.get("affinityToken")
        if kind == "ReconnectSession" and isinstance(affinity, str) and TOKEN.fullmatch(affinity):
            return Reconnected(affinity, message.get("resetSequence") is not False)
    raise ValueError("no ReconnectSession in the answer")


def read_switch(body: bytes) -> tuple[Event, ...]:
    """An answer that is no batch, but tells that the org moved to another address (reference 1.8)."""
    try:
        return tuple(told for each in rows(decoded(body)) if each.type == "SwitchServer" for told in _read(each))
    except ValueError:
        return ()


def rows(found: dict[str, Any]) -> list[_Message]:
    """What has no type is nothing, as an unknown one is. Raises ValueError."""
    given = found.get("messages") or []
    given, kept = [given] if isinstance(given, dict) else given, list[_Message]()
    if not isinstance(given, list):
        raise ValueError("no messages in the answer")
    for each in given:
        if isinstance(each, dict) and isinstance(each.get("type"), str):
            message = each.get("message") or {}
            kept.append(_Message(each["type"], message if isinstance(message, dict) else {"message": message}))
    return kept


def _read(given: _Message) -> tuple[Event, ...]:
    read = _KINDS.get(given.type)
    if read is None:
        return ()
    try:
        return read(given.message)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return (Unreadable(given.type, given.message),)


def read_again(event: Unreadable) -> tuple[Event, ...]:
    """Raises ValueError while it cannot be read."""
    found = _read(_Message(event.kind, event.message))
    if any(isinstance(each, Unreadable) for each in found):
        raise ValueError(f"a message of kind {event.kind!r} cannot be read")
    return found


def _text(value: object) -> str:
    """Agents' texts may come with entities of HTML (reference 1.13)."""
    if not isinstance(value, str):
        raise ValueError("no text")
    return html.unescape(value)


def _name(message: dict[str, Any]) -> str:
    """A name that is none keeps no words back."""
    given = message.get("name")
    return html.unescape(given) if isinstance(given, str) else ""


def _agent(message: dict[str, Any], key: str) -> Agent:
    given = str(message.get(key) or "")
    try:
        return Agent(_name(message), long_id(given) if given else "")
    except ValueError:
        return Agent(_name(message))


def _wait(message: dict[str, Any]) -> int | None:
    wait = message.get("estimatedWaitTime", -1)
    return min(int(wait), MOST) if isinstance(wait, int | float) and wait >= 0 else None


def _requested(message: dict[str, Any]) -> tuple[Event, ...]:
    timeout_s = (number(message.get("connectionTimeout")) or 40_000) / 1000
    rules = read_rules(message.get("sensitiveDataRules") or ())
    visitor = str(message.get("visitorId") or "")
    return (Requested(position(message.get("queuePosition")), _wait(message), timeout_s, visitor, rules),)


def _established(is_transfer: bool) -> Callable[[dict[str, Any]], tuple[Event, ...]]:
    def read(message: dict[str, Any]) -> tuple[Event, ...]:
        # The documentation spells it in another way than the wire.
        idle = _idle(message.get("chasitorIdleTimeout") or message.get("chasitorIdletimeout"))
        peek = message.get("sneakPeekEnabled") is True
        return (Established(_agent(message, "userId"), peek, idle, is_transfer),)

    return read


def _idle(given: Any) -> Idle | None:
    """None, too, for times that are none: a chat that goes on is better than one that ends at once."""
    if not isinstance(given, dict) or given.get("isEnabled") not in (True, "true"):
        return None
    warning_s, timeout_s = number(given.get("warningTime")), number(given.get("timeout"))
    return Idle(warning_s, timeout_s) if warning_s and timeout_s and warning_s < timeout_s else None


def _restored(message: dict[str, Any]) -> tuple[Event, ...]:
    """A record, whatever is in it: nothing may be sent before there is one. An agent's line that cannot be read is told
    as such."""
    rows, lines, lost = message.get("chatMessages"), list[Line](), list[Event]()
    for each in rows if isinstance(rows, list) else ():
        if not isinstance(each, dict):
            continue
        kind, content = str(each.get("type") or ""), each.get("content") or ""
        if isinstance(content, str):
            lines.append(Line(kind, _name(each), _text(content)))
        elif kind == "Agent":
            lost.append(Unreadable("ChatMessage", each))
    return (Restored(tuple(lines)), *lost)


def _file(message: dict[str, Any]) -> tuple[Event, ...]:
    kind, token = str(message["type"]), str(message.get("fileToken") or "")
    if kind != "Requested":
        return (FileOutcome(kind, token),)
    referer = str(message.get("cdmServletUrl") or "")
    return (FileWanted(str(message["uploadServletUrl"]), referer if TOKEN.fullmatch(referer) else "", token),)


def _rich(message: dict[str, Any]) -> tuple[Event, ...]:
    """A bot's menu: its texts, one a line. The shape is not documented for custom clients."""
    items = message.get("items") or ()
    words = [str(each.get("text") or "") for each in items if isinstance(each, dict)]
    text = "\n".join([_text(message.get("text") or ""), *words]).strip()
    return (Said(text, _agent(message, "agentId"), is_rich=True),) if text else (Unreadable("RichMessage", message),)


_KINDS: dict[str, Callable[[dict[str, Any]], tuple[Event, ...]]] = {
    "ChatRequestSuccess": _requested,
    "QueueUpdate": lambda m: (Queued(position(m.get("position")), _wait(m)),),
    "ChatRequestFail": lambda m: (Failed(str(m.get("reason") or "Unknown")),),
    "ChatEstablished": _established(False),
    "ChatTransferred": _established(True),
    "ChatMessage": lambda m: (Said(_text(m["text"]), _agent(m, "agentId")),),
    "AgentTyping": lambda m: (Typing(True, str(m.get("name") or "")),),
    "AgentNotTyping": lambda m: (Typing(False, str(m.get("name") or "")),),
    "TransferToButtonInitiated": lambda m: (Requeued(False),),
    "AgentDisconnect": lambda m: (Requeued(True),),
    "AgentJoinedConference": lambda m: (Conference(_name(m), True),),
    "AgentLeftConference": lambda m: (Conference(_name(m), False),),
    "ChatEnded": lambda m: (Ended(str(m.get("reason") or "unknown")),),
    "ChasitorSessionData": _restored,
    "CustomEvent": lambda m: (CustomEvent(str(m["type"]), str(m.get("data") or "")),),
    "FileTransfer": _file,
    "RichMessage": _rich,
    "SensitiveDataRules": lambda m: (Rules(read_rules(m.get("sensitiveDataRules") or ())),),
    "SwitchServer": lambda m: (SwitchServer(str(m["newUrl"])),),
}
