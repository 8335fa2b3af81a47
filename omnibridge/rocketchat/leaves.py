"""Leaves of foreign JSON, each checked where it is read: a wrong type is as if it were not there."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def table_of(raw: Any) -> dict[str, Any]:
    """An object, {} for anything else."""
    return raw if isinstance(raw, dict) else {}


def text_of(raw: Any) -> str:
    """A text, empty for anything else."""
    return raw if isinstance(raw, str) else ""


def ms_of(raw: Any) -> int:
    """ISO text, `{"$date": ms}` or a number -> ms; 0 when it is none of these."""
    if isinstance(raw, dict):
        raw = raw.get("$date")
    if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < 1e15:
        return int(raw)
    if not isinstance(raw, str):
        return 0
    try:
        return int(datetime.fromisoformat(raw).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
