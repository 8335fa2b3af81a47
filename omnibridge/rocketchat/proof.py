"""Who somebody is on the hub, from what he shows us of himself: asked with his own rights, never with ours.

Source: rocketchat-api 1.1 (`me`), 4.1 (`rooms.info` answers whom may see the room), 9 (`livechat/messages.history`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from omnibridge.errors import DeliveryRejected
from omnibridge.rocketchat.calls import Calls, Credentials


class Proof:
    """Of one workspace. Close it."""

    def __init__(self, base_url: str, timeout_s: float = 5.0) -> None:
        self._calls = Calls(base_url, Credentials("", ""), timeout_s, None)

    async def user(self, credentials: Credentials, room: str) -> dict[str, Any] | None:
        """His profile, if the hub lets him see the room; None when it knows him not, or does not.

        Raises DeliveryError when the hub cannot be asked.
        """
        try:
            profile = await self._calls.get("me", {}, credentials)
            await self._calls.get("rooms.info", {"roomId": room}, credentials)
        except DeliveryRejected:
            return None
        return profile

    async def is_visitor_of(self, token: str, room: str) -> bool:
        """Whether a visitor's token opens this room. Raises DeliveryError when the hub cannot be asked."""
        try:
            path = f"livechat/messages.history/{quote(room, safe='')}"
            await self._calls.get(path, {"token": token, "limit": "1"})
        except DeliveryRejected:
            return False
        return True

    async def aclose(self) -> None:
        await self._calls.aclose()
