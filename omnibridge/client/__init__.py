"""A client for bots and for those who talk to them: nothing of the server is imported, only httpx2 and msgspec.

    async with BotClient("https://bridge.example.com", TOKEN) as bot:
        async for update in bot.updates():
            if update.message:
                await bot.send(update.message.chat.id, f"You said: {update.message.text}")

`verify` checks what a webhook was sent, `send_to_bot` tells a bot what somebody pressed, `HubUser` speaks for a bot
that has a log-in at Rocket.Chat itself.
"""

from omnibridge.client.bot import BotClient
from omnibridge.client.errors import BotApiError
from omnibridge.client.hub import HubUser
from omnibridge.client.shapes import Button, CallbackQuery, Chat, Message, Update, User
from omnibridge.client.signature import verify
from omnibridge.client.to_bot import send_to_bot

__all__ = [
    "BotApiError",
    "BotClient",
    "Button",
    "CallbackQuery",
    "Chat",
    "HubUser",
    "Message",
    "Update",
    "User",
    "send_to_bot",
    "verify",
]
