"""A journalled frame -> what it reports. Lenient as the webhook reader: a leaf of a wrong type is left out.

Source: rocketchat-api 8.2 (streams), 9.1 (message types), 9.3 (inquiry), 7.4 (which types a change of service makes).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.leaves import list_of, ms_of, table_of, text_of, user_of
from omnibridge.rocketchat.realtime.frames import UNREADABLE, fields_of, repair
from omnibridge.rocketchat.rooms import HubMessage, RoomInfo, read_message, read_room

_any = msgspec.json.Decoder(Any)

Service = Literal["", "assigned", "unassigned", "queued", "department"]

EXPIRES_S = 15.0
"""A visitor who types says so again every 5 s; after this he has stopped (8.3)."""


class LiveReading(msgspec.Struct, frozen=True):
    """What one frame says. problem: why it could not be read, empty when it could. at_ms: hub time, 0 = not told.

    message: words of somebody. deleted: ids of messages. service, agent, department, old_department: a change that a
    system message tells. waits: an inquiry's word, True = nobody serves, False = somebody does or it is over.
    state: the whole room, as the hub sent it. closed: the conversation ended.
    """

    kind: str
    room: str = ""
    at_ms: int = 0
    message: HubMessage | None = None
    deleted: tuple[str, ...] = ()
    service: Service = ""
    agent: UserRef | None = None
    department: str = ""
    old_department: str = ""
    waits: bool | None = None
    state: RoomInfo | None = None
    closed: bool = False
    closed_by: str = ""
    closer: str = ""
    note: str = ""
    problem: str = ""


class Typing(msgspec.Struct, frozen=True):
    """Who types in a room, or has stopped. Not journalled: it is over before it could be decided on."""

    room: str
    username: str
    is_typing: bool


def read_live(kind: str, room: str, body: bytes) -> LiveReading:
    """Read a journalled frame. Raises nothing."""
    try:
        arguments = _arguments(body)
    except UNREADABLE as exc:
        return LiveReading(kind, room, problem=f"not readable: {exc}")
    first = table_of(arguments[0]) if arguments else {}
    if kind == "message":
        return _message(room, first)
    if kind == "inquiry":
        return _inquiry(room, first)
    if kind == "room":
        return _room(room, *arguments[:2])
    deleted = [text_of(each) for each in list_of(first.get("ids"))] if kind == "deleteMessageBulk" else []
    if kind == "deleteMessage":
        deleted = [text_of(first.get("_id"))]
    return LiveReading(kind, room, deleted=tuple(each for each in deleted if each), note="" if deleted else kind)


def read_typing(room: str, body: bytes) -> Typing | None:
    """Who types (8.3); None when it cannot be read. Raises nothing."""
    try:
        arguments = _arguments(body)
    except UNREADABLE:
        return None
    who = text_of(arguments[0]) if arguments else ""
    activities = list_of(arguments[1]) if len(arguments) > 1 else []
    return Typing(room, who, "user-typing" in activities) if who else None


def _arguments(body: bytes) -> list[Any]:
    try:
        fields = fields_of(body)
        return [_any.decode(each) for each in fields.args]
    except UNREADABLE:
        repaired = repair(body)
        if repaired is None:
            raise
        return [_any.decode(each) for each in fields_of(repaired).args]


def _message(room: str, raw: dict[str, Any]) -> LiveReading:
    message = read_message(raw)
    if not message.id:
        return LiveReading("message", room, problem="no _id in the message")
    system, at = message.system_type, message.ts_ms
    if not system:
        return LiveReading("message", room, at, message)
    author = user_of(raw.get("u"))
    if system == "uj" or (system == "command" and message.text == "connected"):
        return LiveReading("message", room, at, service="assigned", agent=author)
    if system == "ul":
        return LiveReading("message", room, at, service="unassigned", agent=author)
    if system == "rm":
        return LiveReading("message", room, ms_of(raw.get("editedAt")), deleted=(message.id,))
    if system == "livechat-close":
        closer = "visitor" if message.from_visitor else "user"
        return LiveReading(
            "message", room, at, closed=True, closed_by=message.author_username, closer=closer
        )  # fmt: skip
    if system == "livechat_transfer_history":
        return _transfer(room, at, table_of(raw.get("transferData")))
    return LiveReading("message", room, at, note=f"{system[:40]}: recorded only")


def _room(room: str, what: Any = None, raw: Any = None) -> LiveReading:
    changed = table_of(raw)
    state = read_room(changed)
    if what == "removed":  # the account left the room, which says nothing about the room
        return LiveReading("room", room, note="no longer subscribed")
    if state.id != room:
        return LiveReading("room", room, problem="no room with its _id")
    return LiveReading("room", room, ms_of(changed.get("_updatedAt")), state=state)


def _transfer(room: str, at: int, raw: dict[str, Any]) -> LiveReading:
    """To a person: `ul` and `uj` tell it. Into the queue, or to a department: only this tells where."""
    scope = text_of(raw.get("scope"))
    before = _id_of(raw.get("previousDepartment"))
    after = text_of(table_of(raw.get("nextDepartment")).get("_id"))
    if scope == "department" and after:
        return LiveReading("message", room, at, service="department", department=after, old_department=before)
    if scope in ("queue", "autoTransferUnansweredChatsToQueue"):
        return LiveReading("message", room, at, service="queued", department=after)
    return LiveReading("message", room, at, note="forwarded to a person: recorded only")


def _inquiry(room: str, raw: dict[str, Any]) -> LiveReading:
    """The state of waiting. `removed` = taken or closed; a `clientAction` is the same under another name (8.2)."""
    status = text_of(raw.get("status"))
    what = text_of(raw.get("type")) or text_of(raw.get("clientAction"))
    waits: bool | None = None
    if what == "removed" or status in ("taken", "open"):
        waits = False
    elif status in ("queued", "ready"):
        waits = True
    at = ms_of(raw.get("_updatedAt")) or ms_of(raw.get("queuedAt")) or ms_of(raw.get("ts"))
    return LiveReading("inquiry", room, at, waits=waits, department=text_of(raw.get("department")))


def _id_of(raw: Any) -> str:
    return text_of(raw) or text_of(table_of(raw).get("_id"))
