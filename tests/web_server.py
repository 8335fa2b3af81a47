"""An app of aiohttp on a port, which leaves no connection behind when a test ends."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from omnibridge.listening import accept_no_more
from tests.ports import HERE, listen


@asynccontextmanager
async def web_server(app: web.Application, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Its address. Ends as omnibridge.listening does: a connection that is being accepted is ended like the others."""
    runner, listening = web.AppRunner(app), listen(HERE, 0)
    port = listening.getsockname()[1]
    await runner.setup()
    await web.SockSite(runner, listening, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://{HERE}:{port}"
    finally:
        await accept_no_more(listening)
        await runner.cleanup()
