"""The hub's own truth, as tests read it: what was stored, what befell the rooms, what was sent."""

from __future__ import annotations

from typing import Any

from omnibridge.sandbox.hub import SimulatedHub
from omnibridge.sandbox.state import Message, Room


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
