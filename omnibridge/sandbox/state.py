"""What the simulated hub knows: plain records, changed only by `hub.py` and `lifecycle.py`."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


class HubError(Exception):
    """An answer that is no success.

    code: `errorType`, unless not `coded`: then it is the whole text of `error`, as a plain `Error` gives it.
    """

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
    active: bool = True
    status: str = "online"

    @property
    def is_agent(self) -> bool:
        return "livechat-agent" in self.roles

    @property
    def is_bot_agent(self) -> bool:
        return {"bot", "livechat-agent"} <= self.roles

    @property
    def is_available(self) -> bool:
        """Presence is not looked at: `Livechat_enabled_when_agent_idle` is true by default (7.2)."""
        return self.active and self.is_agent and self.status_livechat == "available"


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
    room: Room | None = None  # the open one


@dataclass(slots=True)
class Message:
    """seq: order of storing over the whole hub. kind: visitor, agent, bot, system. via: who stored it.

    extras: what the sender gave besides the text (alias, avatar, emoji, attachments, blocks, ...).
    """

    id: str
    rid: str
    text: str
    ts: int
    seq: int
    author: User | Visitor
    kind: str
    via: str
    system_type: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    edited_at: int | None = None

    @property
    def attachments(self) -> list[Any]:
        return list(self.extras.get("attachments") or [])


@dataclass
class Room:
    """inquiry_status: queued, ready, taken; empty once the room is closed. log: what befell the room, in order."""

    id: str
    visitor: Visitor
    ts: int
    inquiry_id: str
    department: str = ""
    inquiry_status: str = "queued"
    open: bool = True
    served_by: User | None = None
    served_at: int = 0
    queued_at: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    crm_data: str | None = None
    closed_at: int | None = None
    closer: str = ""
    closed_by: User | Visitor | None = None
    messages: list[Message] = field(default_factory=list)
    deleted: list[tuple[str, int]] = field(default_factory=list)  # message id and when
    counts: Counter[str] = field(default_factory=Counter)
    last_ts: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_waiting(self) -> bool:
        return self.open and self.inquiry_status in ("queued", "ready")


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
