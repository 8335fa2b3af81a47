"""Timers are deliveries that nobody but we get: due after a while, durable, refused when control changes."""

from __future__ import annotations

import msgspec

from omnibridge.domain.commands import StartTimer
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import TimerFired
from omnibridge.engine.sender import Sent
from omnibridge.storage.outbox import Delivery

_timer = msgspec.json.Decoder(StartTimer)


class TimerSender:
    """Tells the conversation when the time is over."""

    def wait_until(self, row: Delivery, now_ms: int) -> int:
        return 0

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        return None

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        timer = _timer.decode(row.body)
        return Sent(TimerFired(timer.timer, timer.ref))
