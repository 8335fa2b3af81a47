"""The durable queue of updates: turns in, in the unit that numbers them; waiters are rung after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from omnibridge.botapi import shapes
from omnibridge.botapi.changes import edited_unit
from omnibridge.botapi.content import to_content
from omnibridge.botapi.errors import MethodError
from omnibridge.botapi.files import with_file
from omnibridge.clock import Clock
from omnibridge.connector import Choices, DeliveryRejected, DeliveryRetryable, Turn
from omnibridge.domain.choices import match_choice
from omnibridge.engine.ids import conversation_of, delivery_of, is_message_id
from omnibridge.storage import bot_chats, bot_posts, bot_updates, bots
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database

LOOK_BACK = 50
"""Messages of a bot among which the one is looked for that offered a choice."""

_encode = msgspec.json.Encoder().encode


class UpdateQueue:
    """One for all bots of a node. names: connection -> what getMe calls its bot. count: (connection, name)."""

    def __init__(
        self, database: Database, clock: Clock, names: dict[str, str], count: Callable[[str, str], None]
    ) -> None:
        self._database, self._clock, self._names, self._count = database, clock, names, count
        self._rung: dict[str, asyncio.Event] = {}

    def bot(self, connection: str) -> Bot | None:
        """In force."""
        found = bots.load(self._database.reader, connection)
        return found if found and found.revoked_at is None else None

    def user_of(self, bot: Bot) -> dict[str, Any]:
        """As Telegram describes it."""
        return shapes.bot_user(bot.bot_id, bot.connection, self._names[bot.connection])

    async def put(self, connection: str, turn: Turn, text: str, absent_after_s: float = 0) -> str:
        """Durable when it returns; a turn that is given again changes nothing. Why it is not for this bot, else ''.

        Raises DeliveryRejected when nobody could ever take it, DeliveryRetryable when it could not be written, or the
        bot takes nothing.
        """
        self._in_force(connection)
        oldest = bot_updates.waiting(self._database.reader, connection, 1) if absent_after_s else []
        if oldest and self._clock.now_ms() - oldest[0].created_at > absent_after_s * 1000:
            if not bot_updates.is_queued(self._database.reader, connection, turn.delivery_id):
                raise DeliveryRetryable("the bot has not taken its updates", code="bot-absent")

        why_not = [""]

        def unit(cursor: Any) -> None:
            bot = bots.load(cursor, connection)
            if bot is None or bot_updates.is_queued(cursor, connection, turn.delivery_id):
                return
            now = self._clock.now_ms()
            chat = bot_chats.chat_for(cursor, connection, turn.session_id, shapes.first_name(turn), now)
            choice, offer, is_inline = self._meant(cursor, connection, chat.id, turn, text)
            kind = "callback_query" if is_inline else "message"
            why_not[0] = shapes.why_not(bot, kind, text)
            if why_not[0]:
                self._count(connection, "update_not_wanted")
                return
            number = bot_updates.next_update_id(cursor, connection)
            if is_inline:
                body = shapes.callback_query_of(turn, choice, chat.id, number, offer)
            else:
                said = choice if offer else text
                body = shapes.message_of(turn, said, chat.id, bot_chats.next_message_id(cursor, chat.id), now)
                body = with_file(body, turn)
            update = _encode({"update_id": number, kind: body})
            bot_updates.put(cursor, connection, number, chat.id, turn.delivery_id, now, update)

        await self._write(connection, unit)
        return why_not[0]

    def _meant(
        self, cursor: Any, connection: str, chat_id: int, turn: Turn, text: str
    ) -> tuple[str, dict[str, Any] | None, bool]:
        """(the choice, the message that offered it, whether it is a callback query). A label that is typed is a message
        when nothing offers it any more; what was pressed is a query then, because nobody wrote anything."""
        did = turn.interaction
        if (
            did is not None
            and (pressed := self._pressed(cursor, connection, chat_id, turn, did.message_id)) is not None
        ):
            choice = shapes.data_of(did)
            _, is_inline = shapes.find_offer([_encode(pressed)], choice)
            return choice, pressed, is_inline or not pressed.get("omnibridge")
        said_before = bot_chats.latest_messages(cursor, chat_id, LOOK_BACK)
        choice = shapes.data_of(did) if did else turn.choice_value or _still_offered(said_before[:1], text)
        offer, is_inline = shapes.find_offer(said_before, choice) if choice else (None, False)
        return choice, offer, is_inline or (did is not None and offer is None)

    def _pressed(self, cursor: Any, connection: str, chat_id: int, turn: Turn, hub_id: str) -> dict[str, Any] | None:
        """The bot's own message under the hub's id."""
        conversation = conversation_of(self._database.secret, turn.session_id, connection)
        if conversation is None or not is_message_id(self._database.secret, turn.workspace, turn.room, hub_id):
            return None
        observation = bot_posts.observation_of(cursor, conversation, delivery_of(hub_id))
        number = bot_posts.number_of(cursor, chat_id, observation) if observation is not None else None
        body = bot_chats.message(cursor, chat_id, number) if number is not None else None
        return None if body is None else dict(msgspec.json.decode(body))

    async def put_closed(self, connection: str, session: str) -> None:
        """The conversation is over for the bot: my_chat_member, once for each time that something was said in it."""
        if self.bot(connection) is None:
            return

        def unit(cursor: Any) -> None:
            bot, chat = bots.load(cursor, connection), bot_chats.chat_of(cursor, connection, session)
            if bot is None or chat is None or not bot.wants("my_chat_member"):
                return
            key = f"closed:{session}:{chat.last_message_id}"
            if bot_updates.is_queued(cursor, connection, key):
                return
            now = self._clock.now_ms()
            number = bot_updates.next_update_id(cursor, connection)
            body = shapes.left(self.user_of(bot), chat.id, chat.first_name, now)
            update = _encode({"update_id": number, "my_chat_member": body})
            bot_updates.put(cursor, connection, number, chat.id, key, now, update)

        await self._write(connection, unit)

    async def put_edited(self, connection: str, session: str, message_id: str, text: str) -> None:
        """edited_message, once for each change; of a message that is not known any more nothing, which is counted."""
        if self.bot(connection) is None:
            return

        def count(name: str) -> None:
            self._count(connection, name)

        await self._write(connection, edited_unit(connection, session, message_id, text, self._clock, count))

    def ring(self, connection: str) -> None:
        """Something has changed for whoever waits for updates of this bot."""
        self._rung.setdefault(connection, asyncio.Event()).set()
        self._rung[connection] = asyncio.Event()

    def next_ring(self, connection: str) -> asyncio.Event:
        """Take it before looking into the queue: then nothing is missed."""
        return self._rung.setdefault(connection, asyncio.Event())

    def _in_force(self, connection: str) -> Bot:
        bot = self.bot(connection)
        if bot is None:
            raise DeliveryRejected(f"no bot is registered: omnibridge bots create {connection}", code="no-bot")
        return bot

    async def _write(self, connection: str, unit: Callable[[Any], None]) -> None:
        try:
            await asyncio.shield(self._database.writer.submit(unit))
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            raise DeliveryRetryable(f"the update could not be written ({type(exc).__name__})", code="storage") from exc
        self.ring(connection)


def _still_offered(newest: list[bytes], text: str) -> str:
    """Of a keyboard that is the last thing the bot said: it may be used again, as long as the bot leaves it there."""
    if not newest or not text:
        return ""
    message = msgspec.json.decode(newest[0])
    try:
        content = to_content("?", message.get("reply_markup") or message.get("omnibridge"), lambda name, n: None)
    except MethodError:  # an earlier release took keyboards that are refused now
        return ""
    options = content.options if isinstance(content, Choices) else ()
    meant = match_choice(text, [each for each in options if each.url is None])
    return meant.value if meant else ""
