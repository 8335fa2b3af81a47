"""PyPI `aiogram`, unchanged but for its server's address: the bot of telegram_bot.py, by polling or webhook.

python aiogram_bot.py polling|webhook BRIDGE TOKEN [PORT]
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import CommandStart
from aiogram.types import BotCommand, CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from aiogram.webhook.aiohttp_server import SimpleRequestHandler, setup_application
from aiohttp import web

mode, bridge, token, *rest = sys.argv[1:]
KEYBOARD = InlineKeyboardMarkup(
    inline_keyboard=[
        [InlineKeyboardButton(text="Tea", callback_data="t")],
        [InlineKeyboardButton(text="Mate", callback_data="m")],
    ]
)
dispatcher = Dispatcher()


@dispatcher.message(CommandStart())
async def start(message: Message) -> None:
    assert message.from_user
    await message.answer(f"Hello {message.from_user.first_name}", reply_markup=KEYBOARD)


@dispatcher.callback_query()
async def chosen(query: CallbackQuery) -> None:
    assert isinstance(query.message, Message)
    await query.answer()
    await query.message.edit_text(f"<b>chose</b> {query.data}", parse_mode="HTML")
    try:
        await query.message.edit_text(f"<b>chose</b> {query.data}", parse_mode="HTML")
    except TelegramBadRequest as exc:
        assert "is not modified" in exc.message
    else:
        raise AssertionError("an edit that changes nothing was taken")


@dispatcher.message()
async def said(message: Message) -> None:
    await message.answer(f"pong {message.text}")


@dispatcher.startup()
async def ready(bot: Bot) -> None:
    me = await bot.get_me()
    assert me.is_bot and me.username == "helper_bot"
    await bot.set_my_commands([BotCommand(command="start", description="begin")])
    if mode == "webhook":
        assert await bot.set_webhook(f"http://127.0.0.1:{rest[0]}/hook", secret_token="s3cret")
    print("listening", flush=True)


def main() -> Any:
    session = AiohttpSession(api=TelegramAPIServer.from_base(bridge))
    bot = Bot(token, session=session)
    if mode == "polling":
        return asyncio.run(dispatcher.start_polling(bot, polling_timeout=5))
    app = web.Application()
    SimpleRequestHandler(dispatcher, bot, secret_token="s3cret").register(app, path="/hook")
    setup_application(app, dispatcher, bot=bot)
    return web.run_app(app, host="127.0.0.1", port=int(rest[0]), print=None)


main()
