"""Webhook bodies, field by field as the hub makes them. Source: rocketchat-api 2.2-2.4."""

from __future__ import annotations

from typing import Any

from omnibridge.sandbox.state import Message, Room, User, iso


def event_body(kind: str, room: Room, messages: list[Message], **extra: Any) -> dict[str, Any]:
    """All types but the offline message. Undefined values are left out, as JSON does."""
    visitor = room.visitor
    shown_visitor = {
        "_id": visitor.id,
        "token": visitor.token,
        "name": visitor.name,
        "username": visitor.username,
        "department": visitor.department or None,
        "ip": "127.0.0.1",
        "os": "Linux",
        "browser": "Sandbox",
        "customFields": visitor.fields or None,
        "email": [{"address": visitor.email}] if visitor.email else None,
        "phone": [{"phoneNumber": visitor.phone}] if visitor.phone else None,
    }
    body = {
        "_id": room.id,
        "type": kind,
        "label": visitor.name or visitor.username,
        "createdAt": iso(room.ts),
        "lastMessageAt": iso(room.last_ts) if room.messages else None,
        "tags": room.tags or None,
        "customFields": room.fields or None,
        "visitor": _defined(shown_visitor),
        "agent": agent_json(room.served_by),
        "crmData": room.crm_data,
        **extra,
        "messages": [message_body(each, room) for each in messages],
    }
    return _defined(body)


def message_body(message: Message, room: Room) -> dict[str, Any]:
    """One entry of `messages`; `agentId` only when the author is not the visitor."""
    file = next((each for each in message.attachments if isinstance(each, dict) and each.get("title_link")), None)
    is_visitor = message.author_username == room.visitor.username
    return _defined(
        {
            "u": {"_id": message.author_id, "username": message.author_username, "name": message.author_name},
            "_id": message.id,
            "username": message.author_username,
            "msg": message.text,
            "ts": iso(message.ts),
            "rid": message.rid,
            "editedAt": iso(message.edited_at),
            "agentId": None if is_visitor else message.author_id,
            "closingMessage": True if message.system_type == "livechat-close" else None,
            "file": {"_id": "f", "name": file.get("title", "file"), "type": "text/plain"} if file else None,
            "_updatedAt": iso(message.edited_at or message.ts),
        }
    )


def agent_json(user: User | None) -> dict[str, Any] | None:
    if user is None:
        return None
    return {"_id": user.id, "username": user.username, "name": user.name, "email": f"{user.username}@example.test"}


def offline_body(name: str, email: str, message: str, at: int) -> dict[str, Any]:
    return {
        "type": "LivechatOfflineMessage",
        "sentAt": iso(at),
        "visitor": {"name": name, "email": email},
        "message": message,
    }


def _defined(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}
