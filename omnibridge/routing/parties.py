"""Putting a connection in control: a bot takes the conversation at once, a desk is offered it."""

from __future__ import annotations

import msgspec

from omnibridge.domain.commands import AssignAgent, Command, OpenSession, SendToParty, StartTimer
from omnibridge.domain.conversation import QUEUE, Conversation, DeskState, Handover, VisitorTurn, bot_party
from omnibridge.domain.directory import BotConnection, Desk
from omnibridge.routing.context import Context, kept_back, pass_control, send_turn
from omnibridge.routing.decision import Considered, Decision

_replace = msgspec.structs.replace

OFFER = "offer"
"""The timer of a desk that was offered a conversation."""

MOST_REMEMBERED = 20


def give_to_party(
    context: Context, name: str, reason: str, rule: str = "", considered: tuple[Considered, ...] = ()
) -> Decision:
    """Of this workspace; the queue, when there is no such connection."""
    conversation = context.conversation
    party = context.directory.connection(name)
    if party is None or party.workspace != conversation.workspace:
        after = pass_control(conversation, QUEUE)
        why = f"{reason}, but connection {name!r} is not configured for this workspace: left in the queue"
        return context.decide(why, after, rule=rule, considered=considered)
    if party.desk is not None:
        after, commands = offer(context, party, party.desk, reason)
        return context.decide(reason, after, *commands, rule=rule, considered=considered)
    after = _replace(pass_control(conversation, bot_party(name)), session=name)
    commands = serve(conversation, party)
    if party.welcomes and conversation.session != name:
        commands = (*commands, SendToParty(name, welcome=True))
        after = _replace(after, waiting=(VisitorTurn(welcome=True),))
    return context.decide(reason, after, *commands, rule=rule, considered=considered)


def offer(
    context: Context, party: BotConnection, desk: Desk, reason: str, department: str = ""
) -> tuple[Conversation, tuple[Command, ...]]:
    """The desk is in control, so that what the visitor writes waits for it and nobody else answers meanwhile; its
    session is opened, and somebody has to accept in time. What the bot had to answer is kept for it."""
    conversation = context.conversation
    state = DeskState(party.name, giver=conversation.control.connection)
    after = _replace(
        pass_control(conversation, bot_party(party.name)),
        desk=state,
        held=kept_back(conversation),
        handover=Handover(started_at=(*conversation.handover.started_at[-MOST_REMEMBERED:], context.now_ms)),
    )
    return after, (
        *serve(conversation, party),
        OpenSession(party.name, reason, department, desk.offer_ms),
        StartTimer(OFFER, party.name, desk.offer_ms),
    )


def serve(conversation: Conversation, party: BotConnection) -> tuple[Command, ...]:
    """Its user is given the room, unless he has it."""
    if conversation.served_by is not None and conversation.served_by.id == party.user_id:
        return ()
    return (AssignAgent(party.user_id, party.username, party.name),)


def give_turn(
    context: Context, conversation: Conversation, connection: str, turn: VisitorTurn
) -> tuple[Conversation, SendToParty]:
    """To the party in control, which owes an answer then. Words wait longer for a desk than for a bot, and for who
    comes next as well while nobody of the desk has accepted."""
    party = context.directory.connection(connection)
    after = _replace(conversation, waiting=(*conversation.waiting, turn))
    if conversation.desk is not None and conversation.desk.stage == "offered":
        after = _replace(after, held=(*conversation.held, turn))
    return after, send_turn(connection, turn, party.desk.turn_ms if party and party.desk else 0)
