"""A click as the companion app tells of it -> `InteractionReceived`. Pure.

`data: {"user" | "visitor", "action_id", "block_id", "value", "trigger_id", "container", "message"}`; the message is
as it was when it was clicked; without it, what we posted under that id is taken. Source: README.md of the app.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from omnibridge.domain.events import InteractionReceived
from omnibridge.domain.interactions import Actor, Interaction
from omnibridge.rocketchat.leaves import list_of, table_of, text_of
from omnibridge.rocketchat.uikit_actions import read_action

VISITOR_ROLES = ("visitor",)
SECRET_KEYS = ("token", "visitorToken")
"""With a visitor's token one can write as the visitor: it goes no further."""


class Shown(msgspec.Struct, frozen=True):
    """What we posted under an id. message: as the REST API would show it, as far as it is ours."""

    connection: str
    message: dict[str, Any]


class Click(msgspec.Struct, frozen=True):
    """One element that was used, unread. id: of the report. message: {} where it did not come."""

    id: str
    actor: Actor
    action_id: str
    block_id: str
    value: Any
    trigger_id: str
    message_id: str
    message: dict[str, Any]


def read_click(identity: str, data: Mapping[str, Any]) -> Click | None:
    """None when it does not say who used what."""
    actor = _actor(data)
    message = without_tokens(table_of(data.get("message")))
    container = table_of(data.get("container"))
    in_message = text_of(container.get("id")) if container.get("type") == "message" else ""
    message_id, action_id = text_of(message.get("_id")) or in_message, text_of(data.get("action_id"))
    if actor is None or not identity or not message_id or not action_id:
        return None
    return Click(
        identity,
        actor,
        action_id,
        text_of(data.get("block_id")),
        data.get("value"),
        text_of(data.get("trigger_id")),
        message_id,
        message,
    )


def event_of(
    click: Click,
    room: str,
    at_ms: int,
    received_at_ms: int,
    bot_users: Mapping[str, str],
    shown: Callable[[str], Shown | None],
) -> InteractionReceived | None:
    """None for a message that none of our connections had shown. Raises ActionRefused."""
    ours = shown(click.message_id)
    author = table_of(click.message.get("u"))
    by_author = bot_users.get(text_of(author.get("_id"))) or bot_users.get(text_of(author.get("username")))
    connection = (ours.connection if ours else "") or by_author or ""
    if not connection or click.message.get("from_visitor") is True:
        return None
    original = click.message or (ours.message if ours else {})
    action = read_action(original.get("blocks"), click.block_id, click.action_id, click.value)
    interaction = Interaction(
        id_of(room, click.id),
        click.actor,
        (action,),
        click.message_id,
        click.trigger_id,
        original,
        text_of(original.get("tmid")),
        at_ms,
        received_at_ms,
    )
    return InteractionReceived(interaction, connection)


def id_of(room: str, reported: str) -> str:
    """Ours, the same for each report of one click."""
    return f"act-{sha256(f'{room}/{reported}'.encode()).hexdigest()[:24]}"


def without_tokens(raw: dict[str, Any]) -> dict[str, Any]:
    """The same, at any depth."""
    return {key: _clean(value) for key, value in raw.items() if key not in SECRET_KEYS}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return without_tokens(value)
    return [_clean(each) for each in value] if isinstance(value, list) else value


def _actor(data: Mapping[str, Any]) -> Actor | None:
    is_visitor = bool(table_of(data.get("visitor")))
    raw = table_of(data.get("visitor")) or table_of(data.get("user"))
    if not text_of(raw.get("_id")):
        return None
    roles = VISITOR_ROLES if is_visitor else tuple(filter(None, map(text_of, list_of(raw.get("roles")))))
    return Actor(text_of(raw["_id"]), text_of(raw.get("username")), text_of(raw.get("name")), is_visitor, roles)
