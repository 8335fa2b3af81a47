"""What the simulated hub knows: plain records, and how they look in JSON. Source: rocketchat-api 9."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


class HubError(Exception):
    """An answer that is no success. code: `errorType`; text: `error` when there is no code."""

    def __init__(self, code: str, reason: str = "", status: int = 400, *, coded: bool = True) -> None:
        super().__init__(code)
        self.code, self.reason, self.status, self.coded = code, reason or code, status, coded


@dataclass
class User:
    id: str
    username: str
    name: str
    password: str
    roles: set[str]
    status_livechat: str = "available"
    open_chats: int = 0
    tokens: set[str] = field(default_factory=set)

    @property
    def is_bot_agent(self) -> bool:
        return {"bot", "livechat-agent"} <= self.roles

    @property
    def is_available(self) -> bool:
        return "livechat-agent" in self.roles and self.status_livechat == "available"

    @property
    def sees_all_rooms(self) -> bool:
        return bool(self.roles & {"livechat-manager", "admin"})


@dataclass
class Visitor:
    id: str
    token: str
    username: str
    name: str = ""
    email: str = ""
    phone: str = ""
    department: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Message:
    """seq: order of storing over the whole hub. kind: visitor, agent, bot, system."""

    id: str
    rid: str
    text: str
    ts: int
    seq: int
    author_id: str
    author_username: str
    author_name: str
    kind: str
    system_type: str = ""
    attachments: list[Any] = field(default_factory=list)
    edited_at: int | None = None


@dataclass
class Room:
    id: str
    visitor: Visitor
    ts: int
    department: str = ""
    open: bool = True
    served_by: User | None = None
    served_at: int = 0
    inquiry_id: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    crm_data: str | None = None
    closed_at: int | None = None
    closer: str = ""
    closed_by: str = ""
    messages: list[Message] = field(default_factory=list)
    last_ts: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Department:
    id: str
    name: str
    agents: set[str] = field(default_factory=set)


def new_id(length: int = 17) -> str:
    """As Rocket.Chat's own: 17 characters."""
    return secrets.token_urlsafe(length)[:length].replace("-", "x").replace("_", "y")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def room_json(room: Room) -> dict[str, Any]:
    """A room as REST shows it (9.2)."""
    served = room.served_by
    shown = {
        "_id": room.id,
        "t": "l",
        "fname": room.visitor.name or room.visitor.username,
        "ts": iso(room.ts),
        "lm": iso(room.last_ts),
        "msgs": len(room.messages),
        "open": True if room.open else None,
        "v": {"_id": room.visitor.id, "username": room.visitor.username, "token": room.visitor.token},
        "source": {"type": "api"},
        "departmentId": room.department or None,
        "servedBy": {"_id": served.id, "username": served.username, "ts": iso(room.served_at)} if served else None,
        "livechatData": room.fields or None,
        "tags": room.tags or None,
        "crmData": room.crm_data,
        "closedAt": iso(room.closed_at),
        "closer": room.closer or None,
        "closedBy": {"_id": room.closed_by, "username": room.closed_by} if room.closed_by else None,
    }
    return {key: value for key, value in shown.items() if value is not None}


def message_json(message: Message) -> dict[str, Any]:
    """A message as REST shows it (9.1)."""
    shown: dict[str, Any] = {
        "_id": message.id,
        "rid": message.rid,
        "msg": message.text,
        "ts": iso(message.ts),
        "u": {"_id": message.author_id, "username": message.author_username, "name": message.author_name},
        "_updatedAt": iso(message.edited_at or message.ts),
    }
    if message.system_type:
        shown["t"] = message.system_type
    if message.attachments:
        shown["attachments"] = message.attachments
    if message.edited_at is not None:
        shown["editedAt"] = iso(message.edited_at)
    return shown


def visitor_json(visitor: Visitor) -> dict[str, Any]:
    """A visitor as REST shows it (9.4)."""
    shown: dict[str, Any] = {
        "_id": visitor.id,
        "username": visitor.username,
        "token": visitor.token,
        "name": visitor.name,
        "visitorEmails": [{"address": visitor.email}] if visitor.email else None,
        "phone": [{"phoneNumber": visitor.phone}] if visitor.phone else None,
        "department": visitor.department or None,
        "livechatData": visitor.fields or None,
    }
    return {key: value for key, value in shown.items() if value is not None}
