"""Rooms and inquiries as the REST API shows them, reduced to what we read. Source: rocketchat-api 9.2, 9.3."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.webhook import _ms, _table, _text


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
    served = _table(raw.get("servedBy"))
    identity = _text(served.get("_id"))
    return RoomInfo(
        id=_text(raw.get("_id")),
        open=raw.get("open") is True,
        served_by=UserRef(identity, _text(served.get("username"))) if identity else None,
        department=_text(raw.get("departmentId")),
        closed_at_ms=_ms(raw.get("closedAt")),
        closed_by=_text(_table(raw.get("closedBy")).get("username")),
        closer=_text(raw.get("closer")),
    )
