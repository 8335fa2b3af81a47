"""What a visitor changes or takes back: told to a bot that wants to know, in the stream of its turns and behind them.

A turn that is still on its way goes first, as it was said: a change that works only when it is fast enough would be
worse than none. What was written to somebody else, or before the bot had the conversation, is told all the same: a bot
knows the messages that it had by their ids.
"""

from __future__ import annotations

from omnibridge.domain import events as ev
from omnibridge.domain.commands import EditTurn, RetractTurn
from omnibridge.routing.context import Context
from omnibridge.routing.decision import Decision


def edited(context: Context, event: ev.MessageEdited) -> Decision:
    connection = _wanted_by(context)
    if event.author != "visitor" or not connection:
        return context.nothing("MessageEdited is recorded; nothing follows from it")
    command = EditTurn(connection, event.message_id, event.text, event.edited_at)
    return context.decide(f"the visitor changed what he wrote: {connection} is told", context.conversation, command)


def deleted(context: Context, event: ev.MessageDeleted) -> Decision:
    connection = _wanted_by(context)
    if event.author != "visitor" or not connection:
        return context.nothing("MessageDeleted is recorded; nothing follows from it")
    command = RetractTurn(connection, event.message_id)
    return context.decide(f"the visitor deleted what he wrote: {connection} is told", context.conversation, command)


def _wanted_by(context: Context) -> str:
    """The connection in control, if it hears of changes; else empty."""
    connection = context.conversation.control.connection
    bot = context.directory.connection(connection) if connection else None
    return connection if bot is not None and bot.hears_edits else ""
