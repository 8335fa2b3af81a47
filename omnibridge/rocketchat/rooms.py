"""Rooms and inquiries as the REST API shows them, reduced to what we read. Source: rocketchat-api 9.2, 9.3."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.leaves import ms_of, table_of, text_of


class RoomInfo(msgspec.Struct, frozen=True):
    """A livechat room. open: absent or false on the hub means closed."""

    id: str
    open: bool
    served_by: UserRef | None = None
    department: str = ""
    closed_at_ms: int = 0
    closed_by: str = ""
    closer: str = ""


class Inquiry(msgspec.Struct, frozen=True):
    """A waiting conversation. status: verifying, queued, ready, taken, open."""

    id: str
    room: str
    status: str


def read_room(raw: dict[str, Any]) -> RoomInfo:
    """A room object -> RoomInfo."""
    served = table_of(raw.get("servedBy"))
    identity = text_of(served.get("_id"))
    return RoomInfo(
        id=text_of(raw.get("_id")),
        open=raw.get("open") is True,
        served_by=UserRef(identity, text_of(served.get("username"))) if identity else None,
        department=text_of(raw.get("departmentId")),
        closed_at_ms=ms_of(raw.get("closedAt")),
        closed_by=text_of(table_of(raw.get("closedBy")).get("username")),
        closer=text_of(raw.get("closer")),
    )
