"""What went wrong, as the other side says it."""

from __future__ import annotations


class BotApiError(Exception):
    """code: as HTTP's; 0 = no answer came. retry_after_s: the other side asks to wait so long, 0 = it does not say.

    Its text never holds a token.
    """

    def __init__(self, code: int, description: str, retry_after_s: int = 0) -> None:
        super().__init__(f"{code} {description}")
        self.code, self.description, self.retry_after_s = code, description, retry_after_s
