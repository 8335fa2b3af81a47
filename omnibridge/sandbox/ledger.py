"""The hub's own truth, as tests read it: what was stored, what befell the rooms, what was sent."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.state import Message, Room, User


def ledger(hub: SimulatedHub, rid: str | None = None) -> dict[str, Any]:
    """Everything, or one room's part of it; the counters are always those of the whole hub."""
    sender = hub.sender
    return {
        "rooms": [room_entry(each) for each in hub.rooms.values() if rid in (None, each.id)],
        "webhooks": [each for each in sender.log if rid in (None, each["rid"])],
        "duplicates_sent": sender.duplicates_sent,
        "reordered_sent": sender.reordered_sent,
        "dropped": sender.dropped,
        "pending": sender.unsettled,
        "save_ms": hub.save_ms,
        "rest_calls": dict(hub.rest_calls),
        "accounts": hub.accounts.audit,
        "mails": hub.mails,
        "files": [each.entry() for each in hub.files.by_id.values() if rid in (None, each.rid)],
        "downloads": list(hub.files.downloads),
    }


def workspace(hub: SimulatedHub, settings: dict[str, Any]) -> dict[str, Any]:
    """What a set-up changes and an undo restores, without what changes by itself: two of these can be compared."""
    return {
        "users": {each.username: user_entry(hub, each) for each in hub.users.values()},
        "roles": sorted(each.name for each in hub.rules.roles.values()),
        "permissions": {name: sorted(roles) for name, roles in sorted(hub.rules.permissions.items())},
        "settings": settings,
        "custom_fields": hub.custom_fields,
        "departments": {
            each.name: sorted(hub.users[user_id].username for user_id in each.agents)
            for each in hub.departments.values()
        },
    }


def user_entry(hub: SimulatedHub, user: User) -> dict[str, Any]:
    """tokens: names of the personal ones. avatar: its etag, and what it looks like."""
    personal = hub.accounts.access_tokens.values()
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "roles": sorted(user.roles),
        "active": user.active,
        "status_livechat": user.status_livechat,
        "custom_fields": user.custom_fields,
        "import_ids": user.import_ids,
        "avatar": user.avatar.etag if user.avatar else "",
        "avatar_sha256": sha256(user.avatar.content).hexdigest() if user.avatar else "",
        "tokens": sorted(each.name for each in personal if each.user is user),
    }


def room_entry(room: Room) -> dict[str, Any]:
    return {
        "rid": room.id,
        "open": room.open,
        "visitor": room.visitor.username,
        "token": room.visitor.token,
        "department": room.department,
        "inquiry": room.inquiry_status,
        "served_by": room.served_by.username if room.served_by else None,
        "log": room.log,
        "messages": [message_entry(each) for each in room.messages],
    }


def message_entry(message: Message) -> dict[str, Any]:
    """kind is the author's: visitor, agent, bot, system. t: system type, empty on normal messages."""
    entry: dict[str, Any] = {
        "id": message.id,
        "text": message.text,
        "ts": message.ts,
        "seq": message.seq,
        "author": message.author.username,
        "kind": message.kind,
        "t": message.system_type,
        "via": message.via,
        "attachments": message.attachments,
    }
    if message.edited_at is not None:
        entry["edited_at"] = message.edited_at
    return entry
