"""Webhook bodies, field by field as the hub makes them. Source: rocketchat-api 2.2-2.4."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.sandbox.shapes import defined, iso
from omnibridge.sandbox.state import Message, Room, User, now_ms

SITE = "http://hub.invalid"
"""`Site_Url` as the hub writes it into addresses of files: not where anybody reaches it, as behind some proxies."""


def event_body(kind: str, room: Room, messages: list[Message], **extra: Any) -> dict[str, Any]:
    """All types but the offline message. Undefined values are left out."""
    visitor = room.visitor
    shown_visitor = {
        "_id": visitor.id,
        "token": visitor.token,
        "name": visitor.name or None,
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
        "visitor": defined(shown_visitor),
        "agent": _agent_with_fields(room.served_by),
        "crmData": room.crm_data,
        **extra,
        "messages": [message_body(each, room) for each in messages],
    }
    return defined(body)


def message_body(message: Message, room: Room) -> dict[str, Any]:
    """One entry of `messages`; `agentId` only when the author is not the visitor. No alias, token or `t`."""
    file = message.extras.get("file")
    shown: dict[str, Any] = next(iter(message.extras.get("files") or []), {})
    path = next((each.get("title_link") for each in message.attachments if isinstance(each, dict)), "")
    author, blocks = message.author, message.extras.get("blocks")
    is_visitor = author.username == room.visitor.username
    return defined(
        {
            "u": {"_id": author.id, "username": author.username, "name": author.name},
            "_id": message.id,
            "username": author.username,
            "msg": message.text or (msgspec.json.encode(blocks).decode() if blocks else ""),
            "ts": iso(message.ts),
            "rid": message.rid,
            "blocks": blocks,
            "editedAt": iso(message.edited_at),
            "agentId": None if is_visitor else author.id,
            "closingMessage": True if message.system_type == "livechat-close" else None,
            # Attachments of messages without a file are not sent.
            "file": file,
            "fileUpload": {"publicFilePath": f"{SITE}{path}", "type": file["type"], "size": shown.get("size")}
            if file
            else None,
            "attachments": message.attachments if file else None,
            "_updatedAt": iso(message.edited_at or message.ts),
        }
    )


def agent_body(user: User | None) -> dict[str, Any] | None:
    if user is None:
        return None
    return {"_id": user.id, "username": user.username, "name": user.name, "email": user.email}


def _agent_with_fields(user: User | None) -> dict[str, Any] | None:
    """`customFields` has only what is declared with `sendToIntegrations` (2.3)."""
    body = agent_body(user)
    fields = user.fields_marked("sendToIntegrations") if user else {}
    return {**body, "customFields": fields} if body and fields else body


def offline_body(name: str, email: str, message: str, at: int) -> dict[str, Any]:
    """`visitor.email` is a string here (2.4)."""
    return {
        "type": "LivechatOfflineMessage",
        "sentAt": iso(at),
        "visitor": {"name": name, "email": email},
        "message": message,
    }


def sample_body() -> dict[str, Any]:
    """What `webhook.test` posts: e-mail and phone are plain strings, the address is no address, the visitor has no
    id, the messages neither. The same ids each time (2.1; read in `api/v1/webhooks.ts`)."""
    now = iso(now_ms())
    agent = {"_id": "asdf89as6df8", "username": "agent.username", "name": "Agent Name", "email": "agent@example.test"}
    visitor = {
        "_id": "",
        "name": "visitor name",
        "username": "visitor-username",
        "department": "department",
        "email": "visitor@example.test",
        "phone": "192873192873",
        "ip": "123.456.7.89",
        "browser": "Chrome",
        "os": "Linux",
        "customFields": {"customerId": "123456"},
    }
    return {
        "type": "LivechatSession",
        "_id": "fasd6f5a4sd6f8a4sdf",
        "label": "title",
        "topic": "asiodojf",
        "createdAt": now,
        "lastMessageAt": now,
        "tags": ["tag1", "tag2", "tag3"],
        "customFields": {"productId": "123456"},
        "visitor": visitor,
        "agent": agent,
        "messages": [
            {"username": "visitor-username", "msg": "message content", "ts": now},
            {"username": "agent.username", "agentId": agent["_id"], "msg": "message content from agent", "ts": now},
        ],
    }
