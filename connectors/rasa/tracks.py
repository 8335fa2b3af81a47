"""What a tracker's events tell about a turn. Pure.

Rasa saves a tracker only at the end of a turn, so a recorded message whose turn has no end yet is still
being worked on. Events that it starts itself (reminders, triggered intents) are no turns of ours.
"""

from __future__ import annotations

from typing import Any

from omnibridge.connector import DeliveryRetryable

MARK = "omnibridge_turn"
"""Key of an event's metadata that holds the delivery id of the turn that comes next: the callback channel drops
the metadata of messages."""

_ENDS_TURN = frozenset({"action_listen"})


def find_turn(events: list[Any], delivery_id: str) -> tuple[dict[str, Any], list[Any]] | None:
    """The message that carries this delivery id, and what followed up to the next message; None = not there.

    Raises DeliveryRetryable while Rasa is still working on it.
    """
    ours = next((at for at, each in enumerate(events) if _carries(each, delivery_id)), None)
    if ours is None:
        return None
    following: list[Any] = []
    for each in events[ours + 1 :]:
        if isinstance(each, dict) and each.get("event") == "user":
            break
        following.append(each)
    if not any(isinstance(each, dict) and each.get("name") in _ENDS_TURN for each in following):
        raise DeliveryRetryable("Rasa is still working on it", code="turn-running")
    return events[ours], following


def was_accepted(events: list[Any], delivery_id: str) -> bool:
    """Whether a message followed the mark of this delivery, before any other mark."""
    current = None
    for each in events:
        if not isinstance(each, dict):
            continue
        metadata = each.get("metadata")
        if each.get("event") == "cancel_reminder" and isinstance(metadata, dict) and MARK in metadata:
            current = metadata[MARK]
        elif each.get("event") == "user" and current == delivery_id and not _is_external(each):
            return True
    return False


def _carries(event: Any, delivery_id: str) -> bool:
    metadata = event.get("metadata") if isinstance(event, dict) and event.get("event") == "user" else None
    return isinstance(metadata, dict) and metadata.get("delivery_id") == delivery_id


def _is_external(event: dict[str, Any]) -> bool:
    metadata = event.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("is_external"))
