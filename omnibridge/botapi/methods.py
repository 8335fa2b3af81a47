"""The methods that bots call, by name. What is not here is answered 404 with its name."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from omnibridge.botapi.connector import BotApiConnector
from omnibridge.botapi.content import plain_text, to_content
from omnibridge.botapi.editing import Editing
from omnibridge.botapi.errors import MethodError, bad
from omnibridge.botapi.files import Files
from omnibridge.botapi.parameters import Parameters
from omnibridge.botapi.polling import Polling
from omnibridge.botapi.queue import UpdateQueue
from omnibridge.botapi.sending_files import SendingFiles
from omnibridge.botapi.speaking import Speaking
from omnibridge.botapi.webhooks import Webhooks
from omnibridge.connector import Handover, Reply
from omnibridge.storage import bots
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database

Method = Callable[[Bot, Parameters], Awaitable[Any]]
LONGEST_REASON = 200
IGNORED = ("reply_parameters", "reply_to_message_id", "entities", "message_thread_id", "protect_content")
"""Of sendMessage: what nobody here can be shown. Counted."""

_command = re.compile(r"[a-z0-9_]{1,32}")
MOST_COMMANDS, LONGEST_DESCRIPTION = 100, 256


class Methods:
    """connectors: by connection, those of kind bot_api."""

    def __init__(
        self,
        database: Database,
        queue: UpdateQueue,
        polling: Polling,
        speaking: Speaking,
        webhooks: Webhooks,
        connectors: Mapping[str, BotApiConnector],
        files: Files | None = None,
    ) -> None:
        self._database, self._queue, self._speaking, self._connectors = database, queue, speaking, connectors
        editing = Editing(speaking, connectors)
        self._methods: dict[str, Method] = {
            "getme": self._get_me,
            "getupdates": polling.get_updates,
            "setwebhook": webhooks.set,
            "deletewebhook": webhooks.delete,
            "getwebhookinfo": webhooks.info,
            "setmycommands": self._set_my_commands,
            "getmycommands": self._get_my_commands,
            "deletemycommands": self._set_my_commands,
            "sendmessage": self._send_message,
            "sendlocation": self._send_location,
            "sendvenue": self._send_location,
            "copymessage": self._refuse_copy,
            "forwardmessage": self._refuse_copy,
            "editmessagetext": editing.text,
            "updatemessage": editing.text,
            "editmessagecaption": editing.caption,
            "editmessagereplymarkup": editing.markup,
            "deletemessage": editing.delete,
            "answercallbackquery": self._answer_callback_query,
            "sendchataction": self._send_chat_action,
            "getchat": self._get_chat,
            "leavechat": self._leave_chat,
            "endchat": self._end_chat,
        }
        if files is not None:
            sending = SendingFiles(files.port, queue, speaking, connectors)
            self._methods["getfile"] = files.get_file
            self._methods["senddocument"] = sending.send_document
            self._methods["sendphoto"] = sending.send_photo

    async def call(self, bot: Bot, name: str, parameters: Parameters, dedupe: str = "") -> Any:
        """Its result. dedupe: of a call that may come twice. Raises MethodError."""
        method = self._methods.get(name.casefold())
        if method is None:
            shown = re.sub(r"[^A-Za-z0-9]", "", name)[:40]
            raise MethodError(404, f"Not Found: method {shown} is not offered here; see README, bots of your own")
        if dedupe and name.casefold() == "sendmessage":
            return await self._send_message(bot, parameters, dedupe)
        return await method(bot, parameters)

    def is_known(self, name: str) -> bool:
        return name.casefold() in self._methods

    async def _get_me(self, bot: Bot, parameters: Parameters) -> Any:
        return {
            **self._queue.user_of(bot),
            "can_join_groups": False,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }

    async def _set_my_commands(self, bot: Bot, parameters: Parameters) -> bool:
        """Kept for getMyCommands; visitors have no menu to be shown them in. Without commands they are deleted."""
        found = parameters.value("commands") or []
        if not isinstance(found, list) or len(found) > MOST_COMMANDS:
            raise bad(f"commands must be a list of at most {MOST_COMMANDS}")
        kept = []
        for each in found:
            name, description = (each.get("command"), each.get("description")) if isinstance(each, dict) else ("", "")
            if not isinstance(name, str) or not _command.fullmatch(name.removeprefix("/")):
                raise bad("BOT_COMMAND_INVALID")
            if not isinstance(description, str) or not 1 <= len(description) <= LONGEST_DESCRIPTION:
                raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
            kept.append({"command": name.removeprefix("/"), "description": description})
        stored = msgspec.json.encode(kept).decode()
        await self._database.writer.submit(lambda cursor: bots.set_commands(cursor, bot.connection, stored))
        return True

    async def _get_my_commands(self, bot: Bot, parameters: Parameters) -> Any:
        return msgspec.json.decode(bot.commands) if bot.commands else []

    # -- speaking ---------------------------------------------------------------------------------------

    async def _send_message(self, bot: Bot, parameters: Parameters, dedupe: str = "") -> Any:
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        text = plain_text(parameters.text("text"), parameters.text("parse_mode"))
        markup = parameters.value("reply_markup")
        count = self._connectors[bot.connection].context.count
        content = to_content(text, markup, count)
        for each in IGNORED:
            if each in parameters:
                count(f"{each}_ignored", 1)
        return await self._speaking.say(bot, self._queue.user_of(bot), chat, Reply((content,)), text, markup, dedupe)

    async def _send_location(self, bot: Bot, parameters: Parameters) -> Any:
        """sendLocation and sendVenue: as a link to a map, with the venue's title and address in front."""
        found = []
        for name, most in (("latitude", 90.0), ("longitude", 180.0)):
            try:
                number = float(parameters.text(name, required=True))
            except ValueError:
                raise bad(f"{name} must be a number") from None
            if not abs(number) <= most:  # also what is no number
                raise bad(f"{name} must be from -{most:g} to {most:g}")
            found.append(f"{number:.6f}")
        link = "https://www.openstreetmap.org/?mlat={0}&mlon={1}#map=16/{0}/{1}".format(*found)
        words = [parameters.text(each).strip() for each in ("title", "address")]
        chat, markup = self._speaking.chat(bot, parameters.integer("chat_id")), parameters.value("reply_markup")
        text = plain_text("\n".join([*filter(None, words), link]), "")
        content = to_content(text, markup, self._connectors[bot.connection].context.count)
        return await self._speaking.say(bot, self._queue.user_of(bot), chat, Reply((content,)), text, markup)

    async def _refuse_copy(self, bot: Bot, parameters: Parameters) -> Any:
        raise bad("messages can't be forwarded or copied here: send their text with sendMessage")

    async def _answer_callback_query(self, bot: Bot, parameters: Parameters) -> bool:
        """Ends the waiting sign on a button, which visitors here do not have. An alert is said, a notice counted."""
        found = re.fullmatch(r"(\d{1,15})-\d{1,15}", parameters.text("callback_query_id", required=True))
        if found is None:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        chat = self._speaking.chat(bot, int(found[1]))
        text = parameters.text("text")
        if text.strip() and parameters.flag("show_alert"):
            content = to_content(plain_text(text, ""), None, self._connectors[bot.connection].context.count)
            await self._speaking.say(bot, self._queue.user_of(bot), chat, Reply((content,)), text, None)
        elif text.strip():
            self._connectors[bot.connection].context.count("notice_not_shown", 1)
        return True

    async def _send_chat_action(self, bot: Bot, parameters: Parameters) -> bool:
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        parameters.text("action", required=True)
        self._connectors[bot.connection].context.typing(chat.session, True)
        return True

    async def _get_chat(self, bot: Bot, parameters: Parameters) -> Any:
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        return {
            "id": chat.id,
            "type": "private",
            "first_name": chat.first_name,
            "accent_color_id": 0,
            "max_reaction_count": 0,
        }

    # -- giving way -------------------------------------------------------------------------------------

    async def _leave_chat(self, bot: Bot, parameters: Parameters) -> bool:
        """The bot asks for a person. department, reason: ours, beyond Telegram."""
        chat = self._speaking.chat(bot, parameters.integer("chat_id"))
        reason = parameters.text("reason")[:LONGEST_REASON]
        await self._speaking.act(bot, chat, Reply(handover=Handover(parameters.text("department"), reason)))
        return True

    async def _end_chat(self, bot: Bot, parameters: Parameters) -> bool:
        """Close the conversation; not Telegram's."""
        await self._speaking.act(bot, self._speaking.chat(bot, parameters.integer("chat_id")), Reply(close=True))
        return True
