"""rocketchat-async 4.3.0: log-in with a password, then again with the token; rooms, messages, typing."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from rocketchat_async import RocketChat

told = json.loads(os.environ["SANDBOX"])
address = told["url"].replace("http", "ws") + "/websocket"


async def main() -> None:
    first = RocketChat()
    await first.start(address, "alice", "secret")
    client = RocketChat()
    await client.resume(address, "alice", told["agent_account"]["auth_token"])
    if client.user_id != first.user_id or not client.user_id:
        raise SystemExit(f"logged in as {client.user_id} and {first.user_id}")
    rooms = dict(await client.get_channels())
    if rooms.get("GENERAL") != "c":
        raise SystemExit(f"rooms: {rooms}")
    asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def heard(rid: str, sender: str, message_id: str, thread: Any, text: str, *_: Any) -> None:
        if text.startswith("ping ") and not asked.done():
            asked.set_result(text.removeprefix("ping "))

    changed = asyncio.Event()
    await client.subscribe_to_channel_messages("GENERAL", heard)
    await client.subscribe_to_channel_changes(lambda *_: changed.set())
    await client.send_typing_event("GENERAL")  # its answer comes after the subscriptions are ready
    print("listening", flush=True)
    async with asyncio.timeout(20):
        name = await asked
        await client.send_message(f"pong {name}", "GENERAL")
        await changed.wait()


asyncio.run(main())
