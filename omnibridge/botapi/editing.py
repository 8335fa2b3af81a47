"""Methods that change what a bot said: the visitor sees the message change where the hub lets us, else it anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnibridge.botapi import shapes
from omnibridge.botapi.connector import BotApiConnector
from omnibridge.botapi.content import plain_text, to_content
from omnibridge.botapi.errors import MethodError, bad
from omnibridge.botapi.parameters import Parameters
from omnibridge.botapi.speaking import Speaking
from omnibridge.connector import Choices, Content, Reply, Text
from omnibridge.domain.interactions import MessageUpdate
from omnibridge.storage.bots import Bot


class Editing:
    """connectors: by connection, those of kind bot_api."""

    def __init__(self, speaking: Speaking, connectors: Mapping[str, BotApiConnector]) -> None:
        self._speaking, self._connectors = speaking, connectors

    async def text(self, bot: Bot, parameters: Parameters) -> Any:
        """editMessageText, and ours updateMessage: another text, and the buttons that are given now."""
        return await self._edit(bot, parameters, plain_text(parameters.text("text"), parameters.text("parse_mode")))

    async def caption(self, bot: Bot, parameters: Parameters) -> Any:
        """Of a message with a file. One of text alone has none."""
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        if "text" in self._speaking.message(chat, parameters.integer("message_id")):
            raise bad("there is no caption in the message to edit")
        raise bad("message can't be edited: the hub keeps a file and its words as they were sent")

    async def markup(self, bot: Bot, parameters: Parameters) -> Any:
        """editMessageReplyMarkup: the words stay."""
        return await self._edit(bot, parameters, None)

    async def delete(self, bot: Bot, parameters: Parameters) -> bool:
        """Raises MethodError 400 always: a bot user may not delete, and what visitors were told is kept."""
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        try:
            self._speaking.message(chat, parameters.integer("message_id"))
        except MethodError:
            raise bad("message to delete not found") from None
        raise bad("message can't be deleted for everyone: the hub keeps what visitors were told; edit it instead")

    async def _edit(self, bot: Bot, parameters: Parameters, text: str | None) -> Any:
        """text: None = as it was."""
        if not bot.may("edits"):
            raise bad("message can't be edited: the operator switched this bot's capability 'edits' off")
        if "inline_message_id" in parameters:
            raise bad("inline messages are not offered here; give chat_id and message_id")
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        message = self._speaking.message(chat, parameters.integer("message_id"))
        if "text" not in message:
            raise bad("there is no text in the message to edit")
        connector, markup = self._connectors[bot.connection], parameters.value("reply_markup")
        content = to_content(message["text"] if text is None else text, markup, connector.context.count)
        bare = {name: value for name, value in message.items() if name not in ("reply_markup", "omnibridge")}
        changed = {**bare, **shapes.kept_markup(markup), "text": message["text"] if text is None else text}
        if {**changed, "edit_date": 0} == {**message, "edit_date": 0}:
            raise bad(
                "message is not modified: specified new message content and reply markup are exactly the same as a "
                "current content and reply markup of the message"
            )
        if connector.settings.edits == "refuse":
            connector.context.count("edit_refused", 1)
            raise bad("message can't be edited")
        only_choices = text is None and not isinstance(content, Choices)
        if connector.settings.edits == "post":
            connector.context.count("buttons_not_removed" if only_choices else "edit_posted", 1)
            return await self._speaking.change(bot, chat, changed, Reply() if only_choices else Reply((content,)))
        hub_id = await self._speaking.shown_as(bot, chat, message["message_id"])
        connector.context.count("edited", 1)
        update = MessageUpdate(hub_id, _shown(content, message["text"], only_choices), only_choices=only_choices)
        return await self._speaking.change(bot, chat, changed, Reply(updates=(update,)))


def _shown(content: Content, text: str, only_choices: bool) -> Content:
    return Text(text) if only_choices else content
