"""Frames as the hub sends them (rocketchat-api 8.1, 8.2), for tests."""

from __future__ import annotations

import json
from typing import Any

VISITOR = {"_id": "v1", "username": "guest-1", "name": "Vera"}
ALICE = {"_id": "aliceId", "username": "alice", "name": "Alice"}
BOT = {"_id": "botId", "username": "bot", "name": "Bot"}


def changed(collection: str, event: str, *args: Any) -> bytes:
    frame = {"msg": "changed", "collection": collection, "id": "id", "fields": {"eventName": event, "args": args}}
    return json.dumps(frame, separators=(",", ":")).encode()


def message(room: str = "r1", *, kind: str = "l", **fields: Any) -> bytes:
    """A frame of `__my_messages__`; by the visitor unless `u` says otherwise."""
    found = {"_id": "m1", "rid": room, "msg": "hi", "ts": {"$date": 1000}, "u": VISITOR, **fields}
    if found["u"] is VISITOR:
        found["token"] = "t1"
    about = {"roomParticipant": False, "roomType": kind, "roomName": "Vera"}
    return changed("stream-room-messages", "__my_messages__", found, about)


def inquiry(what: str, room: str = "r1", **fields: Any) -> bytes:
    found = {"type": what, "_id": "i1", "rid": room, "status": "queued", **fields}
    return changed("stream-livechat-inquiry-queue-observer", "public", found)


def room_changed(what: str = "updated", room: str = "r1", **fields: Any) -> bytes:
    return changed("stream-notify-user", "relayId/rooms-changed", what, {"_id": room, "t": "l", "open": True, **fields})


def of_room(event: str, *args: Any, room: str = "r1") -> bytes:
    return changed("stream-notify-room", f"{room}/{event}", *args)
