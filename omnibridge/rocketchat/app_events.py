"""An envelope of the companion app -> what it reports. Lenient: a leaf of a wrong type is left out.

`{"type", "id", "at", "site", "rid", "data": {"room"?, "message"?, "agent"?, "to"?, ...}}`; rooms and messages have the
names of the REST API, without tokens. Source: deploy/rocketchat-app/src/shapes.ts and rocketchat-apps 5, 6.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.clicks import Click, read_click
from omnibridge.rocketchat.leaves import list_of, ms_of, table_of, text_of, user_of
from omnibridge.rocketchat.rooms import HubMessage, RoomInfo, read_message, read_room

CLICK = "interaction"
"""Type of the report that somebody used an element of a message."""

ACTED_ON = frozenset(
    {
        "room.started",
        "room.closed",
        "room.transferred",
        "agent.assigned",
        "agent.unassigned",
        "message.posted",
        "message.updated",
        "message.deleted",
        CLICK,
    }
)
"""Types that lead to events of ours; the others are recorded only."""

RECORDED_ONLY = {
    "guest.saved": "data of a visitor were saved",
    "department.removed": "a department was removed",
    "department.disabled": "a department was disabled",
    "outbox.dropped": "the app gave events up: rooms are compared",
}

DROPPED = "outbox.dropped"
"""Type of the report that events were given up by the app."""

LONGEST_KIND = 64


class AppReading(msgspec.Struct, frozen=True):
    """What one envelope says. problem: why it could not be read, empty when it could. state: the room as it was then.

    agent: who was assigned or left. to_department: empty when it was not forwarded to one.
    """

    kind: str
    room: str = ""
    at_ms: int = 0
    state: RoomInfo | None = None
    message: HubMessage | None = None
    agent: UserRef | None = None
    to_department: str = ""
    problem: str = ""
    click: Click | None = None

    @property
    def note(self) -> str:
        """Why nothing follows from it; empty when something may."""
        return "" if self.kind in ACTED_ON else RECORDED_ONLY.get(self.kind, "a type that we do not know")


class _Envelope(msgspec.Struct):
    type: Any = ""
    id: Any = ""
    rid: Any = ""
    at: Any = None
    data: Any = None


_envelope = msgspec.json.Decoder(_Envelope)
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


def peek_app(body: bytes) -> tuple[str, str]:
    """(type, room id) of a JSON object, empty where there is none."""
    try:
        found = _envelope.decode(body)
    except _UNREADABLE:
        return "", ""
    return text_of(found.type)[:LONGEST_KIND], text_of(found.rid)


def read_app(body: bytes) -> AppReading:
    """Raises nothing."""
    try:
        found = _envelope.decode(body)
    except _UNREADABLE as exc:
        return AppReading("", problem=f"not readable: {exc}")
    kind, room, data = text_of(found.type)[:LONGEST_KIND], text_of(found.rid), table_of(found.data)
    if kind not in ACTED_ON:
        return AppReading(kind, room)
    state = _room(table_of(data.get("room")))
    message = _message(table_of(data.get("message"))) if kind.startswith("message.") else None
    agent = user_of(data.get("agent"))
    click = read_click(text_of(found.id), data) if kind == CLICK else None
    problem = ""
    if not room or (state and state.id != room) or (message and message.room not in ("", room)):
        problem = "names no room, or two"
    elif message and not message.id:
        problem = "no _id in the message"
    elif kind.startswith("agent.") and agent is None:
        problem = "names no agent"
    elif kind == CLICK and click is None:
        problem = "does not say who used what"
    elif click and text_of(click.message.get("rid")) not in ("", room):
        problem = "names two rooms"
    to = table_of(data.get("to")) if text_of(data.get("scope")) == "department" else {}
    return AppReading(kind, room, ms_of(found.at), state, message, agent, text_of(to.get("_id")), problem, click)


def _room(raw: dict[str, Any]) -> RoomInfo | None:
    found = read_room(raw)
    if not found.id:
        return None
    visitor = table_of(raw.get("v"))
    emails = list_of(visitor.get("emails"))
    return msgspec.structs.replace(
        found,
        visitor_email=text_of(emails[0]) if emails else "",
        visitor_fields=table_of(visitor.get("livechatData")),
    )


def _message(raw: dict[str, Any]) -> HubMessage:
    return msgspec.structs.replace(read_message(raw), from_visitor=raw.get("from_visitor") is True)
