"""Rocket.Chat livechat webhook body -> WebhookReading. Lenient: a leaf of a wrong type is left out.

Source: rocketchat-api section 2 (`sendToCRM.ts`, `webhooks.ts`), 6.14, 7.7 and 8.3. `webhook.test` sends
e-mail and phone as plain strings, real events as lists; both are read. Histories of session events stay
undecoded: only the one message of a `Message` event is looked at.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.leaves import ms_of, table_of, text_of

ACTED_ON = frozenset(
    {
        "LivechatSessionStart",
        "LivechatSessionQueued",
        "LivechatSessionTaken",
        "LivechatSessionForwarded",
        "LivechatSession",
        "LivechatOfflineMessage",
        "Message",
    }
)
"""Event types that lead to events of ours; LivechatEdit, LeadCapture and unknown ones are recorded only."""


class WebhookMessage(msgspec.Struct, frozen=True):
    """One message of a webhook. Times in ms; edited_at_ms None = not an edit."""

    id: str
    text: str
    ts_ms: int
    author_id: str
    author_username: str
    from_visitor: bool
    edited_at_ms: int | None = None
    closing: bool = False
    file_name: str = ""
    has_file: bool = False


class Visitor(msgspec.Struct, frozen=True):
    id: str = ""
    username: str = ""
    name: str = ""
    email: str = ""
    department: str = ""
    fields: dict[str, Any] = {}


class WebhookReading(msgspec.Struct, frozen=True):
    """What a webhook says. problem: why it could not be read, empty when it could."""

    kind: str
    room: str
    visitor: Visitor = Visitor()
    department: str = ""
    room_fields: dict[str, Any] = {}
    agent: UserRef | None = None
    old_agent: UserRef | None = None
    old_department: str = ""
    created_at_ms: int = 0
    closed_at_ms: int = 0
    closer: str = ""
    closed_by: str = ""
    messages: tuple[WebhookMessage, ...] = ()
    offline_text: str = ""
    problem: str = ""

    @property
    def acted_on(self) -> bool:
        return self.kind in ACTED_ON


class _Peek(msgspec.Struct):
    type: Any = ""
    id: Any = msgspec.field(default="", name="_id")


class _Body(_Peek):
    createdAt: Any = None
    visitor: Any = None
    agent: Any = None
    servedBy: Any = None
    oldServedBy: Any = None
    departmentId: Any = None
    oldDepartmentId: Any = None
    customFields: Any = None
    closedAt: Any = None
    closedBy: Any = None
    closer: Any = None
    message: Any = None
    messages: msgspec.Raw = msgspec.Raw(b"[]")


_peek = msgspec.json.Decoder(_Peek)
_body = msgspec.json.Decoder(_Body)
_list = msgspec.json.Decoder(list[Any])


def peek(body: bytes) -> tuple[str, str]:
    """(type, room id) of a body, empty strings where there is none. Raises nothing."""
    try:
        found = _peek.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    return text_of(found.type)[:64], text_of(found.id)[:64]


def check_depth(body: bytes, limit: int = 64) -> bool:
    """Whether brackets nest at most `limit` deep; brackets inside strings do not count."""
    if body.count(b"{") + body.count(b"[") <= limit:
        return True
    depth, in_string, escaped = 0, False, False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x7B, 0x5B):
            depth += 1
            if depth > limit:
                return False
        elif byte in (0x7D, 0x5D):
            depth -= 1
    return True


def read_webhook(body: bytes) -> WebhookReading:
    """Read a body. A JSON object that makes no sense gives a reading with `problem` set. Raises nothing."""
    try:
        raw = _body.decode(body)
        kind = text_of(raw.type)
        if kind == "LivechatOfflineMessage":
            return _offline(raw)
        messages = _list.decode(raw.messages) if kind == "Message" else []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        return WebhookReading("", "", problem=f"not readable: {exc}")
    room = text_of(raw.id)
    if kind in ACTED_ON and not room:
        return WebhookReading(kind, "", problem="no room id at _id")
    visitor = _visitor(table_of(raw.visitor))
    closed_by = table_of(raw.closedBy)
    return WebhookReading(
        kind=kind,
        room=room,
        visitor=visitor,
        department=text_of(raw.departmentId) or visitor.department,
        room_fields=table_of(raw.customFields),
        agent=_user(raw.agent) or (_user(raw.servedBy) if kind != "Message" else None),
        old_agent=_user(raw.oldServedBy),
        old_department=text_of(raw.oldDepartmentId),
        created_at_ms=ms_of(raw.createdAt),
        closed_at_ms=ms_of(raw.closedAt),
        closer=text_of(raw.closer),
        closed_by=text_of(closed_by.get("username")),
        messages=tuple(_message(each, visitor) for each in messages if isinstance(each, dict)),
    )


def _offline(raw: _Body) -> WebhookReading:
    visitor = table_of(raw.visitor)
    who = Visitor(name=text_of(visitor.get("name")), email=text_of(visitor.get("email")))
    return WebhookReading("LivechatOfflineMessage", "", who, offline_text=text_of(raw.message))


def _visitor(raw: dict[str, Any]) -> Visitor:
    return Visitor(
        id=text_of(raw.get("_id")),
        username=text_of(raw.get("username")),
        name=text_of(raw.get("name")),
        email=_first(raw.get("email"), "address"),
        department=text_of(raw.get("department")),
        fields=table_of(raw.get("customFields")),
    )


def _message(raw: dict[str, Any], visitor: Visitor) -> WebhookMessage:
    author = table_of(raw.get("u"))
    author_id = text_of(author.get("_id"))
    username = text_of(author.get("username")) or text_of(raw.get("username"))
    is_visitors_name = username == visitor.username if username and visitor.username else author_id == visitor.id
    file = table_of(raw.get("file"))
    edited = raw.get("editedAt")
    return WebhookMessage(
        id=text_of(raw.get("_id")),
        text=text_of(raw.get("msg")),
        ts_ms=ms_of(raw.get("ts")),
        author_id=author_id,
        author_username=username,
        # agentId is present when the author's user name differs from the visitor's (2.3).
        from_visitor=not raw.get("agentId") and is_visitors_name,
        edited_at_ms=ms_of(edited) if edited else None,
        closing=raw.get("closingMessage") is True,
        file_name=text_of(file.get("name")),
        has_file=bool(file) or bool(raw.get("fileUpload")),
    )


def _user(raw: Any) -> UserRef | None:
    found = table_of(raw)
    identity = text_of(found.get("_id"))
    return UserRef(identity, text_of(found.get("username")), text_of(found.get("name"))) if identity else None


def _first(raw: Any, key: str) -> str:
    if isinstance(raw, list):
        return text_of(table_of(raw[0]).get(key)) if raw else ""
    return text_of(raw)
