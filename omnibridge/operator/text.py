"""Text for a terminal: what visitors wrote is hostile, times are local, long lines are cut. Pure."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from omnibridge.errors import ConfigError

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that steer a terminal or cannot be seen: escapes, text direction, half characters."""

JOINER = "\u200d"
"""Holds an emoji of several people together; harmless."""

_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def safe(text: str) -> str:
    """The text with everything that a terminal would obey written out, such as `\\x1b` and `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each) in HIDDEN and each != JOINER else each
        for each in text
    )


def cut(text: str, longest: int) -> str:
    """At most `longest` characters, with `…` where something is left out; 0 = all of it."""
    return text if not longest or len(text) <= longest else f"{text[: longest - 1]}…"


def clock(ms: int) -> str:
    """`07:19:08.123`, local time."""
    return datetime.fromtimestamp(ms / 1000).strftime("%H:%M:%S.") + f"{ms % 1000:03d}"


def day(ms: int) -> str:
    """`2026-10-02 (UTC+02:00)`, local."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d (%Z)")


def moment(ms: int) -> str:
    """`2026-10-02 07:19:08.123`, local time."""
    return f"{datetime.fromtimestamp(ms / 1000):%Y-%m-%d} {clock(ms)}"


def span(ms: int) -> str:
    """A length of time: `35 ms`, `1.2 s`, `3 min`, `2.5 h`, `4 d`."""
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if ms >= size:
            return f"{ms / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{ms} ms"


def since(text: str, now_ms: int) -> int:
    """`30m`, `2h`, `7d` before now, or a local date and time such as `2026-10-02 07:00`; ms. Raises ConfigError."""
    found = _SPAN.fullmatch(text.strip())
    if found:
        return now_ms - int(found.group(1)) * _SECONDS[found.group(2)] * 1000
    try:
        return int(datetime.fromisoformat(text.strip()).timestamp() * 1000)
    except ValueError:
        raise ConfigError(
            f"--since {safe(text)}: write 30m, 2h, 7d, or a date and time such as 2026-10-02T07:00"
        ) from None
