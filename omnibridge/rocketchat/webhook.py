"""Rocket.Chat livechat webhook body -> WebhookReading. Lenient: a leaf of a wrong type is left out.

Source: rocketchat-api section 2 (`sendToCRM.ts`, `webhooks.ts`), 6.14, 7.7 and 8.3. The sample of `webhook.test`
(also of the button "Send Test") is told from a real end of a conversation, and nothing follows from it.
Histories of session events stay undecoded: only the one message of a `Message` event is looked at;
`read_history` is for who needs more.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.domain.files import FileRef
from omnibridge.rocketchat.files import caption_of, files_of, has_file
from omnibridge.rocketchat.leaves import list_of, ms_of, table_of, text_of, user_of

T = TypeVar("T")

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

TEST = "webhook.test"
"""Kind of a reading that is the sample: made up by the hub, of a conversation that does not exist."""

RECORDED_ONLY = {
    "LivechatEdit": "LivechatEdit: a closed room was edited",
    "LeadCapture": "LeadCapture: the message itself comes as Message",
    TEST: "webhook test",
}


class WebhookMessage(msgspec.Struct, frozen=True):
    """One message of a webhook. Times in ms, 0 = unreadable; edited_at_ms None = not an edit.

    from_visitor: the hub names no agent and the author is the visitor of the room. has_blocks: then an empty
    text was sent as the JSON of the blocks (2.3), which is left out here.
    """

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
    file_url: str = ""
    file_type: str = ""
    has_blocks: bool = False
    files: tuple[FileRef, ...] = ()


MOST_TAGS = 20


class Visitor(msgspec.Struct, frozen=True):
    """Who writes in; name, e-mail and fields are the visitor's own claims."""

    id: str = ""
    username: str = ""
    name: str = ""
    email: str = ""
    department: str = ""
    fields: dict[str, Any] = {}


class WebhookReading(msgspec.Struct, frozen=True):
    """What a webhook says. problem: why it could not be read, empty when it could.

    agent: who serves as reported. department: the room's; in a `Message`, which does not tell it, the visitor's.
    messages: of a `Message` event only. offline_at_ms: when the offline form was sent.
    """

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
    offline_at_ms: int = 0
    tags: tuple[str, ...] = ()

    @property
    def acted_on(self) -> bool:
        """False for what is recorded only."""
        return self.kind in ACTED_ON

    @property
    def note(self) -> str:
        """Why nothing follows from it; empty when something may."""
        return "" if self.acted_on else RECORDED_ONLY.get(self.kind, "a type that we do not know")


class _Peek(msgspec.Struct):
    type: Any = ""
    id: Any = msgspec.field(default="", name="_id")


class _Body(_Peek):
    createdAt: Any = None
    sentAt: Any = None
    visitor: Any = None
    agent: Any = None
    servedBy: Any = None
    oldServedBy: Any = None
    departmentId: Any = None
    oldDepartmentId: Any = None
    customFields: Any = None
    tags: Any = None
    closedAt: Any = None
    closedBy: Any = None
    closer: Any = None
    message: Any = None
    messages: msgspec.Raw = msgspec.Raw(b"[]")


_peek = msgspec.json.Decoder(_Peek)
_body = msgspec.json.Decoder(_Body)
_any = msgspec.json.Decoder(Any)
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


def peek(body: bytes) -> tuple[str, str]:
    """(type, room id) of a body, empty strings where there is none. Raises nothing."""
    try:
        found = _decode(_peek, body)
    except _UNREADABLE:
        return "", ""
    return text_of(found.type)[:64], text_of(found.id)[:64]


def peek_strictly(body: bytes) -> tuple[str, str]:
    """`peek` of what must be one JSON object; all of it is checked. Raises msgspec.DecodeError, UnicodeDecodeError."""
    found = _peek.decode(body)
    return text_of(found.type)[:64], text_of(found.id)[:64]


def check_depth(body: bytes, limit: int = 64) -> bool:
    """Whether brackets nest at most `limit` deep; brackets inside strings do not count. Linear in the body."""
    if body.count(b"{") + body.count(b"[") <= limit:
        return True
    # First drop, at the speed of C, what decides nothing: escapes, all but quotes and brackets, quotes in pairs.
    marks = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, delete=_NO_MARKS).replace(b'""', b"")
    depth, is_outside = 0, True
    for byte in marks:
        if byte == 0x22:
            is_outside = not is_outside
        elif is_outside:
            depth += 1 if byte in b"{[" else -1
            if depth > limit:
                return False
    return True


_NO_MARKS = bytes(byte for byte in range(256) if byte not in b'{[}]"')


def read_webhook(body: bytes) -> WebhookReading:
    """Read a body. A JSON object that makes no sense gives a reading with `problem` set. Raises nothing."""
    try:
        raw = _decode(_body, body)
        kind, room = text_of(raw.type), text_of(raw.id)
        if kind == "LivechatOfflineMessage":
            return _offline(raw)
        messages = list_of(_decode(_any, raw.messages)) if kind == "Message" else []
    except _UNREADABLE as exc:
        kind, room = peek(body)
        return WebhookReading(kind, room, problem=f"not readable: {exc}")
    if kind in ACTED_ON and not room:
        return WebhookReading(kind, "", problem="no room id at _id")
    if kind == "LivechatSession" and _is_sample(raw):
        return WebhookReading(TEST, room)
    visitor = _visitor(table_of(raw.visitor))
    read = tuple(_message(each, visitor) for each in messages if isinstance(each, dict))
    if kind == "Message" and not (read and all(each.id for each in read)):
        return WebhookReading(kind, room, visitor, problem="no message with an _id in messages")
    closed_by = table_of(raw.closedBy)
    return WebhookReading(
        kind=kind,
        room=room,
        visitor=visitor,
        department=text_of(raw.departmentId) or (visitor.department if kind == "Message" else ""),
        room_fields=table_of(raw.customFields),
        tags=tuple(each for each in list_of(raw.tags)[:MOST_TAGS] if isinstance(each, str) and each),
        agent=user_of(raw.agent) or (user_of(raw.servedBy) if kind != "Message" else None),
        old_agent=user_of(raw.oldServedBy),
        old_department=text_of(raw.oldDepartmentId),
        created_at_ms=ms_of(raw.createdAt),
        closed_at_ms=ms_of(raw.closedAt),
        closer=text_of(raw.closer),
        closed_by=text_of(closed_by.get("username")),
        messages=read,
    )


def read_history(body: bytes) -> tuple[WebhookMessage, ...]:
    """All messages that a body carries, whatever its type; those without an id are left out. Raises nothing."""
    try:
        raw = _decode(_body, body)
        messages = list_of(_decode(_any, raw.messages))
    except _UNREADABLE:
        return ()
    visitor = _visitor(table_of(raw.visitor))
    read = (_message(each, visitor) for each in messages if isinstance(each, dict))
    return tuple(each for each in read if each.id)


def _decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Decode; JSON that only msgspec refuses (half of an emoji, cut by a client) is repaired first.

    Raises one of _UNREADABLE.
    """
    try:
        return decoder.decode(body)
    except _UNREADABLE:
        as_text = json.dumps(json.loads(bytes(body)), ensure_ascii=False)
        whole = as_text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return decoder.decode(whole.encode())


def _offline(raw: _Body) -> WebhookReading:
    visitor = table_of(raw.visitor)
    who = Visitor(name=text_of(visitor.get("name")), email=_first(visitor.get("email"), "address"))
    return WebhookReading(
        "LivechatOfflineMessage", "", who, offline_text=text_of(raw.message), offline_at_ms=ms_of(raw.sentAt)
    )


def _is_sample(raw: _Body) -> bool:
    """E-mail and phone of the sample are plain strings, those of real events lists; a real end has a time (2.1)."""
    visitor = table_of(raw.visitor)
    return isinstance(visitor.get("email"), str) and isinstance(visitor.get("phone"), str) and not raw.closedAt


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
    is_visitor = bool((username and username == visitor.username) or (author_id and author_id == visitor.id))
    file, upload = table_of(raw.get("file")), table_of(raw.get("fileUpload"))
    edited, blocks = raw.get("editedAt"), list_of(raw.get("blocks"))
    text = text_of(raw.get("msg")) or caption_of(raw)
    return WebhookMessage(
        id=text_of(raw.get("_id")),
        text="" if blocks and _is_json_of(blocks, text) else text,
        ts_ms=ms_of(raw.get("ts")),
        author_id=author_id,
        author_username=username,
        # agentId is present when the author's user name differs from the visitor's (2.3).
        from_visitor=not raw.get("agentId") and is_visitor,
        edited_at_ms=ms_of(edited) if edited else None,
        closing=raw.get("closingMessage") is True,
        file_name=text_of(file.get("name")),
        has_file=has_file(raw),
        file_url=text_of(upload.get("publicFilePath")),
        file_type=text_of(file.get("type")) or text_of(upload.get("type")),
        has_blocks=bool(blocks),
        files=files_of(raw),
    )


def _is_json_of(blocks: list[Any], text: str) -> bool:
    try:
        found: object = _any.decode(text)
        return found == blocks
    except _UNREADABLE:
        return False


def _first(raw: Any, key: str) -> str:
    """A plain string, or `key` of the first of a list."""
    return text_of(table_of(raw[0]).get(key)) if isinstance(raw, list) and raw else text_of(raw)
