"""Which events analysers are told of. Pure. Not a decision of routing: nothing in the conversation follows from it."""

from __future__ import annotations

from collections.abc import Sequence

from omnibridge.domain.commands import HandTranscript, ObserveMessage
from omnibridge.domain.events import ConversationClosed, Event, MessageDeleted, MessageEdited, MessagePosted

WATCHED = (MessagePosted, MessageEdited, MessageDeleted, ConversationClosed)


def for_analysers(event: Event, analysers: Sequence[str]) -> list[ObserveMessage | HandTranscript]:
    """One command for each analyser; all are told the same."""
    match event:
        case MessagePosted(message_id, author, _, words, ts):
            return [ObserveMessage(each, message_id, author, words, ts) for each in analysers] if words else []
        case MessageEdited(message_id, author, words, at):
            return [ObserveMessage(each, message_id, author, words, at, "edited") for each in analysers]
        case MessageDeleted(message_id):
            return [ObserveMessage(each, message_id, "visitor", change="deleted") for each in analysers]
        case ConversationClosed():
            return [HandTranscript(each) for each in analysers]
    return []


def changed_message(event: Event) -> str:
    """The message whose older texts are out of date by this event, '' = none."""
    return event.message_id if isinstance(event, MessageEdited | MessageDeleted) else ""
