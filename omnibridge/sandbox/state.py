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
    bracketed: whether `error` ends in the code, as a thrown one does and an answered one (`failure(a, b)`) does not.
    """

    def __init__(
        self,
        code: str,
        reason: str = "",
        status: int = 400,
        *,
        coded: bool = True,
        bracketed: bool = True,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.code, self.reason, self.status, self.coded = code, reason or code, status, coded
        self.bracketed, self.details = bracketed, details or {}


@dataclass
class Role:
    """scope: Users or Subscriptions. protected: came with the server and cannot be deleted."""

    id: str
    name: str
    description: str = ""
    scope: str = "Users"
    protected: bool = False


@dataclass
class Rules:
    """What a workspace knows of its users as a whole; each user holds it, so that no caller must hand it around.

    permissions: name -> roles that hold it. user_fields: `Accounts_CustomFields`, decoded. idle_agents_serve:
    `Livechat_enabled_when_agent_idle`.
    """

    permissions: dict[str, frozenset[str]] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    user_fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    idle_agents_serve: bool = True


@dataclass
class Avatar:
    """etag: changes with each picture; clients put it into the query, since the answer may be cached."""

    content: bytes
    media_type: str
    uploaded_at: int
    etag: str


@dataclass
class User:
    """status: presence. status_livechat: empty for who is no agent, and for agents that were made by role alone.

    tokens: of log-ins, oldest first; personal access tokens are among them.
    """

    id: str
    username: str
    name: str
    password: str
    roles: set[str]
    status_livechat: str = ""
    open_chats: int = 0
    active: bool = True
    email: str = ""
    is_verified: bool = True
    status: str = "online"
    texts: dict[str, str] = field(default_factory=dict)  # bio, nickname, statusText
    custom_fields: dict[str, Any] = field(default_factory=dict)
    import_ids: list[str] = field(default_factory=list)
    avatar: Avatar | None = None
    created_at: int = 0
    updated_at: int = 0
    last_login: int | None = None
    must_change_password: bool = False
    totp_secret: str = ""
    has_email_codes: bool = False
    max_chats: int = 0
    number: int = 0  # order of making
    tokens: list[str] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules, repr=False, compare=False)

    @property
    def is_agent(self) -> bool:
        return "livechat-agent" in self.roles

    @property
    def is_bot_agent(self) -> bool:
        return {"bot", "livechat-agent"} <= self.roles

    @property
    def is_available(self) -> bool:
        """Presence is not looked at unless `Livechat_enabled_when_agent_idle` is off; it is on by default (7.2)."""
        if not (self.active and self.is_agent and self.status_livechat == "available"):
            return False
        is_present = self.status != "away" and (self.status != "offline" or "bot" in self.roles)
        return self.rules.idle_agents_serve or is_present

    def fields_marked(self, mark: str) -> dict[str, Any]:
        """Custom fields whose declaration says `public` or `sendToIntegrations`."""
        declared = self.rules.user_fields
        return {key: value for key, value in self.custom_fields.items() if declared.get(key, {}).get(mark) is True}


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
    """inquiry_status: queued, ready, taken; empty once the room is closed. log: what befell the room, in order.

    source: `source.type` (9.2).
    """

    id: str
    visitor: Visitor
    ts: int
    inquiry_id: str
    department: str = ""
    source: str = "api"
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
    """agents: user ids. ranks: user id -> (count, order), where they were given."""

    id: str
    name: str
    agents: set[str] = field(default_factory=set)
    ranks: dict[str, tuple[int, int]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def new_id(length: int = 17) -> str:
    """As Rocket.Chat's own: 17 characters."""
    return secrets.token_urlsafe(length)[:length].replace("-", "x").replace("_", "y")


def now_ms() -> int:
    return time.time_ns() // 1_000_000
