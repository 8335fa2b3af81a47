"""The REST rate limiter: fixed windows per route, method and address, in memory. Source: rocketchat-api 1.6."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from omnibridge.sandbox.state import now_ms

_CALLS = "API_Enable_Rate_Limiter_Limit_Calls_Default"
_TIME = "API_Enable_Rate_Limiter_Limit_Time_Default"
_TIGHTER = {
    "livechat/visitor": (5, 60_000),
    "livechat/room": (5, 60_000),
    "livechat/offline.message": (1, 5_000),
    "users.setStatus": (5, 60_000),
    "users.updateOwnBasicInfo": (1, 60_000),
}


class RateLimiter:
    """is_on: off to begin with, as on a server in TEST_MODE. settings: of the workspace; they hold the default."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.is_on = False
        self._settings = settings
        self._windows: dict[tuple[str, str, str], tuple[int, int]] = {}

    def count(self, path: str, request: Request) -> tuple[dict[str, str], int]:
        """Headers of the answer, and the ms to wait; 0 = go on."""
        limit, length = _TIGHTER.get(path) or (int(self._settings[_CALLS]), int(self._settings[_TIME]))
        key = (path, request.method, request.client.host if request.client else "")
        now = now_ms()
        ends, used = self._windows.get(key, (0, 0))
        if now >= ends:
            ends, used = now + length, 0
        used += 1
        self._windows[key] = (ends, used)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - used)),
            "X-RateLimit-Reset": str(ends),
        }
        return headers, ends - now if used > limit else 0

    def reset(self) -> None:
        self._windows.clear()


def too_many(wait_ms: int) -> str:
    """The text of a 429: there is no Retry-After."""
    return (
        "Error, too many requests. Please slow down. You must wait "
        f"{math.ceil(wait_ms / 1000)} seconds before trying this endpoint again. [error-too-many-requests]"
    )
