"""An answer that was typed, number or label -> the interaction that a press would have been.

What offered it is looked for in the outbox, newest first; what was purged leaves an object without its message.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.content import Content, Select, chosen_from
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import Event, MessagePosted, PartyReplied, PartySpoke
from omnibridge.domain.interactions import Action, Actor, ElementKind, Interaction
from omnibridge.domain.stored_events import read_event
from omnibridge.engine.shown import message_of
from omnibridge.rocketchat.clicks import VISITOR_ROLES, id_of
from omnibridge.rocketchat.leaves import iso_of, text_of
from omnibridge.rocketchat.uikit_actions import find_value
from omnibridge.storage import journal, outbox
from omnibridge.storage.outbox import Delivery

LOOK_BACK = 50
"""Events of the conversation that are looked at."""


def typed(
    reader: Any, row: Delivery, conversation: Conversation, message_id: str, text: str, value: str
) -> Interaction:
    """row: the turn that carries the answer. message_id: of the visitor's message."""
    action, original = _offered(reader, row, conversation, value)
    label = next((each.label for each in conversation.options if each.value == value), text)
    said = _read(reader, row.event_id)
    at = said.ts if isinstance(said, MessagePosted) and said.message_id == message_id else row.created_at
    return Interaction(
        id_of(conversation.room, f"typed/{message_id or row.id}"),
        visitor_of(conversation),
        (action or Action("button", "button.0", "", value, label),),
        text_of(original.get("_id")),
        "",
        original,
        text_of(original.get("tmid")),
        at,
        row.created_at,
    )


def visitor_of(conversation: Conversation) -> Actor:
    """Without a token: the conversation knows none."""
    told = [text_of(conversation.facts.get(f"visitor_{each}")) for each in ("id", "username", "name")]
    return Actor(told[0] or "unknown", told[1], told[2], True, VISITOR_ROLES)


def _offered(
    reader: Any, row: Delivery, conversation: Conversation, value: str
) -> tuple[Action | None, dict[str, Any]]:
    events = journal.events_before(reader, row.conversation_id, row.event_id, LOOK_BACK)
    for each in (one for event_id in events for one in outbox.said_after(reader, event_id)):
        message = message_of(conversation.room, each.external_id, each.body)
        message["ts"] = iso_of(each.created_at)
        action = find_value(message.get("blocks"), value)
        if action is None:
            action = _numbered(_read(reader, each.event_id), value, text_of(message["msg"]))
        if action is not None:
            return action, message
    return None, {}


def _numbered(said: Event | None, value: str, text: str) -> Action | None:
    """text: of one message of those that showed the parts; the one that shows the label is it."""
    if not isinstance(said, PartyReplied | PartySpoke):
        return None
    for part in reversed(said.parts):
        for number, option in enumerate(chosen_from(part)):
            if option.value == value and option.label in text:
                kind = _kind(part)
                placeholder = part.placeholder if isinstance(part, Select) and kind == "static_select" else ""
                initial = part.initial if isinstance(part, Select) else ""
                return Action(kind, f"{kind}.{number}", "", value, option.label, initial, placeholder)
    return None


def _kind(part: Content) -> ElementKind:
    if not isinstance(part, Select):
        return "button"
    return "overflow" if part.is_menu else "static_select"


def _read(reader: Any, event_id: int) -> Event | None:
    """None when it is purged, or of a version that we do not read."""
    found = journal.event_of(reader, event_id)
    try:
        return read_event(found) if found else None
    except msgspec.DecodeError:
        return None
