"""Leaves of foreign JSON, each checked where it is read: a wrong type gives the empty value, never an error."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from omnibridge.domain.events import UserRef


def text_of(raw: Any) -> str:
    """A string, else empty."""
    return raw if isinstance(raw, str) else ""


def table_of(raw: Any) -> dict[str, Any]:
    """An object, else empty."""
    return raw if isinstance(raw, dict) else {}


def list_of(raw: Any) -> list[Any]:
    """An array, else empty."""
    return raw if isinstance(raw, list) else []


def ms_of(raw: Any) -> int:
    """ISO text (UTC when it names no zone), EJSON `{"$date": ms}` or a number -> ms; 0 when it is none of these."""
    if isinstance(raw, dict):
        raw = raw.get("$date")
    if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < 1e15:
        return int(raw)
    if not isinstance(raw, str):
        return 0
    try:
        found = datetime.fromisoformat(raw)
        return max(0, round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0


def iso_of(ms: int) -> str:
    """ms -> `2026-01-31T12:00:00.000Z`, as the hub writes times."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date_ms(text: str) -> int | None:
    """`Sat, 31 Jan 2026 12:00:00 GMT` -> ms; None when it is no such date."""
    try:
        return round(parsedate_to_datetime(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def user_of(raw: Any) -> UserRef | None:
    """`{_id, username, name}` -> UserRef; None without an id."""
    found = table_of(raw)
    identity = text_of(found.get("_id"))
    return UserRef(identity, text_of(found.get("username")), text_of(found.get("name"))) if identity else None
