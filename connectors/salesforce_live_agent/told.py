"""What is journalled of a chat, and what it means for the conversation. Pure."""

from __future__ import annotations

import msgspec

from connectors.salesforce.opening import plain
from connectors.salesforce.told import NOTICES as COMMON
from connectors.salesforce.told import ToldByUs, notice
from connectors.salesforce_live_agent.messages import (
    Agent,
    Conference,
    CustomEvent,
    Ended,
    Established,
    Event,
    Failed,
    FileOutcome,
    FileWanted,
    Lost,
    Queued,
    Requested,
    Requeued,
    Said,
    Unreadable,
    read_again,
)
from connectors.salesforce_live_agent.settings import SalesforceLiveAgentSettings
from omnibridge.connector import Content, Custom, ExternalAgent, Reply, Text
from omnibridge.connector import desks as desk
from omnibridge.connector.desks import SessionEvent, Spoke

DECLINES = {
    "Unavailable": "no-agents",
    "NoPost": "no-post",
    "InternalFailure": "internal-failure",
    "Blocked": "blocked",
    "Unknown": "unknown",
}
"""Of ChatRequestFail (reference 1.8)."""

NOBODY = {"agentsUnavailable": "no-agents", "agentPushTimeout": "not-accepted", "NoPost": "no-post"}
"""Reasons of ChatEnded that say that nobody took it."""


NOTICES = {
    **COMMON,
    "conference-joined": "{name} has joined the conversation.",
    "conference-left": "{name} has left the conversation.",
    "file-asked": "The agent asks you to send a file.",
    "idle-warning": "Are you still there? This chat is about to end.",
    "file-failed": "Your file did not reach the agent. Please send it again.",
    "withheld": "Your last message could not be passed on: it could not be checked for sensitive data.",
}
"""What the visitor reads for what happens, if `[texts.desk]` has nothing for its code."""

NAMELESS = "Another agent"


class Told(ToldByUs, frozen=True, omit_defaults=True):
    """events: of one batch, in its order. is_accepted: an agent had accepted before. is_requeued: and gave it back."""

    events: tuple[Event, ...] = ()
    is_accepted: bool = False
    is_requeued: bool = False


_told = msgspec.json.Decoder(Told)
encode = msgspec.json.Encoder().encode


def read(body: bytes, settings: SalesforceLiveAgentSettings) -> tuple[SessionEvent, ...]:
    """Raises ValueError for what cannot be read."""
    told = _told.decode(body)
    found: list[SessionEvent] = []
    is_accepted, is_requeued = told.is_accepted, told.is_requeued
    for each in told.events:
        for event in read_again(each) if isinstance(each, Unreadable) else (each,):
            found += meaning(event, settings, is_accepted, is_requeued)
            is_accepted = is_accepted or isinstance(event, Established)
            is_requeued = waits_again(event, is_requeued)
    if told.notice:
        found.append(notice(NOTICES, told.notice))
    if told.declined:
        found.append(desk.Declined(told.declined))
    return tuple(found)


def matters(event: Event, settings: SalesforceLiveAgentSettings) -> bool:
    """Whether it has to be journalled."""
    return isinstance(event, Unreadable) or bool(meaning(event, settings, True))


def waits_again(event: Event, is_requeued: bool) -> bool:
    """Whether the visitor waits for another agent after it."""
    return isinstance(event, Requeued) or (is_requeued and not isinstance(event, Established))


def meaning(
    event: Event, settings: SalesforceLiveAgentSettings, is_accepted: bool, is_requeued: bool = False
) -> tuple[SessionEvent, ...]:
    match event:
        case Established(agent=who):
            return (desk.Accepted(agent_of(who, settings)),)
        case Said(text=text, agent=who):
            return (Spoke(Reply((Text(text),), agent=agent_of(who, settings))),) if text.strip() else ()
        case Requested(position=position, wait_s=wait) | Queued(position=position, wait_s=wait) if position > 0:
            return (desk.Queued(position, -1 if wait is None else wait, again=is_requeued),)
        case Failed(reason=reason):
            return (desk.Declined(DECLINES.get(reason, "unknown"), reason),)
        case Ended(reason=reason):
            if not is_accepted and reason in NOBODY:
                return (desk.Declined(NOBODY[reason], reason),)
            return (desk.Left(reason),)
        case Lost(reason=reason):
            return (desk.Left(reason),) if is_accepted else (desk.Declined("lost", reason),)
        case Requeued():
            return (notice(NOTICES, "requeued"),)
        case Conference(name=name, joined=joined):
            code = "conference-joined" if joined else "conference-left"
            return (notice(NOTICES, code, name=plain(name).strip() or NAMELESS),)
        case FileWanted() if settings.files:
            return (notice(NOTICES, "file-asked"),)
        case CustomEvent():
            return _custom(event, settings)
        case FileOutcome(outcome="Failure"):
            return (notice(NOTICES, "file-failed"),)
        case _:
            return ()


def _custom(event: CustomEvent, settings: SalesforceLiveAgentSettings) -> tuple[SessionEvent, ...]:
    data, parts = plain(event.data), list[Content]()
    if settings.custom_events:
        parts.append(Custom({"type": event.kind, "data": event.data}))
    if text := settings.event_texts.get(event.kind, ""):
        parts.append(Text(text.replace("{data}", data)))
    facts = {settings.event_facts[event.kind]: data} if event.kind in settings.event_facts else {}
    fields = {settings.event_fields[event.kind]: data} if event.kind in settings.event_fields else {}
    if not parts and not facts and not fields:
        return ()
    return (Spoke(Reply(tuple(parts), facts=dict(facts), fields=fields)),)


def agent_of(who: Agent, settings: SalesforceLiveAgentSettings) -> ExternalAgent | None:
    """By his Salesforce user id, 18 characters; where none is told, by his name. None: nothing is known of him."""
    if not who.id and not who.name:
        return None
    return ExternalAgent(settings.agent_system, who.id or who.name, who.name)
