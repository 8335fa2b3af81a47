"""The realtime connection, when `realtime = true`: opened, logged in and listened to. Source: rocketchat-api 8."""

from __future__ import annotations

import asyncio
import contextlib

from omnibridge.doctor.finding import ACCOUNT, HUB, NETWORK, Finding, ok, problem
from omnibridge.doctor.view import HubView
from omnibridge.rocketchat.realtime.connection import (
    Connection,
    ConnectionLost,
    LoginRefused,
    NotSubscribed,
    Timing,
    open_socket,
    realtime_url,
)
from omnibridge.rocketchat.realtime.frames import Change

TIMING = Timing(connect=3.0)
INSTEAD = "; or [[workspace]] realtime = false: webhooks go on alone"


async def check(view: HubView) -> Finding | None:
    """Messages of every room, as the relay account hears them. None without `realtime`, or without a valid token."""
    if not view.settings.realtime or not view.is_known:
        return None
    url = realtime_url(view.settings.url)
    try:
        async with asyncio.timeout(3 * TIMING.connect):
            await _listen(view)
    except (ConnectionLost, TimeoutError) as exc:
        do = f"let the proxy in front of Rocket.Chat pass WebSocket upgrades of /websocket{INSTEAD}"
        return problem("realtime", NETWORK, f"{url}: {exc or 'no answer'}", do)
    except LoginRefused as exc:
        return problem("realtime", ACCOUNT, f"{url}: {exc}", f"make a new token of the relay account{INSTEAD}")
    except NotSubscribed as exc:
        return problem("realtime", HUB, f"{url}: not allowed to hear {exc}", f"look into Rocket.Chat's log{INSTEAD}")
    return ok("realtime", f"{url}: connected, and hears the messages")


async def _listen(view: HubView) -> None:
    async def ignore(_: Change) -> None:
        """Nothing is done with what is heard."""

    socket = await open_socket(view.settings.url, TIMING)
    connection = Connection(socket, TIMING, ignore, lambda _: None)
    reading = asyncio.create_task(connection.run())
    try:
        await connection.log_in(view.settings.auth_token.get_secret_value())
        await connection.subscribe("stream-room-messages", "__my_messages__")
    finally:
        reading.cancel()
        with contextlib.suppress(ConnectionLost, asyncio.CancelledError):
            await reading
        await connection.aclose()
