"""Registering bots and their tokens: by the running server, or without one under the database's lock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from omnibridge.storage import bot_updates, bots, database
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database


class BotOrder(msgspec.Struct, frozen=True):
    """digest: of the new token, for create and rotate; the token itself never leaves the command that made it.

    set-webhook: the addresses and the certificate of `bot`, without a secret token. allow: its capabilities.
    """

    kind: Literal["create", "rotate", "revoke", "pause", "resume", "set-webhook", "allow", "retry"]
    bot: Bot
    digest: bytes = b""


def write_order(cursor: Any, order: BotOrder, at: int) -> bool:
    """Whether anything was changed."""
    connection = order.bot.connection
    match order.kind:
        case "create":
            return bots.add(cursor, order.bot, order.digest)
        case "rotate":
            return bots.rotate(cursor, connection, order.digest)
        case "revoke":
            return bots.revoke(cursor, connection, at)
        case "set-webhook":
            bot = order.bot
            return bots.set_webhook(
                cursor, connection, bot.webhook_url, "", 40, bot.interaction_url, bot.webhook_certificate
            )
        case "allow":
            return bots.set_capabilities(cursor, connection, order.bot.capabilities)
        case "retry":
            return bot_updates.try_again(cursor, connection, at)
        case _:
            return bots.pause(cursor, connection, paused=order.kind == "pause")


class Orders:
    """Of the running server. ring: wakes who waits for a connection's updates."""

    def __init__(self, database: Database, now_ms: Callable[[], int], ring: Callable[[str], None]) -> None:
        self._database, self._now_ms, self._ring = database, now_ms, ring

    async def answer(self, body: bytes) -> bytes:
        """A BotOrder in, `{"done": …}` out: it is in force when this returns."""
        order, done = msgspec.json.decode(body, type=BotOrder), [False]
        now = self._now_ms()
        await self._database.writer.submit(lambda cursor: done.append(write_order(cursor, order, now)))
        self._ring(order.bot.connection)
        return msgspec.json.encode({"done": done[-1]})


def without_server(path: Path, order: BotOrder, at: int) -> bool:
    """Raises ConfigError when another process has the database."""
    return database.without_server(path, lambda cursor: write_order(cursor, order, at))
