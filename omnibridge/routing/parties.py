"""Putting a connection in control: a bot takes the conversation at once, a desk is offered it."""

from __future__ import annotations

import msgspec

from omnibridge.domain.commands import AssignAgent, Command, OpenSession, ResumeTurns, SendToParty, StartTimer
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
    after, turns = take_over(conversation, name)
    after, commands = serve(conversation, after, party)
    if party.welcomes and conversation.session != name:
        commands = (*commands, SendToParty(name, welcome=True))
        after = _replace(after, waiting=(VisitorTurn(welcome=True), *after.waiting))
    return context.decide(reason, after, *commands, *turns, rule=rule, considered=considered)


def take_over(conversation: Conversation, name: str) -> tuple[Conversation, tuple[Command, ...]]:
    """A bot is in control now; from a desk it gets what was held."""
    held = held_for_next(conversation) if conversation.desk else ()
    after = _replace(pass_control(conversation, bot_party(name)), session=name, desk=None)
    return catch_up(after, name, held, resumes=name == giver_of(conversation))


def offer(
    context: Context, party: BotConnection, desk: Desk, reason: str, department: str = ""
) -> tuple[Conversation, tuple[Command, ...]]:
    """The desk is in control, so that what the visitor writes waits for it and nobody else answers meanwhile; its
    session is opened, and somebody has to accept in time. What the bot had to answer is kept for it."""
    conversation = context.conversation
    state = DeskState(party.name, giver=giver_of(conversation), since=context.now_ms)
    after = _replace(
        pass_control(conversation, bot_party(party.name)),
        desk=state,
        held=held_for_next(conversation),
        handover=Handover(started_at=(*conversation.handover.started_at[-MOST_REMEMBERED:], context.now_ms)),
    )
    after, commands = serve(conversation, after, party)
    return after, (
        *commands,
        OpenSession(party.name, reason, department, desk.offer_ms),
        StartTimer(OFFER, party.name, desk.offer_ms),
    )


def giver_of(conversation: Conversation) -> str:
    """The bot that has it back if nobody takes over: never a desk, whose session ends when it gives way."""
    return conversation.desk.giver if conversation.desk else conversation.control.connection


def held_for_next(conversation: Conversation) -> tuple[VisitorTurn, ...]:
    """What the party in control had to answer, for who comes next. What a desk was not given yet is new to a bot."""
    desk = conversation.desk
    if desk is None:
        return kept_back(conversation)
    return conversation.held if desk.stage == "offered" else conversation.waiting


def catch_up(
    after: Conversation, name: str, held: tuple[VisitorTurn, ...], *, resumes: bool
) -> tuple[Conversation, tuple[Command, ...]]:
    """What was held goes to the bot that has control now. resumes: the turns that were given are its own, and its rows
    are there already."""
    n_given = sum(turn.given for turn in held) if resumes else 0
    resumed = (ResumeTurns(name, n_given),) if n_given else ()
    turns = (send_turn(name, turn) for turn in held if not (resumes and turn.given))
    waiting = tuple(_replace(turn, given=False) for turn in held)
    return _replace(after, held=(), waiting=(*after.waiting, *waiting)), (*resumed, *turns)


def serve(
    before: Conversation, after: Conversation, party: BotConnection
) -> tuple[Conversation, tuple[AssignAgent, ...]]:
    """Its user is given the room, unless he has it: then, too, where an earlier move would take it from him."""
    if before.served_by is not None and before.served_by.id == party.user_id and not before.coming:
        return after, ()
    return _replace(after, coming=party.user_id), (AssignAgent(party.user_id, party.username, party.name),)


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


def gives_way(conversation: Conversation, connection: str) -> bool:
    """Whether somebody is looked for in the place of this party, which goes on if nobody comes: what it says meanwhile
    is kept, and what it is to hear."""
    desk = conversation.desk
    is_offered = desk is not None and desk.stage == "offered" and desk.giver == connection
    return is_offered or (conversation.handover.stage != "idle" and conversation.handover.from_connection == connection)
