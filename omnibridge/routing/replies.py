"""What a bot's answer, its silence or its failure leads to."""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import CloseConversation, Command, SendToVisitor
from omnibridge.domain.content import Card, Choices, Content, Custom, Option
from omnibridge.domain.conversation import Conversation
from omnibridge.routing import handover
from omnibridge.routing.context import Context, poster, tell
from omnibridge.routing.decision import Decision

_replace = msgspec.structs.replace


def replied(context: Context, event: ev.PartyReplied) -> Decision:
    """Say it, then hand over or close if the bot asked for it; handover wins over close."""
    conversation = context.conversation
    if conversation.control.connection != event.connection:
        return context.nothing(f"{event.connection} answered, but {conversation.control.party} is in control now")
    posts_as = poster(conversation, event.connection)
    shown = [each for each in event.parts if not isinstance(each, Custom)]
    says: tuple[Command, ...] = tuple(SendToVisitor(each, posts_as) for each in shown)
    fallbacks = conversation.fallbacks + 1 if event.fallback else 0 if not event.welcome else conversation.fallbacks
    after = _replace(
        conversation,
        waiting=conversation.waiting[1:],
        options=_options(event.parts),
        fallbacks=fallbacks,
        told_delay=False,
    )
    context = _with(context, after)
    bot = context.directory.connection(event.connection)
    if event.handover:
        why = f" ({event.handover_reason})" if event.handover_reason else ""
        reason = f"{event.connection} asked for a person{why}"
        return handover.begin(context, reason, department=event.handover_department, before=says)
    if bot and bot.fallbacks and fallbacks >= bot.fallbacks:
        reason = f"{event.connection} did not understand {fallbacks} times in a row"
        return handover.begin(context, reason, before=says, say=context.rules.texts.handover)
    if event.close:
        comment = CloseConversation(context.rules.texts.close_comment or "Closed.")
        return context.decide(f"{event.connection} closes the conversation", after, *says, comment)
    if not shown:
        return context.decide(f"{event.connection} said nothing", after)
    not_understood = f"; not understood {fallbacks} in a row" if fallbacks else ""
    return context.decide(f"{event.connection} answered{not_understood}", after, *says)


def delayed(context: Context, event: ev.DeliveryDelayed) -> Decision:
    """Leave the visitor no longer without a word, once per wait."""
    conversation = context.conversation
    told = tell(conversation, context.rules.texts.delayed, event.connection)
    if conversation.told_delay or not told or conversation.control.connection != event.connection:
        return context.nothing("the visitor knows already, or need not")
    after = _replace(conversation, told_delay=True)
    return context.decide(f"{event.connection} is slow: the visitor is told", after, *told)


def buried(context: Context, event: ev.DeliveryBuried) -> Decision:
    """Given up: tell the visitor and go on; a bot that is down gives way to people if so configured."""
    conversation = context.conversation
    connection = conversation.control.connection
    if event.command in ("ListAgents", "AssignAgent", "TransferToDepartment", "ReturnToQueue"):
        if conversation.handover.stage != "idle":
            return handover.nobody(context, conversation, f"{event.command} could not be carried out ({event.code})")
        return context.nothing(f"{event.command} could not be carried out ({event.code})")
    if event.command != "SendToParty" or connection != event.connection:
        told = tell(conversation, context.rules.texts.undeliverable, "") if event.command == "SendToVisitor" else ()
        return context.decide(f"{event.command} could not be delivered ({event.code})", conversation, *told)
    after = _replace(conversation, waiting=conversation.waiting[1:])
    context = _with(context, after)
    reason = f"{connection} cannot be reached ({event.code})"
    bot = context.directory.connection(connection)
    if bot and bot.handover_when_down:
        return handover.begin(context, reason, say=context.rules.texts.bot_down)
    told = tell(conversation, context.rules.texts.bot_down, connection)
    return context.decide(f"{reason}: the visitor is told", after, *told)


def _options(parts: tuple[Content, ...]) -> tuple[Option, ...]:
    offered = [each.options for each in parts if isinstance(each, Choices | Card) and each.options]
    return tuple(option for option in offered[-1] if option.url is None) if offered else ()


def _with(context: Context, conversation: Conversation) -> Context:
    return _replace(context, conversation=conversation)
