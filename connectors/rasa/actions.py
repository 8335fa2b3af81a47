"""Actions that any bot may list in its domain, and the payloads to use in actions of one's own.

They say nothing to the visitor: put an utterance before them. Served by `omnibridge rasa actions`, or by
rasa-sdk's own server where this package is installed.
"""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

FIELD_SLOT = "room_field_"
"""Slots of this prefix are custom fields of the room: `room_field_ticket` is the field `ticket`."""

Events = list[dict[str, Any]]


def handover(department: str = "", reason: str = "") -> dict[str, Any]:
    """`dispatcher.utter_message(json_message=handover("Sales"))`: a person shall take over."""
    return {"type": "handover", "department": department or None, "reason": reason}


def close() -> dict[str, Any]:
    """The conversation is over."""
    return {"type": "close"}


def set_fields(**fields: object) -> dict[str, Any]:
    """Custom fields of the room, as declared in Rocket.Chat."""
    return {"type": "set_fields", "fields": fields}


class HandoverAction(Action):  # type: ignore[misc]  # rasa-sdk ships no types
    """Department from the slot `department`, reason from `handover_reason`, else the intent's name."""

    def name(self) -> str:
        return "action_omnibridge_handover"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        intent = (tracker.latest_message or {}).get("intent") or {}
        reason = tracker.slots.get("handover_reason") or intent.get("name") or ""
        dispatcher.utter_message(json_message=handover(tracker.slots.get("department") or "", reason))
        return []


class CloseAction(Action):  # type: ignore[misc]
    def name(self) -> str:
        return "action_omnibridge_close"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(json_message=close())
        return []


class SetFieldsAction(Action):  # type: ignore[misc]
    """Every slot `room_field_<name>` that is filled."""

    def name(self) -> str:
        return "action_omnibridge_set_fields"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        filled = {name: value for name, value in tracker.slots.items() if value is not None}
        fields = {n.removeprefix(FIELD_SLOT): value for n, value in filled.items() if n.startswith(FIELD_SLOT)}
        if fields:
            dispatcher.utter_message(json_message=set_fields(**fields))
        return []
