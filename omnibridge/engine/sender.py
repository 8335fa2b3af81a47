"""The port of what is sent: one sender for each kind of destination, and how a delivery went."""

from __future__ import annotations

from typing import Protocol

import msgspec

from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import Event
from omnibridge.storage.outbox import Delivery

CONTROL_CHANGED = "control-changed"
NOBODY_LEFT = "nobody-left"
"""Of a conversation that is closed: whom it was for has left too."""


class Sent(msgspec.Struct, frozen=True):
    """How a delivery went. event: what the conversation should know; raw: a body for another source than
    the engine itself, with its source name and kind. resolved: it had arrived earlier already."""

    event: Event | None = None
    raw: bytes | None = None
    source: str = "engine"
    kind: str = "room"
    resolved: bool = False


class Sender(Protocol):
    """Carries out deliveries to one kind of destination. What most of them answer is here: inherit it."""

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        """Send once. maybe_sent: an earlier attempt may have arrived, find out first. Raises DeliveryError."""
        ...

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """What came of an earlier process's attempt, if it is known to have arrived. Raises DeliveryError."""
        return None

    def wait_until(self, row: Delivery, now_ms: int) -> int:
        """0 = send now; else the time (ms) before which the destination is left alone."""
        return 0
