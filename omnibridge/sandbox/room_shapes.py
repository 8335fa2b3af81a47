"""Records of rooms as members and visitors see them. Source: rocketchat-api 8.2, 9."""

from __future__ import annotations

from typing import Any

from omnibridge.sandbox.channels import Channel
from omnibridge.sandbox.shapes import defined, iso, message_json, user_json
from omnibridge.sandbox.state import Room, User


def channel_json(channel: Channel) -> dict[str, Any]:
    last = channel.messages[-1] if channel.messages else None
    return defined(
        {
            "_id": channel.id,
            "t": channel.kind,
            "name": channel.name or None,
            "fname": channel.name or None,
            "usersCount": len(channel.members),
            "msgs": len(channel.messages),
            "ts": iso(channel.ts),
            "lm": iso(channel.last_ts) if last else None,
            "lastMessage": message_json(last) if last else None,
            "_updatedAt": iso(channel.last_ts or channel.ts),
        }
    )


def subscription_json(user: User, place: Room | Channel) -> dict[str, Any]:
    """A user's subscription to a room: for an agent account that he serves it."""
    is_room = isinstance(place, Room)
    name = (place.visitor.name or place.visitor.username) if isinstance(place, Room) else place.name
    return {
        "_id": f"{user.id}{place.id}",
        "rid": place.id,
        "t": "l" if isinstance(place, Room) else place.kind,
        "name": name,
        "fname": name,
        "u": {"_id": user.id, "username": user.username, "name": user.name},
        "open": place.open if isinstance(place, Room) else True,
        "alert": is_room,
        "unread": 0,
        "ts": iso(place.ts),
        "ls": iso(place.ts),
        "_updatedAt": iso(place.last_ts or place.ts),
    }


def agent_info_json(user: User | None) -> dict[str, Any] | None:
    """As a visitor sees who serves him (9.5)."""
    if user is None:
        return None
    shown = user_json(user)
    names = ("_id", "username", "name", "emails", "status", "statusLivechat", "avatarETag")
    return {key: shown[key] for key in names if key in shown}
