"""Timers are deliveries that nobody but we get: due after a while, durable, refused when control changes."""

from __future__ import annotations

import msgspec

from omnibridge.domain.commands import StartTimer
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import TimerFired
from omnibridge.engine.sender import Sender, Sent
from omnibridge.storage.outbox import Delivery

_timer = msgspec.json.Decoder(StartTimer)


class TimerSender(Sender):
    """Tells the conversation when the time is over."""

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        timer = _timer.decode(row.body)
        return Sent(TimerFired(timer.timer, timer.ref))
