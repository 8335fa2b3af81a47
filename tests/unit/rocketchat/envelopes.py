"""Envelopes of the companion app, as its source makes them (deploy/rocketchat-app/src/shapes.ts)."""

from __future__ import annotations

import json
from typing import Any

from omnibridge.rocketchat.leaves import iso_of

ALICE = {"_id": "aliceId", "username": "alice", "name": "Alice"}
BOB = {"_id": "bobId", "username": "bob", "name": "Bob"}
VISITOR = {
    "_id": "v1",
    "username": "guest",
    "name": "Ann",
    "emails": ["a@example.com"],
    "livechatData": {"tier": "gold"},
}


def room(identity: str = "r1", **more: Any) -> dict[str, Any]:
    found = {"_id": identity, "t": "l", "open": True, "fname": "Ann", "v": VISITOR, "departmentId": "d1"}
    return {**found, "source": {"type": "widget"}, "livechatData": {"order": "17"}, "ts": iso_of(1000), **more}


def message(identity: str = "m1", text: str = "hello", **more: Any) -> dict[str, Any]:
    """by the visitor unless `u` is given."""
    by = {"u": VISITOR, "from_visitor": "u" not in more}
    return {"_id": identity, "rid": "r1", "msg": text, "ts": iso_of(2000), **by, **more}


def envelope(kind: str, *, rid: str = "r1", at_ms: int = 3000, **data: Any) -> bytes:
    """room: None leaves it out."""
    of_room = {"room": room(rid), **data} if rid else data
    told = {name: each for name, each in of_room.items() if each is not None}
    site = "https://chat.example.com"
    return json.dumps({"type": kind, "id": "e1", "at": iso_of(at_ms), "site": site, "rid": rid, "data": told}).encode()
