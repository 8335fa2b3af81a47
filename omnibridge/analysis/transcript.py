"""A conversation as a whole: from the hub's history, and what was reported to us and is not there (any more)."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.connector import Said
from omnibridge.domain.events import Event, MessageDeleted, MessageEdited, MessagePosted
from omnibridge.engine.hub_sender import Hub
from omnibridge.rocketchat.reconcile import is_by_visitor
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.storage import said
from omnibridge.storage.amend import RESENT
from omnibridge.storage.tables import DONE, DUE

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
    found: dict[str, Said] = {}
    for each in said.told(reader, conversation_id, 0):
        if each.kind in said.WORDS:
            is_said = each.state == DONE or (unsent and (each.state == DUE or each.code == RESENT))
            if is_said and (each.message_id or unsent):
                text = _outgoing.decode(each.data).text
                found[each.message_id or str(each.id)] = Said(each.message_id, "bot", text, each.settled_at or each.at)
            continue
        match _event.decode(each.data):
            case MessagePosted(message_id, author, _, text, ts):
                found[message_id] = Said(message_id, author, text, ts)
            case MessageEdited(message_id, _, text):
                if message_id in found:
                    found[message_id] = msgspec.structs.replace(found[message_id], text=text)
            case MessageDeleted(message_id):
                found.pop(message_id, None)
    return [each for each in found.values() if each.text]


def joined(from_hub: list[Said], from_journal: list[Said], gone: set[str]) -> tuple[Said, ...]:
    """The hub's word wins. gone: ids that were deleted, and are not said any more."""
    there = {each.message_id for each in from_hub}
    more = [each for each in from_journal if each.message_id not in there]
    whole = [each for each in (*from_hub, *more) if each.message_id not in gone]
    return tuple(sorted(whole, key=lambda each: each.ts))


def so_far(reader: Any, conversation_id: int) -> tuple[Said, ...]:
    """For somebody who takes over now: from the journal alone, what is about to be posted included, oldest first."""
    return tuple(sorted(read_journal(reader, conversation_id, unsent=True), key=lambda each: each.ts))
