"""What somebody used -> the response object that bots get: features S3-10 to S3-25. Pure.

Its form is `response_object.schema.json` beside this file; every object that is made here validates against it.
"""

from __future__ import annotations

from typing import Any

from omnibridge.domain.interactions import Action, Actor, Interaction
from omnibridge.rocketchat.leaves import iso_of, list_of, table_of, text_of
from omnibridge.rocketchat.uikit_actions import elements_of, flat

CHANNEL_TYPES = {"c": "public", "p": "private", "d": "direct", "l": "livechat"}
"""The hub's letter for a kind of room -> the word that bots get."""


def channel_of(room: str, name: str = "", kind: str = "l") -> dict[str, str]:
    """kind: the room's `t`. Without a name its id is shown."""
    return {"id": room, "name": name or room, "type": CHANNEL_TYPES.get(kind, "private")}


def response_object(
    interaction: Interaction, channel: dict[str, str], response_url: str, at: int = 0, received_at: int = 0
) -> dict[str, Any]:
    """at, received_at: ms, where the interaction does not tell them."""
    at = interaction.at or at or interaction.received_at
    received_at = interaction.received_at or received_at or at
    blocks = interaction.original.get("blocks")
    return {
        "type": "block_actions",
        "id": interaction.id,
        "channel": channel,
        "user": _user(interaction.actor),
        "original_message": interaction.original or None,
        "trigger_id": interaction.trigger_id,
        "response_url": response_url,
        "actions": [_action(each, blocks, at) for each in interaction.actions],
        "timestamp": iso_of(at),
        "event_ts": seconds(at),
        "received_ts": seconds(received_at),
    }


def seconds(ms: int) -> str:
    """`1767225600.123000`: text, seconds and six digits."""
    return f"{ms // 1000}.{ms % 1000:03d}000"


def _user(actor: Actor) -> dict[str, Any]:
    return {"id": actor.id, "username": actor.username, "name": actor.name, "roles": list(actor.roles)}


def _action(action: Action, blocks: Any, at: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": action.kind,
        "action_id": action.action_id,
        "block_id": action.block_id,
        "action_ts": seconds(at),
    }
    element = _element(blocks, action)
    match action.kind:
        case "button":
            return {**found, "value": action.value, "text": _text(element.get("text"), action.label)}
        case "datepicker":
            return {**found, "initial_date": action.initial or None, "selected_date": action.value}
        case "form":
            return {**found, "value": action.value, "values": action.values}
        case _:
            found["selected_option"] = {"text": _text(_label(element, action.value), action.label)}
            found["selected_option"]["value"] = action.value
            if action.kind == "static_select":
                found["placeholder"] = _text(element.get("placeholder"), action.placeholder)
            return found


def _element(blocks: Any, action: Action) -> dict[str, Any]:
    """As it was shown; {} where that is not known."""
    for block in flat(blocks):
        if action.block_id in ("", text_of(block.get("blockId"))):
            for element in elements_of(block):
                if element.get("actionId") == action.action_id:
                    return element
    return {}


def _label(element: dict[str, Any], value: str) -> Any:
    options = [table_of(each) for each in list_of(element.get("options"))]
    return next((each.get("text") for each in options if each.get("value") == value), None)


def _text(shown: Any, words: str) -> dict[str, str]:
    """A text object as it was given in the message, else one of plain text."""
    kind = table_of(shown).get("type")
    return {"type": kind if kind in ("plain_text", "mrkdwn") else "plain_text", "text": words}
