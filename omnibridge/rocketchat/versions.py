"""Versions of the hub, and what depends on them. Source: rocketchat-api 14."""

from __future__ import annotations

from typing import Any, NamedTuple


class Version(NamedTuple):
    """Patch levels are hidden from most callers, so two numbers have to do."""

    major: int
    minor: int


RETURNS_OVER_REST = Version(7, 12)
"""`livechat/inquiries.returnAsInquiry`; before, the DDP method `livechat:returnAsInquiry`, gone in 8.0."""

UPLOADS_IN_TWO_STEPS = Version(6, 10)
"""`rooms.media` and `rooms.mediaConfirm`; before, and until 8.0, `rooms.upload`."""


def read_version(body: dict[str, Any]) -> Version | None:
    """Of `/api/info`: `8.3`, `7.7.1` or `8.3.0-develop`, at `version` or `info.version`; None when it is not told."""
    info = body.get("info")
    text = body.get("version") or (info.get("version") if isinstance(info, dict) else None)
    numbers = str(text or "").split("-")[0].split(".")[:2]
    if not numbers[0].isdigit():
        return None
    return Version(int(numbers[0]), int(numbers[1]) if len(numbers) > 1 and numbers[1].isdigit() else 0)
