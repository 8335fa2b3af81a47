"""What a conversation knows, for tests of what a report means."""

from __future__ import annotations

from typing import Any

from omnibridge.rocketchat.derive import View


def view(**known: Any) -> View:
    """Of a room that nobody serves. The message `ours` is an echo, `seen` was told before."""
    found: dict[str, Any] = {
        "known": True,
        "closed": False,
        "served_by": None,
        "department": "",
        "bot_users": {"botId": "helper", "bot": "helper"},
        "is_ours": lambda message: message == "ours",
        "seen": lambda message: message == "seen",
    }
    return View(**{**found, **known})
