"""DDP frames and EJSON. Source: rocketchat-api 8.1."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from omnibridge.sandbox.state import HubError

DATES = frozenset(
    "ts tlm lm ls lr lu _updatedAt editedAt queuedAt takenAt closedAt lockedAt createdAt tokenExpires".split()
)
"""Keys whose values are dates wherever they stand. REST shows them as ISO text, DDP as `{"$date": ms}`."""

_encode = msgspec.json.Encoder().encode


def ejson(value: Any) -> Any:
    """A record as REST shows it -> as DDP shows it."""
    if isinstance(value, dict):
        return {key: _date(each) if key in DATES else ejson(each) for key, each in value.items()}
    if isinstance(value, list):
        return [ejson(each) for each in value]
    return value


def _date(value: Any) -> Any:
    if not isinstance(value, str):
        return ejson(value)
    try:
        return date(round(datetime.fromisoformat(value).timestamp() * 1000))
    except ValueError:  # a sender's own key of that name
        return value


def date(ms: int) -> dict[str, int]:
    return {"$date": ms}


def encode(frame: dict[str, Any]) -> str:
    return _encode(frame).decode()


def decode(text: str) -> dict[str, Any] | None:
    """None for what is no JSON object."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def error_of(exc: HubError) -> dict[str, Any]:
    """As `Meteor.Error` is shown in `result.error` and `nosub`."""
    code: str | int = int(exc.code) if exc.code.isdecimal() else exc.code
    reason = exc.reason if exc.reason != exc.code else ""
    return {
        "isClientSafe": True,
        "error": code,
        **({"reason": reason} if reason else {}),
        "message": f"{reason} [{code}]" if reason else f"[{code}]",
        "errorType": "Meteor.Error",
    }


def event(collection: str, name: str, args: list[Any]) -> dict[str, Any]:
    """What a stream says; the document id is always the word `id`."""
    fields = {"eventName": name, "args": args}
    return {"msg": "changed", "collection": collection, "id": "id", "fields": fields}
