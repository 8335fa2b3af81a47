"""JSON of the service as values that can be kept: what one part of it got wrong keeps no other part back. Pure.

A batch that nobody could read would come again for ever, and nothing after it would be told.
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

MOST = 1_000_000
"""Of a number that people read: a position, seconds."""


def decoded(body: bytes) -> dict[str, Any]:
    """An object. Half of a character, where a text was cut, and bytes that are none, are U+FFFD; a number beyond all is
    None. Raises ValueError."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = _as_it_is(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _as_it_is(body: bytes) -> Any:
    try:
        return _mended(json.loads(body.decode("utf-8", "replace")))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def whole(value: Any) -> int | None:
    """A number, or a text of one; None for what is none."""
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.removeprefix("-").isdecimal() and value.isascii() and len(value) < 20 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or abs(value) >= 1 << 63:
        return None
    return int(value)


def number(value: Any) -> float | None:
    """More than none and bounded, or a text of one."""
    try:
        found = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return found if 0 < found <= MOST * 1000 else None


def position(value: Any) -> int:
    """0 = not told."""
    return min(max(whole(value) or 0, 0), MOST)
