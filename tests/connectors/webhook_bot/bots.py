"""What the tests of this connector share: a connector on a bot's socket, with the real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec

from connectors.webhook_bot.connector import WebhookBotConnector
from connectors.webhook_bot.settings import WebhookBotSettings
from omnibridge.clock import SystemClock
from omnibridge.connector.testing import FakeContext
from omnibridge.sandbox.server import Socket


@asynccontextmanager
async def connected(url: str, fake: FakeContext | None = None, **settings: Any) -> AsyncIterator[WebhookBotConnector]:
    connector = WebhookBotConnector()
    decoded = msgspec.convert({"url": url, **settings}, WebhookBotSettings)
    await connector.initialize(replace((fake or FakeContext()).make(decoded), clock=SystemClock()))
    try:
        yield connector
    finally:
        await connector.aclose()


@asynccontextmanager
async def bot(app: Any, **settings: Any) -> AsyncIterator[WebhookBotConnector]:
    """A connector whose bot is this ASGI app, over a real socket."""
    socket = Socket(app, "127.0.0.1", 0)
    await socket.start()
    try:
        async with connected(f"{socket.url}/", **settings) as connector:
            yield connector
    finally:
        await socket.stop()
