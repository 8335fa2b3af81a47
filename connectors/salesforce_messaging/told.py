"""What is journalled of a chat, and what it means for the conversation. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.salesforce.ids import long_or_same
from connectors.salesforce.told import NOTICES as COMMON
from connectors.salesforce.told import ToldByUs, notice
from connectors.salesforce_messaging.content import attachments_of, contents_of
from connectors.salesforce_messaging.entries import (
    Closed,
    Event,
    Joined,
    QueuePosition,
    Routed,
    Said,
    Sender,
    SessionIs,
    Unreadable,
)
from connectors.salesforce_messaging.forms import form_of
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from omnibridge.connector import Content, ExternalAgent, File, Image, Reply, Text
from omnibridge.connector.desks import Accepted, Declined, Left, Queued, SessionEvent, Spoke

AUTOMATIC, AUTOMATIC_NAME = ("System", "Router"), "Automated Process"
"""Roles of who answers by itself, and the name that it has whatever its role (reference 2.8)."""
NOTICES = {
    **COMMON,
    "inactive": "Are you still there? Write anything to go on.",
    "form": "Please answer in one message, with a line for each question.",
    "reopened": "One moment please, you will be connected again.",
    "closed": "Our team is outside of its business hours.",
}
"""What the visitor reads for what happens, if `[texts.desk]` has nothing for its code."""
FAILURES = {"SubmissionError": "submission-error", "Unknown": "unknown"}
"""Why a conversation was not routed, as codes; all others are that nobody is there."""


class Told(ToldByUs, frozen=True, omit_defaults=True):
    """events: of one entry. files: attachment -> where it is kept. is_requeued: somebody had accepted before.
    left: ours, not Salesforce's."""

    events: tuple[Event, ...] = ()
    files: dict[str, str] = msgspec.field(default_factory=dict)
    is_requeued: bool = False
    left: str = ""


_told = msgspec.json.Decoder(Told)


def read(body: bytes, settings: SalesforceMessagingSettings) -> tuple[SessionEvent, ...]:
    """Raises ValueError for what cannot be read."""
    told = _told.decode(body)
    found: list[SessionEvent] = []
    for each in told.events:
        found += _meant(each, told, settings)
    if told.notice:
        found.append(notice(NOTICES, told.notice))
    if told.declined:
        found.append(Declined(told.declined, says=NOTICES.get(told.declined, "")))
    if told.left:
        found.append(Left(told.left))
    return tuple(found)


def matters(event: Event, settings: SalesforceMessagingSettings) -> bool:
    """Whether it has to be journalled."""
    if isinstance(event, Unreadable) or (isinstance(event, Routed) and event.is_transfer):
        return True
    return bool(_meant(event, Told(), settings))


def is_end(event: Event) -> bool:
    """Nothing follows it that is ours to tell."""
    return isinstance(event, Closed) or (isinstance(event, SessionIs) and event.status == "Ended")


def _meant(event: Event, told: Told, settings: SalesforceMessagingSettings) -> tuple[SessionEvent, ...]:
    match event:
        case Joined(sender=who) if who.role == "Agent" or (who.role == "Chatbot" and settings.accept_bots):
            return (Accepted(agent_of(who, settings)),)
        case Said(sender=who, abstract=abstract):
            is_automatic = who.role in AUTOMATIC or who.name == AUTOMATIC_NAME
            if is_automatic and not settings.automatic:
                return ()
            is_person = who.role in ("Agent", "Supervisor") and not is_automatic
            agent = agent_of(who, settings) if is_person else None
            parts = shown(abstract, told.files)
            hint = (notice(NOTICES, "form"),) if form_of(parts) else ()
            return (Spoke(Reply(parts, agent=agent)), *hint) if parts else ()
        case Routed(failure=failure) if failure:
            return (Declined(FAILURES.get(failure, "no-agents"), failure),)
        case Routed(is_transfer=is_transfer, wait_s=wait_s):
            told_wait = (Queued(0, wait_s, is_transfer or told.is_requeued),) if wait_s else ()
            return ((notice(NOTICES, "requeued"),) if is_transfer else ()) + told_wait
        case QueuePosition(position=position) if position is not None and position > 0:
            return (Queued(position, again=told.is_requeued),)
        case SessionIs(status="Inactive"):
            return (notice(NOTICES, "inactive"),)
        case SessionIs(status="Ended"):
            return (Left("ended"),)
        case Closed():
            return (Left("closed"),)
        case Unreadable(kind=kind):
            raise ValueError(f"an entry of kind {kind!r} cannot be read")
        case _:
            return ()


def shown(abstract: dict[str, Any], files: dict[str, str]) -> tuple[Content, ...]:
    """files: attachment -> where we keep it. One that is not there could not be had, and is named only."""
    kept = {each.url: files.get(each.id, "") for each in attachments_of(abstract)}

    def ours(part: Content) -> Content:
        if not isinstance(part, Image | File) or part.url not in kept:
            return part
        return (
            msgspec.structs.replace(part, url=kept[part.url]) if kept[part.url] else Text(f"[{part.title or 'file'}]")
        )

    return tuple(ours(each) for each in contents_of(abstract))


def agent_of(who: Sender, settings: SalesforceMessagingSettings) -> ExternalAgent:
    """His Salesforce user id, 18 characters; where the subject is none, the subject."""
    return ExternalAgent(settings.agent_system, long_or_same(who.subject) or who.name, who.name)
