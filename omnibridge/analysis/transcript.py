"""A conversation as a whole: from the hub's history, and what was reported to us and is not there (any more)."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.connector import Said
from omnibridge.domain.events import Event, MessageDeleted, MessageEdited, MessagePosted
from omnibridge.engine.hub_sender import Hub
from omnibridge.rocketchat.reconcile import is_by_visitor
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.storage import findings

_event = msgspec.json.Decoder(Event)
_outgoing = msgspec.json.Decoder(OutgoingMessage)


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

    unsent: and what we are about to post.
    """
    said: dict[str, Said] = {}
    for raw in findings.words_of(reader, conversation_id):
        match _event.decode(raw):
            case MessagePosted(message_id, author, _, text, ts):
                said[message_id] = Said(message_id, author, text, ts)
            case MessageEdited(message_id, author, text):
                if message_id in said:
                    said[message_id] = msgspec.structs.replace(said[message_id], text=text)
            case MessageDeleted(message_id):
                said.pop(message_id, None)
    for message_id, body, at in findings.posts_of(reader, conversation_id, unsent=unsent):
        said.setdefault(message_id, Said(message_id, "bot", _outgoing.decode(body).text, at))
    return [each for each in said.values() if each.text]


def joined(from_hub: list[Said], from_journal: list[Said], gone: set[str]) -> tuple[Said, ...]:
    """The hub's word wins. gone: ids that were deleted, and are not said any more."""
    there = {each.message_id for each in from_hub}
    more = [each for each in from_journal if each.message_id not in there]
    whole = [each for each in (*from_hub, *more) if each.message_id not in gone]
    return tuple(sorted(whole, key=lambda each: each.ts))


def so_far(reader: Any, conversation_id: int) -> tuple[Said, ...]:
    """For somebody who takes over now: from the journal alone, what is about to be posted included, oldest first."""
    return tuple(sorted(read_journal(reader, conversation_id, unsent=True), key=lambda each: each.ts))
