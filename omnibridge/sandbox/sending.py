"""A message of a user, whether it comes over REST or DDP. Source: rocketchat-api 5."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from omnibridge.sandbox.channels import Channel
from omnibridge.sandbox.http import maybe, need
from omnibridge.sandbox.hub import MAX_MESSAGE, SimulatedHub
from omnibridge.sandbox.permissions import may, may_see
from omnibridge.sandbox.state import HubError, Message, Room, User, now_ms

KEPT = ("tmid", "tshow", "alias", "emoji", "avatar", "attachments", "blocks", "groupable", "bot")
"""What a message keeps of the keys a sender may give, besides `_id`, `rid` and `msg` (5.1)."""


async def send_message(hub: SimulatedHub, user: User, message: dict[str, Any]) -> Message | None:
    """None for an `_id` that is known: nothing is stored then (5.3). Raises HubError."""
    if message.get("t"):
        raise HubError("Cannot send system messages using 'chat.sendMessage'", coded=False)
    if ("alias" in message or "avatar" in message) and not may(user, "message-impersonate"):
        raise HubError("Not enough permission", coded=False)
    if message.get("customFields"):
        raise HubError("Custom fields not enabled", coded=False)
    _check_ts(message.get("ts"))
    rid = need(message, "rid", str)
    place = hub.channels.by_id.get(rid) or hub.room(rid)
    if not (hub.channels.may_see(user, place) if isinstance(place, Channel) else may_see(user, place)):
        raise HubError("error-not-allowed", "Not allowed")
    message_id = maybe(message, "_id", "")
    if message_id in hub.messages:
        return None
    kept = {key: message[key] for key in KEPT if message.get(key) is not None}
    return await say(hub, place, user, maybe(message, "msg", ""), message_id, **kept)


async def say(
    hub: SimulatedHub, place: Room | Channel, user: User, text: str, message_id: str = "", **extras: Any
) -> Message:
    """Into a conversation or a channel. Raises HubError."""
    if isinstance(place, Room):
        return await hub.say_as_user(place, user, text, message_id, **extras)
    if len(text) > MAX_MESSAGE:
        raise HubError("error-message-size-exceeded", "Message size exceeds Message_MaxAllowedSize")
    return hub.channels.say(place, user, text, message_id, **extras)


def _check_ts(given: Any) -> None:
    """A client's time is replaced within 60 s of the server's and refused beyond (5.1); kept ones are not modelled."""
    if given is None:
        return
    at = given.get("$date", 0) if isinstance(given, dict) else ms_of(str(given))
    if abs(at - now_ms()) > 60_000:
        raise HubError("error-message-ts-out-of-sync", "Message timestamp is out of sync")


def ms_of(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError as exc:
        raise HubError("error-lastUpdate-param-invalid", "Not a valid date") from exc
