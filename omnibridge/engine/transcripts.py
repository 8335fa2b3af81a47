"""What was said, as lines for systems of records. Lines are only added: an edit or a deletion is a line of its own."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.connector import Line
from omnibridge.domain.events import (
    AgentAssigned,
    InteractionReceived,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
)
from omnibridge.domain.files import FileRef
from omnibridge.domain.stored_events import read_event
from omnibridge.errors import DeliveryRetryable
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.storage import said, uploads
from omnibridge.storage.amend import RESENT
from omnibridge.storage.said import Told
from omnibridge.storage.tables import DONE, DUE

_outgoing = msgspec.json.Decoder(OutgoingMessage)

SAYING_PAUSE_S = 0.25


class StillSaying(DeliveryRetryable):
    """Something of ours is on its way into the room: what was said is not certain yet."""


def lines_of(reader: Any, conversation_id: int, from_id: int, limit: int, *, to_the_end: bool = False) -> list[Line]:
    """From this id on, at most so many, oldest first; up to the first word of ours that is still on its way.

    to_the_end: raise StillSaying when there is such a word, instead of stopping there.
    """
    found: list[Line] = []
    names: dict[str, str] = _names(reader, conversation_id) if from_id else {}
    for told in said.told(reader, conversation_id, from_id):
        if told.state == DUE:
            if to_the_end:
                raise StillSaying("not everything is said yet", code="still-saying", retry_after_s=SAYING_PAUSE_S)
            break
        line = _line(reader, told, names)
        if line is not None and len(found) < limit:
            found.append(line)
        if len(found) == limit and not to_the_end:
            break
    return found


def files_of(reader: Any, conversation_id: int) -> list[FileRef]:
    """Files that people sent, oldest first; those that can be fetched."""
    events = (read_event(data) for data in said.all_of(reader, conversation_id, "MessagePosted"))
    found = [file for event in events if isinstance(event, MessagePosted) for file in event.files]
    return list({each.id: each for each in found}.values())


def _names(reader: Any, conversation_id: int) -> dict[str, str]:
    """User id -> name, of who served."""
    names: dict[str, str] = {}
    for data in said.all_of(reader, conversation_id, "AgentAssigned"):
        event = read_event(data)
        if isinstance(event, AgentAssigned):
            names[event.agent.id] = event.agent.name or event.agent.username
    return names


def _line(reader: Any, told: Told, names: dict[str, str]) -> Line | None:
    if told.kind in said.WORDS:
        return _ours(told) if told.state == DONE or told.code == RESENT else None
    match read_event(told.data):
        case AgentAssigned(agent):
            names[agent.id] = agent.name or agent.username
        case MessagePosted() as event if event.has_file and uploads.is_ours(reader, event.message_id):
            return None  # the hub's report of a file of ours, which has its line
        case MessagePosted() as event:
            file = f"[file: {event.file_name or 'without a name'}]" if event.has_file else ""
            text = " ".join(each for each in (event.text, file) if each.strip())
            return (
                Line(told.id, event.ts or told.at, event.author, text, names.get(event.author_id, "")) if text else None
            )
        case MessageEdited() as event:
            return Line(told.id, event.edited_at or told.at, event.author, f"[edited] {event.text}")
        case MessageDeleted():
            return Line(told.id, told.at, "system", "[a message was deleted]")
        case InteractionReceived(interaction):
            who = interaction.actor
            labels = ", ".join(each.label or each.value for each in interaction.actions)
            author = "visitor" if who.is_visitor else "agent"
            return Line(told.id, told.at, author, f"[chose: {labels}]", who.name or who.username)  # type: ignore[arg-type]
    return None


def _ours(told: Told) -> Line | None:
    message = _outgoing.decode(told.data)
    titles = " ".join(f"[{each.get('title') or 'attachment'}]" for each in message.attachments)
    text = f"[file: {told.file}]" if told.file else " ".join(each for each in (message.text, titles) if each)
    if not text:
        return None
    if told.kind == "SystemText":
        return Line(told.id, told.at, "system", text)
    if message.speaker is not None:
        return Line(told.id, told.at, "agent", text, message.speaker.name)
    return Line(told.id, told.at, "bot", text, told.connection)
