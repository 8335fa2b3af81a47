"""A conversation as a whole: from the hub's history, and what was reported to us and is not there (any more).

Who takes over a conversation also reads what was chosen: a press leaves no message in the room, and a typed "1" means
nothing to him.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.connector import Said
from omnibridge.connector.analysis import Author
from omnibridge.domain.content import Option
from omnibridge.domain.events import InteractionReceived, MessageDeleted, MessageEdited, MessagePosted
from omnibridge.domain.stored_events import read_event
from omnibridge.engine.hub import Hub
from omnibridge.rocketchat.reconcile import is_by_visitor
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.storage import said
from omnibridge.storage.amend import RESENT
from omnibridge.storage.tables import DONE, DUE

_outgoing = msgspec.json.Decoder(OutgoingMessage)


class _Turn(msgspec.Struct):
    """Of a command, what tells of a choice."""

    message_id: str = ""
    choice_value: str = ""


class _Changed(msgspec.Struct):
    options: tuple[Option, ...] | None = None


class _Decided(msgspec.Struct):
    """Of a decision as it is stored: what the visitor could choose after it, and what he chose."""

    changed: _Changed = msgspec.field(default_factory=_Changed)
    commands: tuple[_Turn, ...] = ()


_decided = msgspec.json.Decoder(_Decided)


async def read_hub(hub: Hub, room: str) -> tuple[list[Said], set[str]]:
    """All that people, bots and the visitor wrote, oldest first; ids of what was deleted. Raises DeliveryError."""
    info = await hub.client.room(room)
    messages, deleted = await hub.client.changes_since(room, 0)
    bots = set(hub.bot_ids.values())
    found = []
    for each in messages:
        if each.system_type or not each.text:
            continue
        by_visitor = is_by_visitor(each, info)
        found.append(Said(each.id, "visitor" if by_visitor else "bot" if each.author_id in bots else "agent",
                          each.text, each.ts_ms))  # fmt: skip
    return found, set(deleted)


def read_journal(reader: Any, conversation_id: int, *, unsent: bool = False) -> list[Said]:
    """What was reported to us, and what we posted, with the last texts; without what was deleted.

    unsent: and what we are about to post, and what was pressed.
    """
    found: dict[str, Said] = {}
    for each in said.told(reader, conversation_id, 0):
        if each.kind in said.WORDS:
            is_said = each.state == DONE or (unsent and (each.state == DUE or each.code == RESENT))
            if is_said and (each.message_id or unsent):
                message = _outgoing.decode(each.data)
                author: Author = "agent" if message.speaker is not None else "bot"
                text = f"[file: {each.file}]" if each.file else message.text
                said_at = each.settled_at or each.at
                found[each.message_id or str(each.id)] = Said(each.message_id, author, text, said_at)
            continue
        match read_event(each.data):
            case MessagePosted(message_id, author, _, text, ts):
                found[message_id] = Said(message_id, author, text, ts)
            case MessageEdited(message_id, _, text):
                if message_id in found:
                    found[message_id] = msgspec.structs.replace(found[message_id], text=text)
            case MessageDeleted(message_id):
                found.pop(message_id, None)
            case InteractionReceived(interaction) if unsent and interaction.actor.is_visitor:
                labels = ", ".join(action.label or action.value for action in interaction.actions)
                found[str(each.id)] = Said("", "visitor", f"[chose: {labels}]", interaction.at or each.at)
    return [each for each in found.values() if each.text]


def joined(from_hub: list[Said], from_journal: list[Said], gone: set[str]) -> tuple[Said, ...]:
    """The hub's word wins. gone: ids that were deleted, and are not said any more."""
    there = {each.message_id for each in from_hub}
    more = [each for each in from_journal if each.message_id not in there]
    whole = [each for each in (*from_hub, *more) if each.message_id not in gone]
    return tuple(sorted(whole, key=lambda each: each.ts))


def so_far(reader: Any, conversation_id: int) -> tuple[Said, ...]:
    """For somebody who takes over now: from the journal alone, what is about to be posted included, oldest first."""
    chosen = _chosen(reader, conversation_id)
    found = [_with_label(each, chosen) for each in read_journal(reader, conversation_id, unsent=True)]
    return tuple(sorted(found, key=lambda each: each.ts))


def _chosen(reader: Any, conversation_id: int) -> dict[str, str]:
    """Message id -> label of the option that was meant by it, as it was decided then."""
    found: dict[str, str] = {}
    options: tuple[Option, ...] = ()
    for decision in said.with_choices(reader, conversation_id):
        decided = _decided.decode(decision)
        for turn in decided.commands:
            if turn.choice_value:
                labels = (each.label for each in options if each.value == turn.choice_value)
                found[turn.message_id] = next(labels, "")
        if decided.changed.options is not None:
            options = decided.changed.options
    return found


def _with_label(each: Said, chosen: dict[str, str]) -> Said:
    label = chosen.get(each.message_id, "") if each.message_id and each.author == "visitor" else ""
    if not label or label.casefold() == each.text.strip().casefold():
        return each
    return msgspec.structs.replace(each, text=f"{each.text} [chose: {label}]")
