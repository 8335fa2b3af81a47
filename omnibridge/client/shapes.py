"""What bots get and give, in Telegram's form; others are left out. `omnibridge` holds what is not Telegram's."""

from __future__ import annotations

from typing import Any

import msgspec


class User(msgspec.Struct, frozen=True):
    id: int
    first_name: str
    is_bot: bool = False
    username: str = ""


class Chat(msgspec.Struct, frozen=True):
    """A conversation."""

    id: int
    type: str = "private"
    first_name: str = ""


class Message(msgspec.Struct, frozen=True):
    """date: seconds; 0 = a message that is not known any more. text: empty in one without words."""

    message_id: int
    chat: Chat
    date: int
    text: str = ""
    edit_date: int = 0
    reply_markup: dict[str, Any] = {}
    omnibridge: dict[str, Any] = {}


class CallbackQuery(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """Somebody pressed or picked something. message: the bot's own that offered it."""

    id: str
    sender: User
    message: Message
    data: str = ""
    omnibridge: dict[str, Any] = {}


class Update(msgspec.Struct, frozen=True):
    """One of the others is set. my_chat_member: the conversation is over for the bot."""

    update_id: int
    message: Message | None = None
    callback_query: CallbackQuery | None = None
    my_chat_member: dict[str, Any] | None = None


class Button(msgspec.Struct, frozen=True):
    """data: what the bot gets, empty = the text; url: opens a page instead."""

    text: str
    data: str = ""
    url: str = ""


def keyboard(buttons: tuple[Button, ...] | list[Button]) -> dict[str, Any]:
    """An inline keyboard with one button in each row."""
    rows = [
        [
            {"text": each.text, "url": each.url}
            if each.url
            else {"text": each.text, "callback_data": each.data or each.text}
        ]
        for each in buttons
    ]
    return {"inline_keyboard": rows}
