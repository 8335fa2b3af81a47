"""What an analyser's system names a message by when it posts findings later.

It names analyser, conversation, message and text, and an end; signed, so nothing has to be remembered for it.
"""

from __future__ import annotations

import msgspec

from omnibridge.sealed import Seal


class Correlation(msgspec.Struct, frozen=True, array_like=True):
    """event_id: of the text. until: ms."""

    analyser: str
    conversation_id: int
    message_id: str
    event_id: int
    until: int


correlations = Seal("findings", Correlation, 1_000)
