"""The conversation is made, and what was said before is said. Ids are fixed: what arrived before arrives once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.client import NewSession
from connectors.salesforce_messaging.content import text_message
from connectors.salesforce_messaging.reopen import end_old
from connectors.salesforce_messaging.state import uuid4_of
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
PATIENCE = 3
"""A refusal that goes with the end of a session is believed after so many: its event may be under way."""


async def begin(chat: Chat, shared: Shared) -> None:
    """After the stream is open. Durable on return, unless the chat is being closed meanwhile. Raises DeliveryRejected,
    and DeliveryError that says that the token is dead; everything else is tried again."""
    kept, org = chat.kept, shared.org
    await _repeat(chat, shared, partial(_create, chat, shared))
    for at, text in enumerate(kept.history):
        message = text_message(uuid4_of(kept.conversation, "history", str(at)), text)
        await _repeat(chat, shared, partial(org.send, chat.access, kept.conversation, message))
    if chat.is_closing:
        return
    await end_old(chat, shared)
    await chat.change(is_begun=True, history=(), old=None)
    chat.ready.set()


async def _create(chat: Chat, shared: Shared, _: NewSession | None) -> None:
    async with chat.beginning:
        if not chat.is_closing:
            await shared.org.create(chat.access, chat.kept.conversation, chat.kept.session)


async def _repeat(chat: Chat, shared: Shared, call: Callable[[NewSession | None], Awaitable[None]]) -> None:
    """call: is given what begins a session where Salesforce says that there is none (417)."""
    pause_s, refused = FIRST_PAUSE_S, 0
    while not chat.is_closing:
        try:
            async with shared.pacer.turn(chat.kept.conversation):
                await call(chat.kept.session if refused >= PATIENCE else None)
            return
        except DeliveryRejected:
            raise
        except DeliveryError as exc:
            if exc.code == "token":
                raise
            refused += exc.code == "no-session"
            asked_s = exc.retry_after_s if isinstance(exc, DeliveryRetryable) else None
            shared.context.count("openings_retried", 1)
        await asyncio.sleep((asked_s or pause_s) * random.uniform(1.0, 1.25))  # noqa: S311 - no secret
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
