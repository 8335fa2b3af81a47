"""What a bot says: journalled as a callback of its connection, so the lane decides whether and when it is heard."""

from __future__ import annotations

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
from omnibridge.storage import bots, conversations
from omnibridge.storage.bots import Bot, Chat
from omnibridge.storage.database import Database
from omnibridge.storage.journal import Observation

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
        found = bots.chat(self._database.reader, bot.connection, chat_id)
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
        now, observation_id = self._clock.now_ms(), self._ids.next()
        made: list[dict[str, Any]] = []

        def unit(cursor: Any) -> None:
            number = bots.next_message_id(cursor, chat.id)
            message = shapes.bot_message(user, chat.id, chat.first_name, number, now, text, markup)
            bots.keep_message(cursor, chat.id, number, observation_id, now, _encode(message))
            made.append(message)

        await self._database.writer.submit(unit)
        if key is None or not self._is_journalled(key):
            await self._journal(bot, room, observation_id, Callback(chat.session, reply), key)
        return made[-1]

    def message(self, chat: Chat, message_id: int) -> dict[str, Any]:
        """One that the bot said. Raises MethodError 400."""
        body = bots.message(self._database.reader, chat.id, message_id)
        if body is None:
            raise bad("message to edit not found")
        return dict(msgspec.json.decode(body))

    async def change(self, bot: Bot, chat: Chat, changed: dict[str, Any], reply: Reply | None) -> dict[str, Any]:
        """A message of the bot's is another from now on. reply: what the visitor is to see of that."""
        room = self.room(bot, chat)
        changed = {**changed, "edit_date": self._clock.now_ms() // 1000}
        body, message_id = _encode(changed), changed["message_id"]
        await self._database.writer.submit(lambda cursor: bots.change_message(cursor, chat.id, message_id, body))
        if reply is not None:
            await self._journal(bot, room, self._ids.next(), Callback(chat.session, reply), None)
        return changed

    async def act(self, bot: Bot, chat: Chat, reply: Reply) -> None:
        """What has no words: handing over, ending."""
        await self._journal(bot, self.room(bot, chat), self._ids.next(), Callback(chat.session, reply), None)

    async def _journal(self, bot: Bot, room: str, identity: int, said: Callback, key: str | None) -> None:
        workspace, now = self._workspaces[bot.connection], self._clock.now_ms()
        row = Observation(identity, workspace, room, "callback", bot.connection, now, _encode(said), key)
        await self._lanes.take_in(row)

    def _is_journalled(self, key: str) -> bool:
        found = self._database.reader.execute("SELECT 1 FROM observations WHERE dedupe = ?", (key,))
        return found.fetchone() is not None
