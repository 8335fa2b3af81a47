"""Deliveries to bots' webhooks: in order and one at a time per chat, on a long plan, never twice on purpose.

A delivery that was cut off is given again: the bot knows it by its `update_id`, and what its answer asks for is
carried out once for each update. What fails blocks its own chat only.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog

from omnibridge.botapi.connector import BotApiConnector
from omnibridge.botapi.errors import MethodError
from omnibridge.botapi.methods import Methods
from omnibridge.botapi.parameters import Parameters
from omnibridge.botapi.queue import UpdateQueue
from omnibridge.botapi.sealing import Seal
from omnibridge.botapi.webhook_url import public_only
from omnibridge.clock import Clock
from omnibridge.connector.signing import signed_headers
from omnibridge.errors import StorageError
from omnibridge.http import Wire, origin_of, trusting
from omnibridge.storage import bot_updates
from omnibridge.storage.bot_updates import GIVEN_UP, TAKEN, Queued
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database

_log = structlog.get_logger("omnibridge.botapi")

LIMIT_S = 30.0
MOST_CONNECTIONS = 100
MOST_ANSWER_BYTES = 1_000_000
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 1_000, 600_000
PLAN_MS = 24 * 3600 * 1000
"""What failed for so long is given up: counted, kept for a day, and the chat goes on."""

TICK_S = 1.0
"""While something waits to be tried again, the clock is looked at so often."""

SHARE, LONGEST_REST_S = 20, 2.0
"""A look into a long queue takes time: after it we rest so many times as long, so that the relay goes on."""

IN_ANSWERS = frozenset({"sendmessage", "sendchataction", "answercallbackquery", "leavechat", "endchat"})
"""Methods that the body of an answer may name."""


def pause_ms(attempts: int) -> int:
    """After so many failures (>= 1): doubled from 1 s to 10 min."""
    return int(min(FIRST_PAUSE_MS << min(attempts - 1, 20), LONGEST_PAUSE_MS))


@dataclass
class _Chat:
    """attempts: failures in a row of its lowest update. not_before: ms."""

    attempts: int = 0
    not_before: int = 0


class Pusher:
    """Of one bot, for as long as the node runs."""

    def __init__(
        self,
        connector: BotApiConnector,
        database: Database,
        queue: UpdateQueue,
        methods: Methods,
        clock: Clock,
        seal: Seal,
    ) -> None:
        self._connection, self._connector = connector.context.name, connector
        self._database, self._queue, self._methods, self._clock = database, queue, methods, clock
        self._seal, self._certificate = seal, ""
        self._wire = self._wire_trusting("")
        self._chats: dict[int, _Chat] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run_for_ever(self) -> None:
        """Until cancelled."""
        try:
            while True:
                rung = self._queue.next_ring(self._connection)
                began = time.perf_counter()
                try:
                    wait_s = self._begin_due()
                except Exception as exc:
                    _log.error("bot_push_failed", connection=self._connection, reason=type(exc).__name__)
                    wait_s = TICK_S
                await asyncio.sleep(min(SHARE * (time.perf_counter() - began), LONGEST_REST_S))
                try:
                    await asyncio.wait_for(rung.wait(), None if math.isinf(wait_s) else wait_s)
                except TimeoutError:
                    pass  # something may be due
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._wire.close()  # before anything that may be cancelled
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin_due(self) -> float:
        """Start what may go now; seconds until the next look."""
        bot = self._pushed()
        if bot is None:
            self._chats.clear()
            return math.inf
        now, waits = self._clock.now_ms(), False
        for chat_id, update_id in bot_updates.first_of_chats(self._database.reader, self._connection):
            if chat_id in self._tasks:
                continue
            if len(self._tasks) >= bot.max_connections:
                break  # rung again when one ends
            if self._chats.get(chat_id, _Chat()).not_before > now:
                waits = True
                continue
            task = asyncio.create_task(self._chat(chat_id, update_id))
            self._tasks[chat_id] = task
            task.add_done_callback(partial(self._ended, chat_id))
        return TICK_S if waits else math.inf

    def _ended(self, chat_id: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(chat_id, None)
        if not task.cancelled() and (exc := task.exception()) is not None:
            _log.error("bot_push_failed", connection=self._connection, reason=type(exc).__name__)
            self._chats[chat_id] = _Chat(1, self._clock.now_ms() + FIRST_PAUSE_MS)
        self._queue.ring(self._connection)

    def _pushed(self) -> Bot | None:
        bot = self._queue.bot(self._connection)
        return bot if bot and bot.webhook_url and not bot.paused else None

    async def _chat(self, chat_id: int, update_id: int) -> None:
        """One update; the next of this chat is begun by the ring at its end."""
        update, bot = bot_updates.update(self._database.reader, self._connection, update_id), self._pushed()
        if update is None or bot is None:
            return
        failure = await self._post(bot, update)
        if not failure:
            self._chats.pop(chat_id, None)
            await self._settle(update_id, TAKEN)
            return
        now, chat = self._clock.now_ms(), self._chats.setdefault(chat_id, _Chat(update.attempts))
        chat.attempts += 1
        chat.not_before = now + pause_ms(chat.attempts)
        count = self._connector.context.count
        count("push_failed", 1)
        write = partial(_failed, connection=self._connection, update_id=update_id, at=now, why=failure)
        await self._database.writer.submit(write)
        if now - update.created_at >= PLAN_MS and chat.attempts > 1:
            self._chats.pop(chat_id, None)
            count("push_given_up", 1)
            _log.warning("bot_update_given_up", connection=self._connection, update_id=update_id, reason=failure)
            await self._settle(update_id, GIVEN_UP)

    def _wire_trusting(self, certificate: str) -> Wire:
        """certificate: PEM, '' = the usual authorities."""
        judge = None if self._connector.settings.allow_private else public_only
        if not certificate:
            return Wire(MOST_CONNECTIONS, MOST_ANSWER_BYTES, judge=judge)
        context = trusting(certificate)
        return Wire(MOST_CONNECTIONS, MOST_ANSWER_BYTES, judge=judge, trust=lambda: context)

    def _wire_for(self, bot: Bot) -> Wire:
        """Connections that were made under another certificate are not used any more."""
        if bot.webhook_certificate != self._certificate:
            before, self._wire = self._wire, self._wire_trusting(bot.webhook_certificate)
            self._certificate = bot.webhook_certificate
            before.close()
        return self._wire

    async def _settle(self, update_id: int, state: int) -> None:
        write = partial(_settle, connection=self._connection, update_id=update_id, state=state)
        await self._database.writer.submit(write)

    async def _post(self, bot: Bot, update: Queued) -> str:
        """'' when the bot has taken it, else why not, without its address."""
        is_press = bytes(msgspec.json.decode(update.body, type=_Kind).callback_query) != b""
        url = (bot.interaction_url if is_press else "") or bot.webhook_url
        origin, _ = origin_of(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/json", "User-Agent": "omnibridge"}
        try:
            secret = self._seal.open(bot.webhook_secret)
        except StorageError as exc:
            return str(exc)
        if secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = secret
        identity = f"update_{bot.bot_id}_{update.update_id}"
        headers |= signed_headers(self._connector.keys, identity, self._clock.now_ms() // 1000, update.body)
        try:
            async with asyncio.timeout(LIMIT_S):
                answer = await self._wire_for(bot).exchange(origin, "POST", target, headers.items(), update.body)
        except TimeoutError:
            return "Read timeout expired"
        except httpx2.ConnectError:
            return "Connection failed"
        except httpx2.TransportError as exc:
            return f"Connection broke ({type(exc).__name__})"
        if not 200 <= answer.status < 300:
            return f"Wrong response from the webhook: {answer.status}"
        await self._carry_out(bot, update, answer.body)
        return ""

    async def _carry_out(self, bot: Bot, update: Queued, body: bytes) -> None:
        """One method call that the bot's answer may hold. What is wrong with it does not make the update come again."""
        try:
            found = msgspec.json.decode(body) if body.strip() else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # "ok", a page: nothing was asked
        if not isinstance(found, dict) or not isinstance(name := found.pop("method", None), str):
            return
        count = self._connector.context.count
        if name.casefold() not in IN_ANSWERS:
            count("answer_method_refused", 1)
            return
        try:
            await self._methods.call(bot, name, Parameters(found), dedupe=f"answer-{update.update_id}")
        except MethodError as exc:
            count("answer_method_failed", 1)
            why = f"The method in the answer failed: {exc.description}"
            at = self._clock.now_ms()
            await self._database.writer.submit(
                partial(_failed, connection=self._connection, update_id=0, at=at, why=why)
            )


class _Kind(msgspec.Struct):
    """Of an update, as far as it says where it goes."""

    callback_query: msgspec.Raw = msgspec.Raw(b"")


class Pushers:
    """Of all bots of a node."""

    def __init__(
        self,
        connectors: Mapping[str, BotApiConnector],
        database: Database,
        queue: UpdateQueue,
        methods: Methods,
        clock: Clock,
        seal: Seal,
    ) -> None:
        self._all = [Pusher(each, database, queue, methods, clock, seal) for each in connectors.values()]

    async def run_for_ever(self) -> None:
        """Until cancelled."""
        await asyncio.gather(*(each.run_for_ever() for each in self._all))


def _failed(cursor: Any, *, connection: str, update_id: int, at: int, why: str) -> None:
    bot_updates.failed(cursor, connection, update_id, at, why)


def _settle(cursor: Any, *, connection: str, update_id: int, state: int) -> None:
    bot_updates.settle(cursor, connection, update_id, state)
