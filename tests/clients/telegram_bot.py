"""PyPI `python-telegram-bot`, unchanged but for its base URL: a bot with an inline keyboard, by polling or webhook.

    python telegram_bot.py polling|webhook BRIDGE TOKEN [PORT]

Says `listening`, then runs until it is stopped: `/start` is answered with a keyboard, a choice by an edit of that
message to `chose DATA`, anything else by `pong TEXT`.
"""

from __future__ import annotations

import sys
from typing import Any

from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.constants import ChatAction
from telegram.error import BadRequest
from telegram.ext import Application, CallbackQueryHandler, CommandHandler, MessageHandler, filters

mode, bridge, token, *rest = sys.argv[1:]
KEYBOARD = InlineKeyboardMarkup(
    [[InlineKeyboardButton("Tea", callback_data="t")], [InlineKeyboardButton("Mate", callback_data="m")]]
)


async def start(update: Update, context: Any) -> None:
    assert update.effective_chat and update.message and update.message.from_user
    await update.effective_chat.send_action(ChatAction.TYPING)
    sent = await update.message.reply_text(f"Hello {update.message.from_user.first_name}", reply_markup=KEYBOARD)
    assert sent.chat.id == update.message.chat.id and sent.message_id > update.message.message_id


async def chosen(update: Update, context: Any) -> None:
    query = update.callback_query
    assert query and query.message and query.message.message_id
    await query.answer()
    await query.edit_message_text(f"<b>chose</b> {query.data}", parse_mode="HTML")
    try:
        await query.edit_message_text(f"<b>chose</b> {query.data}", parse_mode="HTML")
    except BadRequest as exc:
        assert "is not modified" in exc.message  # what bots look for
    else:
        raise AssertionError("an edit that changes nothing was taken")


async def said(update: Update, context: Any) -> None:
    assert update.message
    await update.message.reply_text(f"pong {update.message.text}")


async def ready(app: Application) -> None:  # type: ignore[type-arg]
    me = await app.bot.get_me()
    assert me.is_bot and me.username == "helper_bot"
    await app.bot.set_my_commands([BotCommand("start", "begin")])
    assert [each.command for each in await app.bot.get_my_commands()] == ["start"]
    print("listening", flush=True)


app = Application.builder().token(token).base_url(f"{bridge}/bot").post_init(ready).build()
app.add_handler(CommandHandler("start", start))
app.add_handler(CallbackQueryHandler(chosen))
app.add_handler(MessageHandler(filters.TEXT, said))
if mode == "polling":
    app.run_polling(timeout=5)
else:
    port = int(rest[0])
    url = f"http://127.0.0.1:{port}/hook"
    app.run_webhook(listen="127.0.0.1", port=port, url_path="hook", webhook_url=url, secret_token="s3cret")
