"""What a bot is answered when its call was not carried out."""

from __future__ import annotations

from omnibridge.errors import OmnibridgeError


class MethodError(OmnibridgeError):
    """code: also the HTTP status. The description is Telegram's where it has one: its clients read them."""

    def __init__(self, code: int, description: str, retry_after_s: int = 0) -> None:
        super().__init__(description)
        self.code, self.description, self.retry_after_s = code, description, retry_after_s


def bad(what: str) -> MethodError:
    return MethodError(400, f"Bad Request: {what}")
