"""The bot API: any bot registers and talks to us as it would to Telegram.

visitor's turn ─▶ BotApiConnector ─▶ bot_updates (durable) ─▶ getUpdates, or the bot's webhook
sendMessage ─▶ journal, as a callback of its connection ─▶ lane ─▶ visitor

A connection of `kind = "bot_api"` is a party like any other: what its bot says counts while it is in control.
"""

from omnibridge.botapi.connector import BotApiConnector as connector

__all__ = ["connector"]
