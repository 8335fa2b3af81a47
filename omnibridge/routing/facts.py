"""Facts: flat, typed values with origin and trust. What a visitor can write is marked as such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import ConversationStarted, Event, MessagePosted
from omnibridge.routing.decision import Fact

PLAIN_FACTS = (
    "workspace",
    "room",
    "department",
    "source",
    "visitor_id",
    "visitor_name",
    "visitor_username",
    "visitor_email",
    "text",
)
"""Names a rule may use besides `room.<field>` and `visitor.<field>`."""


def start_facts(event: ConversationStarted) -> dict[str, Any]:
    """What a conversation remembers of its start. Field values that are not plain JSON scalars are left out."""
    facts: dict[str, Any] = {
        "visitor_id": event.visitor_id,
        "visitor_name": event.visitor_name,
        "visitor_username": event.visitor_username,
        "visitor_email": event.visitor_email,
        "source": event.source,
    }
    for prefix, fields in (("room", event.room_fields), ("visitor", event.visitor_fields)):
        facts |= {f"{prefix}.{key}": value for key, value in fields.items() if _is_scalar(value)}
    return {name: value for name, value in facts.items() if value not in ("", None)}


def facts_of(conversation: Conversation, event: Event) -> dict[str, Fact]:
    """Everything a rule can read for this event.

    Room custom fields count as the visitor's word: he may write them (rocketchat-api, custom.field).
    The department too: he chooses it in the widget's form.
    """
    facts = {
        "workspace": Fact(conversation.workspace, "configuration", "ours"),
        "room": Fact(conversation.room, "hub", "staff"),
    }
    if conversation.department:
        facts["department"] = Fact(conversation.department, "hub room", "visitor")
    for name, value in conversation.facts.items():
        facts[name] = Fact(value, "start of the conversation", "visitor")
    if isinstance(event, MessagePosted):
        facts["text"] = Fact(event.text, "message", "visitor" if event.author == "visitor" else "staff")
    return facts


def allowed_facts(facts: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The subset that a connection may be told. `room.*` and `visitor.*` allow a whole group."""
    return {name: value for name, value in facts.items() if name in names or f"{name.split('.', 1)[0]}.*" in names}


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)
