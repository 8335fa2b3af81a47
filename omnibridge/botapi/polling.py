"""getUpdates: what was not confirmed comes again; who polls second wins, and the first is told."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import msgspec

from omnibridge.botapi.errors import MethodError, bad
from omnibridge.botapi.parameters import Parameters
from omnibridge.botapi.queue import UpdateQueue
from omnibridge.storage import bot_updates, bots
from omnibridge.storage.bot_updates import Queued
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database

LONGEST_POLL_S = 50
MOST_UPDATES = 100
TWO_POLLERS = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
HAS_WEBHOOK = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook"


class Polling:
    """One for all bots of a node."""

    def __init__(self, database: Database, queue: UpdateQueue) -> None:
        self._database, self._queue = database, queue
        self._generation: dict[str, int] = {}
        self._is_ending = False

    def end(self) -> None:
        """The node stops: who waits is answered with what there is."""
        self._is_ending = True
        for connection in self._generation:
            self._queue.ring(connection)

    async def get_updates(self, bot: Bot, parameters: Parameters) -> list[msgspec.Raw]:
        """Raises MethodError 409."""
        connection, offset = bot.connection, parameters.integer("offset", 0)
        limit = parameters.integer("limit", MOST_UPDATES)
        timeout = parameters.integer("timeout", 0)
        if not 1 <= limit <= MOST_UPDATES:
            raise bad(f"limit must be from 1 to {MOST_UPDATES}")
        if timeout < 0:
            raise bad("timeout must not be negative")
        if bot.webhook_url:
            raise MethodError(409, HAS_WEBHOOK)
        mine = self._generation[connection] = self._generation.get(connection, 0) + 1
        self._queue.ring(connection)  # ends the poll before this one
        await self._confirm(bot, offset, allowed_updates(parameters))
        return [msgspec.Raw(each.body) for each in await self._wait(connection, limit, timeout, mine)]

    async def _confirm(self, bot: Bot, offset: int, allowed: str | None) -> None:
        write = self._database.writer.submit
        if allowed is not None and allowed != bot.allowed_updates:
            await write(partial(_allow, connection=bot.connection, kinds=allowed))
        if offset > 0 and (first := bot_updates.waiting(self._database.reader, bot.connection, 1)):
            if first[0].update_id < offset:
                await write(partial(_confirm, connection=bot.connection, offset=offset))
        elif offset < 0:
            await write(partial(_keep_last, connection=bot.connection, count=-offset))

    async def _wait(self, connection: str, limit: int, timeout_s: int, mine: int) -> list[Queued]:
        loop = asyncio.get_running_loop()
        until = loop.time() + min(timeout_s, LONGEST_POLL_S)
        while True:
            rung = self._queue.next_ring(connection)
            if self._generation[connection] != mine:
                raise MethodError(409, TWO_POLLERS)
            bot = self._queue.bot(connection)
            if bot is None:
                raise MethodError(401, "Unauthorized")
            if bot.webhook_url:
                raise MethodError(409, "Conflict: terminated by setWebhook request")
            found = [] if bot.paused else bot_updates.waiting(self._database.reader, connection, limit)
            remaining = until - loop.time()
            if found or remaining <= 0 or self._is_ending:
                return found
            try:
                await asyncio.wait_for(rung.wait(), remaining)
            except TimeoutError:
                pass  # looked at once more, then answered with nothing


def allowed_updates(parameters: Parameters) -> str | None:
    """As JSON; None = not said. Raises MethodError 400."""
    value = parameters.value("allowed_updates")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value) or len(value) > 50:
        raise bad("allowed_updates must be a list of texts")
    return msgspec.json.encode(value).decode()


def _allow(cursor: Any, *, connection: str, kinds: str) -> None:
    bots.allow(cursor, connection, kinds)


def _confirm(cursor: Any, *, connection: str, offset: int) -> None:
    bot_updates.confirm_before(cursor, connection, offset)


def _keep_last(cursor: Any, *, connection: str, count: int) -> None:
    bot_updates.keep_last(cursor, connection, count)
