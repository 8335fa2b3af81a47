"""One frame of the socket, classified as cheaply as can be: what is not livechat is never decoded.

msgspec walks over the arguments of a stream without making objects of them; only the small argument that tells the
room's type is looked at. A search for bytes would be cheaper still, but a message could hold those bytes.
Source: rocketchat-api 8.1, 8.2.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

MESSAGES = "stream-room-messages"
USER = "stream-notify-user"
ROOM = "stream-notify-room"
INQUIRIES = "stream-livechat-inquiry-queue-observer"
MY_MESSAGES = "__my_messages__"
DELETED, DELETED_MANY, ACTIVITY = "deleteMessage", "deleteMessageBulk", "user-activity"
UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


class Control(msgspec.Struct, frozen=True):
    """A frame of the protocol. msg: connected, failed, ping, pong, result, ready, nosub, ...; `id` and `subs` as
    there. error: the hub's code, empty = none."""

    msg: str
    id: str = ""
    subs: tuple[str, ...] = ()
    error: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class Change(msgspec.Struct, frozen=True):
    """Something happened in a stream of livechat. raw: the frame as it came. kind: as journalled, one of
    `message`, `inquiry`, `room`, `deleteMessage`, `deleteMessageBulk`, `user-activity`. room: '' = not told."""

    kind: str
    room: str
    raw: bytes


class Dropped(msgspec.Struct, frozen=True):
    """Nothing of ours. why: `other-room` (not livechat), `other` (a stream or collection that we do not read),
    `unreadable`."""

    why: str


Frame = Control | Change | Dropped
OTHER_ROOM, OTHER, NOT_READ = Dropped("other-room"), Dropped("other"), Dropped("unreadable")


class _Error(msgspec.Struct):
    error: Any = ""


class Fields(msgspec.Struct):
    """Of a `changed` frame: which event of the stream, and its arguments, undecoded."""

    eventName: str = ""
    args: tuple[msgspec.Raw, ...] = ()


class _Head(msgspec.Struct):
    msg: str = ""
    id: Any = ""
    collection: str = ""
    subs: Any = None
    fields: msgspec.Raw = msgspec.Raw(b"{}")
    error: _Error | Any = None
    result: msgspec.Raw = msgspec.Raw(b"null")


class _About(msgspec.Struct):
    roomType: Any = ""


class _Room(msgspec.Struct):
    id: Any = msgspec.field(default="", name="_id")
    t: Any = ""
    rid: Any = ""


_head = msgspec.json.Decoder(_Head)
_fields = msgspec.json.Decoder(Fields)
_about = msgspec.json.Decoder(_About)
_room = msgspec.json.Decoder(_Room)


def read_frame(raw: bytes) -> Frame:
    """Classify a frame. Raises nothing."""
    try:
        head = _head.decode(raw)
        if head.msg != "changed":
            return _control(head)
        return _change(head, raw)
    except UNREADABLE:
        repaired = repair(raw)
        return NOT_READ if repaired is None or repaired == raw else read_frame(repaired)


def fields_of(raw: bytes) -> Fields:
    """The event and its arguments of a `changed` frame. Raises one of UNREADABLE."""
    return _fields.decode(_head.decode(raw).fields)


def repair(raw: bytes) -> bytes | None:
    """JSON that only msgspec refuses (half of an emoji, cut by a client), made whole; None = not JSON at all."""
    try:
        as_text = json.dumps(json.loads(raw), ensure_ascii=False)
    except UNREADABLE:
        return None
    return as_text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _control(head: _Head) -> Frame:
    if head.msg in ("added", "removed", "updated", ""):
        return OTHER  # the account's own document, `server_id`, the end of a method
    code = ""
    if head.error is not None:
        code = str(head.error.get("error", "error") if isinstance(head.error, dict) else head.error)
    subs = tuple(each for each in head.subs if isinstance(each, str)) if isinstance(head.subs, list) else ()
    return Control(head.msg, head.id if isinstance(head.id, str) else "", subs, code, head.result)


def _change(head: _Head, raw: bytes) -> Frame:
    if head.collection == MESSAGES:
        fields = _fields.decode(head.fields)
        if fields.eventName != MY_MESSAGES or len(fields.args) < 2:
            return OTHER
        if _about.decode(fields.args[1]).roomType != "l":
            return OTHER_ROOM
        return _of_room("message", _room.decode(fields.args[0]).rid, raw)
    if head.collection == INQUIRIES:
        fields = _fields.decode(head.fields)
        return _of_room("inquiry", _room.decode(fields.args[0]).rid, raw) if fields.args else OTHER
    if head.collection == USER:
        fields = _fields.decode(head.fields)
        if not fields.eventName.endswith("/rooms-changed") or len(fields.args) < 2:
            return OTHER
        room = _room.decode(fields.args[1])
        return _of_room("room", room.id, raw) if room.t == "l" else OTHER_ROOM
    if head.collection == ROOM:
        fields = _fields.decode(head.fields)
        room_id, _, event = fields.eventName.partition("/")
        return _of_room(event, room_id, raw) if event in (DELETED, DELETED_MANY, ACTIVITY) else OTHER
    return OTHER


def _of_room(kind: str, room: Any, raw: bytes) -> Frame:
    return Change(kind, room, raw) if isinstance(room, str) and 0 < len(room) <= 64 else NOT_READ
