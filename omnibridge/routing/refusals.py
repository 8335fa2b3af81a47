"""What a hub means when it refuses to give a room to an agent: its error codes by class. Source: rocketchat-api 4.2.

Codes that are not here are `refused`: the next step is tried all the same.
"""

from __future__ import annotations

from typing import Literal

Refusal = Literal["offline", "not in department", "taken", "limit", "locked", "on hold", "closed", "refused"]

_CLASSES: dict[str, Refusal] = {
    "error-user-is-offline": "offline",
    "error-agent-status-service-offline": "offline",
    "error-no-agents-available-for-service-on-department": "offline",
    "no-agent-online": "offline",
    "error-user-not-belong-to-department": "not in department",
    "error-inquiry-taken": "taken",
    "error-not-found": "taken",
    "error-invalid-inquiry": "taken",
    "served-by-another": "taken",
    "error-max-number-simultaneous-chats-reached": "limit",
    "error-mac-limit-reached": "limit",
    "error-agent-is-locked": "locked",
    "error-room-onHold": "on hold",
    "This_conversation_is_already_closed": "closed",
    "error-room-already-closed": "closed",
    "room-closed": "closed",
}


def refusal_of(code: str) -> Refusal:
    """The class of an error code."""
    return _CLASSES.get(code, "refused")
