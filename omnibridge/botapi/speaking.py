"""What a bot says: journalled as a callback of its connection, so the lane decides whether and when it is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from omnibridge.botapi import shapes
from omnibridge.botapi.errors import MethodError, bad
from omnibridge.clock import Clock
from omnibridge.connector import Callback, Reply
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.ids import IdSequence, conversation_of
from omnibridge.engine.lanes import Lanes
from omnibridge.storage import bot_chats, bot_posts, conversations, journal
from omnibridge.storage.bot_chats import Chat
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation
from omnibridge.storage.tables import PENDING

DECIDED_LOOKS, LOOK_S = 150, 0.02
"""What a bot says is decided right after it was journalled; so an edit of it waits for that, and no longer."""

_encode = msgspec.json.Encoder().encode
_state = msgspec.json.Decoder(Conversation)


class Speaking:
    """workspaces: connection -> its workspace."""

    def __init__(
        self, database: Database, lanes: Lanes, ids: IdSequence, clock: Clock, workspaces: Mapping[str, str]
    ) -> None:
        self._database, self._lanes, self._ids, self._clock = database, lanes, ids, clock
        self._workspaces = workspaces

    def chat(self, bot: Bot, chat_id: int) -> Chat:
        """Raises MethodError 400 when it is not one of this bot's."""
        found = bot_chats.chat(self._database.reader, bot.connection, chat_id)
        if found is None:
            raise bad("chat not found")
        return found

    def room(self, bot: Bot, chat: Chat) -> str:
        """Where this bot may speak now. Raises MethodError: 403 while others have control, 400 when it is over."""
        identity = conversation_of(self._database.secret, chat.session, bot.connection)
        place = conversations.room_of(self._database.reader, identity) if identity is not None else None
        found = conversations.load(self._database.reader, *place) if place else None
        if place is None or found is None:
            raise bad("chat not found")
        conversation = _state.decode(found[2])
        if conversation.closed:
            raise MethodError(403, "Forbidden: the conversation is closed")
        if conversation.control.connection != bot.connection:
            raise MethodError(403, "Forbidden: somebody else serves this conversation now")
        return place[1]

    async def say(
        self, bot: Bot, user: dict[str, Any], chat: Chat, reply: Reply, text: str, markup: Any, dedupe: str = ""
    ) -> dict[str, Any]:
        """Durable when it returns: the message as Telegram answers it. dedupe: the same only once."""
        room = self.room(bot, chat)
        key = f"bot:{bot.connection}:{dedupe}" if dedupe else None
        if key is not None and (said := self._said_under(key, chat)) is not None:
            return said
        now, observation_id = self._clock.now_ms(), self._ids.next()
        made: list[dict[str, Any]] = []

        def unit(cursor: Any) -> None:
            number = bot_chats.next_message_id(cursor, chat.id)
            message = shapes.bot_message(user, chat.id, chat.first_name, number, now, text, markup)
            bot_chats.keep_message(cursor, chat.id, number, observation_id, now, _encode(message))
            made.append(message)

        await self._database.writer.submit(unit)
        await self._journal(bot, room, observation_id, Callback(chat.session, reply), key)
        return made[-1]

    def message(self, chat: Chat, message_id: int) -> dict[str, Any]:
        """One that the bot said. Raises MethodError 400."""
        body = bot_chats.message(self._database.reader, chat.id, message_id)
        if body is None:
            raise bad("message to edit not found")
        return dict(msgspec.json.decode(body))

    async def shown_as(self, bot: Bot, chat: Chat, message_id: int) -> str:
        """The hub's id of a message that the bot said. Raises MethodError 400 when the hub has none, 429 when it is
        not decided yet."""
        said_by = bot_posts.said_as(self._database.reader, chat.id, message_id)
        conversation = conversation_of(self._database.secret, chat.session, bot.connection)
        if said_by is None or conversation is None:
            raise bad("message to edit not found")
        for _ in range(DECIDED_LOOKS):
            if bot_posts.observation_state(self._database.reader, said_by) != PENDING:
                break
            await asyncio.sleep(LOOK_S)
        else:
            raise MethodError(429, "Too Many Requests: the message is not sent yet; retry after 1", 1)
        found = bot_posts.hub_ids(self._database.reader, conversation, said_by)
        if not found:
            raise bad("message can't be edited: the visitor was not shown it, or too long ago")
        if len(found) > 1:
            raise bad(f"message can't be edited: the visitor was shown it in {len(found)} parts")
        return found[0]

    async def change(self, bot: Bot, chat: Chat, changed: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """A message of the bot's is another from now on. reply: what the visitor is to see of that, if anything."""
        room, identity = self.room(bot, chat), self._ids.next()
        changed = {**changed, "edit_date": self._clock.now_ms() // 1000}
        body, message_id = _encode(changed), changed["message_id"]

        def unit(cursor: Any) -> None:
            bot_chats.change_message(cursor, chat.id, message_id, body)
            bot_posts.edited_by(cursor, chat.id, message_id, identity)

        await self._database.writer.submit(unit)
        if reply != Reply():
            await self._journal(bot, room, identity, Callback(chat.session, reply), None)
        return changed

    async def act(self, bot: Bot, chat: Chat, reply: Reply) -> None:
        """What has no words: handing over, ending."""
        await self._journal(bot, self.room(bot, chat), self._ids.next(), Callback(chat.session, reply), None)

    async def _journal(self, bot: Bot, room: str, identity: int, said: Callback, key: str | None) -> None:
        workspace, now = self._workspaces[bot.connection], self._clock.now_ms()
        row = Observation(identity, workspace, room, "callback", bot.connection, now, _encode(said), key)
        await self._lanes.take_in(row)

    def _said_under(self, key: str, chat: Chat) -> dict[str, Any] | None:
        found = journal.by_dedupe(self._database.reader, key)
        if found is None:
            return None
        number = bot_posts.number_of(self._database.reader, chat.id, found[0])
        return self.message(chat, number) if number is not None else {}
