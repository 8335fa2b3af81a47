"""The methods that bots call, by name. What is not here is answered 404 with its name."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from omnibridge.botapi.connector import BotApiConnector
from omnibridge.botapi.content import plain_text, to_content
from omnibridge.botapi.editing import Editing
from omnibridge.botapi.errors import MethodError, bad
from omnibridge.botapi.parameters import Parameters
from omnibridge.botapi.polling import Polling, allowed_updates
from omnibridge.botapi.queue import UpdateQueue
from omnibridge.botapi.speaking import Speaking
from omnibridge.botapi.webhook_url import check_url
from omnibridge.connector import Handover, Reply
from omnibridge.storage import bots
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database

Method = Callable[[Bot, Parameters], Awaitable[Any]]
LONGEST_REASON = 200
IGNORED = ("reply_parameters", "reply_to_message_id", "entities", "message_thread_id", "protect_content")
"""Of sendMessage: what nobody here can be shown. Counted."""

_secret = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Methods:
    """connectors: by connection, those of kind bot_api."""

    def __init__(
        self,
        database: Database,
        queue: UpdateQueue,
        polling: Polling,
        speaking: Speaking,
        connectors: Mapping[str, BotApiConnector],
    ) -> None:
        self._database, self._queue, self._speaking, self._connectors = database, queue, speaking, connectors
        editing = Editing(speaking, connectors)
        self._methods: dict[str, Method] = {
            "getme": self._get_me,
            "getupdates": polling.get_updates,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._get_webhook_info,
            "sendmessage": self._send_message,
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

    # -- the webhook ------------------------------------------------------------------------------------

    async def _set_webhook(self, bot: Bot, parameters: Parameters) -> bool:
        url, secret = parameters.text("url").strip(), parameters.text("secret_token")
        if not url:
            return await self._delete_webhook(bot, parameters)
        if "certificate" in parameters:
            raise bad("certificates are not taken: the operator puts yours where SSL_CERT_FILE leads")
        if secret and not _secret.fullmatch(secret):
            raise bad("secret token contains unallowed characters, or more than 256")
        most = parameters.integer("max_connections", 40)
        if not 1 <= most <= 100:
            raise bad("max_connections must be from 1 to 100")
        kinds = allowed_updates(parameters)
        await check_url(url, allow_private=self._connectors[bot.connection].settings.allow_private)

        def unit(cursor: Any) -> None:
            bots.set_webhook(cursor, bot.connection, url, secret, most)
            if kinds is not None:
                bots.allow(cursor, bot.connection, kinds)
            if parameters.flag("drop_pending_updates"):
                bots.keep_last(cursor, bot.connection, 0)

        await self._database.writer.submit(unit)
        self._queue.ring(bot.connection)
        return True

    async def _delete_webhook(self, bot: Bot, parameters: Parameters) -> bool:
        def unit(cursor: Any) -> None:
            bots.set_webhook(cursor, bot.connection, "", "", 40)
            if parameters.flag("drop_pending_updates"):
                bots.keep_last(cursor, bot.connection, 0)

        await self._database.writer.submit(unit)
        self._queue.ring(bot.connection)
        return True

    async def _get_webhook_info(self, bot: Bot, parameters: Parameters) -> Any:
        found: dict[str, Any] = {
            "url": bot.webhook_url,
            "has_custom_certificate": False,
            "pending_update_count": bots.n_waiting(self._database.reader, bot.connection),
        }
        if bot.webhook_url:
            found["max_connections"] = bot.max_connections
        if bot.last_error_at is not None:
            found |= {"last_error_date": bot.last_error_at // 1000, "last_error_message": bot.last_error}
        return found

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
