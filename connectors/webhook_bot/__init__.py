"""Any bot behind one URL: each turn is one signed POST, and its answer is the reply."""

from connectors.webhook_bot.connector import WebhookBotConnector as connector

__all__ = ["connector"]
