"""Rooms, inquiries and messages as the REST API shows them, reduced to what we read. Source: rocketchat-api 9."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.events import UserRef
from omnibridge.domain.files import FileRef
from omnibridge.rocketchat.files import caption_of, files_of, has_file
from omnibridge.rocketchat.leaves import ms_of, table_of, text_of, user_of


class RoomInfo(msgspec.Struct, frozen=True):
    """A livechat room. open: absent or false on the hub means closed. Times in ms, 0 = not told.

    fields: the room's custom fields (`livechatData`), which the visitor may write. source: widget, api, ...
    visitor_email, visitor_fields: of the visitor's record, where that was read too.
    served_at_ms: since when served_by serves. last_message_at_ms: `lm`, or the newest message's if that is
    newer. last_message_id: empty when the hub does not keep it (`Store_Last_Message`).
    """

    id: str
    open: bool
    served_by: UserRef | None = None
    department: str = ""
    closed_at_ms: int = 0
    closed_by: str = ""
    closer: str = ""
    visitor_id: str = ""
    visitor_username: str = ""
    visitor_name: str = ""
    fields: dict[str, Any] = {}
    source: str = ""
    created_at_ms: int = 0
    served_at_ms: int = 0
    last_message_at_ms: int = 0
    last_message_id: str = ""
    visitor_email: str = ""
    visitor_fields: dict[str, Any] = {}


class Inquiry(msgspec.Struct, frozen=True):
    """A waiting conversation. status: verifying, queued, ready, taken, open."""

    id: str
    room: str
    status: str


class HubMessage(msgspec.Struct, frozen=True):
    """A message as the hub stores it. system_type: empty for what somebody wrote. Times in ms.

    from_visitor: it carries a visitor's token, the reliable test over REST (9.1).
    """

    id: str
    room: str
    text: str
    ts_ms: int
    author_id: str
    author_username: str
    from_visitor: bool = False
    edited_at_ms: int | None = None
    system_type: str = ""
    has_file: bool = False
    file_name: str = ""
    files: tuple[FileRef, ...] = ()


def read_room(raw: dict[str, Any]) -> RoomInfo:
    """A room object -> RoomInfo; id is empty when it is none."""
    visitor, last = table_of(raw.get("v")), table_of(raw.get("lastMessage"))
    return RoomInfo(
        id=text_of(raw.get("_id")),
        open=raw.get("open") is True,
        served_by=user_of(raw.get("servedBy")),
        department=text_of(raw.get("departmentId")),
        closed_at_ms=ms_of(raw.get("closedAt")),
        closed_by=text_of(table_of(raw.get("closedBy")).get("username")),
        closer=text_of(raw.get("closer")),
        visitor_id=text_of(visitor.get("_id")),
        visitor_username=text_of(visitor.get("username")),
        visitor_name=text_of(raw.get("fname")),
        fields=table_of(raw.get("livechatData")),
        source=text_of(table_of(raw.get("source")).get("type")),
        created_at_ms=ms_of(raw.get("ts")),
        served_at_ms=ms_of(table_of(raw.get("servedBy")).get("ts")),
        last_message_at_ms=max(ms_of(raw.get("lm")), ms_of(last.get("ts"))),
        last_message_id=text_of(last.get("_id")),
    )


def read_message(raw: dict[str, Any]) -> HubMessage:
    """A message object -> HubMessage; id is empty when it is none."""
    author = table_of(raw.get("u"))
    edited = raw.get("editedAt")
    return HubMessage(
        id=text_of(raw.get("_id")),
        room=text_of(raw.get("rid")),
        text=text_of(raw.get("msg")) or caption_of(raw),
        ts_ms=ms_of(raw.get("ts")),
        author_id=text_of(author.get("_id")),
        author_username=text_of(author.get("username")),
        from_visitor=bool(text_of(raw.get("token"))),
        edited_at_ms=ms_of(edited) if edited else None,
        system_type=text_of(raw.get("t")),
        has_file=has_file(raw),
        file_name=text_of(table_of(raw.get("file")).get("name")),
        files=files_of(raw),
    )
