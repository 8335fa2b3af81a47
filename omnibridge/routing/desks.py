"""People of another system who take conversations: offered, accepted, declined, ended on their side.

    bot ──hands over──▶ offered ──PartyAccepted──▶ accepted ──PartyLeft──▶ on_left
                           │ PartyDeclined, too late, cannot be reached
                           └──▶ on_declined

Through all of it the desk's connection is in control. Who speaks for it is in `personas.py`.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import CloseConversation, CloseSession, Command, HurryTurns
from omnibridge.domain.conversation import QUEUE, Conversation, DeskState
from omnibridge.domain.directory import Desk, Way
from omnibridge.routing import handover, next_steps, parties, personas
from omnibridge.routing.context import Context, end_session, handover_over, pass_control, tell, tell_once
from omnibridge.routing.decision import Decision

_replace = msgspec.structs.replace


def accepted(context: Context, event: ev.PartyAccepted) -> Decision:
    """The bot that gave it is told that it is over; who joined is shown to the visitor before his first word."""
    conversation = context.conversation
    state = conversation.desk
    if state is None or state.connection != event.connection:
        return context.nothing(f"{event.connection} accepted, but {conversation.control.party} is in control now")
    who = event.agent.name or event.agent.id if event.agent else "somebody"
    commands: tuple[Command, ...] = ()
    after = conversation
    if state.stage == "offered":
        after, commands = end_session(conversation, f"{event.connection} has taken over")
        idle = handover_over(after.handover)
        after = _replace(after, desk=_replace(state, stage="accepted", position=0, over=""), held=(), handover=idle)
    if event.agent is not None:
        after, shown = personas.say(context, after, event.agent, (), at_once=False)
        commands = (*commands, *shown)
    return context.decide(f"{who} of {event.connection} takes the conversation", after, *commands)


def declined(context: Context, event: ev.PartyDeclined) -> Decision:
    """The next step as configured; what the visitor wrote meanwhile is not lost."""
    state = context.conversation.desk
    if state is None or state.connection != event.connection:
        return context.nothing(f"{event.connection} declined, and does not have the conversation")
    words = f" ({event.text})" if event.text else ""
    if state.stage == "accepted":
        return _over(context, state, f"{event.connection} gave up: {event.code}{words}")
    return not_taken(context, state, f"{event.connection} does not take it: {event.code}{words}")


def offer_over(context: Context, event: ev.TimerFired) -> Decision:
    """Nobody accepted in time."""
    state = context.conversation.desk
    if state is None or state.stage != "offered" or state.connection != event.ref:
        return context.nothing("the offer was answered")
    return _not_taken_now(context, state, state.over or f"nobody of {event.ref} accepted in time")


def buried(context: Context, event: ev.DeliveryBuried) -> Decision | None:
    """Its session could not be opened, or words of the visitor did not reach it. None for what is not a desk's."""
    conversation = context.conversation
    state = conversation.desk
    if state is None or state.connection != event.connection:
        return None
    if event.command == "OpenSession":
        return not_taken(context, state, f"{event.connection} cannot be reached ({event.code})")
    if event.command != "SendToParty":
        return None
    if event.code == "connection-unknown":  # taken out of the configuration: nobody of it will ever have it
        return _go_on(context, state, f"{event.connection} is not configured any more", "bot", unanswered=True)
    waiting = tuple(each for each in conversation.waiting if each.message_id != event.message_id)
    after, told = tell_once(
        context.rules.texts, _replace(conversation, waiting=waiting), "undeliverable", state.connection
    )
    return context.decide(f"words could not be given to {event.connection} ({event.code})", after, *told)


def left(context: Context, event: ev.PartyLeft) -> Decision:
    """The desk ended it on its side, which need not end the conversation."""
    state = context.conversation.desk
    if state is None or state.connection != event.connection:
        return context.nothing(f"{event.connection} ended its session, and does not have the conversation")
    reason = f"{event.connection} ended it ({event.reason})" if event.reason else f"{event.connection} ended it"
    if state.stage == "offered":
        return not_taken(context, state, reason)
    return _over(context, state, reason)


def moved_up(context: Context, event: ev.QueuePositionChanged) -> Decision:
    """The visitor reads where he stands, once for each change."""
    conversation = context.conversation
    state = conversation.desk
    if state is None or state.connection != event.connection or state.stage != "offered":
        return context.nothing("a position in a queue that the visitor does not wait in")
    if event.position == state.position or event.position < 1:
        return context.nothing("the position is as before")
    text = context.rules.texts.queue_position.replace("{position}", str(event.position))
    told = tell(conversation, text, state.connection)
    after = _replace(conversation, desk=_replace(state, position=event.position))
    return context.decide(f"number {event.position} in the queue of {event.connection}", after, *told)


def interrupted(context: Context, event: ev.PartyInterrupted) -> Decision:
    """One sentence for one interruption: who was told already that it takes longer is not told again, nor the other way
    round (`replies.delayed`)."""
    conversation = context.conversation
    state = conversation.desk
    if state is None or state.connection != event.connection or state.stage != "accepted":
        return context.nothing(f"{event.connection} does not have the conversation")
    if state.interrupted is not event.over:
        return context.nothing("the visitor knows already")
    told = () if conversation.told_delay and not event.over else tell(conversation, event.text, state.connection)
    if event.over and conversation.waiting:
        told = (*told, HurryTurns(state.connection))
    after = _replace(conversation, desk=_replace(state, interrupted=not event.over))
    reason = f"{event.connection} can be reached again" if event.over else f"{event.connection} cannot be reached"
    return context.decide(reason, after, *told)


def not_taken(context: Context, state: DeskState, reason: str) -> Decision:
    """Nobody of the desk has it: on_declined. While its user is being given the room that waits, at most until the
    offer is over: the report of that move would look as if somebody had given the room to the desk anew."""
    if _is_moving(context, state):
        after = _replace(context.conversation, desk=_replace(state, over=reason))
        return context.decide(f"{reason}; its user is being given the room, so that comes first", after)
    return _not_taken_now(context, state, reason)


def has_room(context: Context, conversation: Conversation) -> Decision | None:
    """Its user serves now. None: nothing waited for that."""
    state = conversation.desk
    if state is None or not state.over or state.stage != "offered":
        return None
    return _not_taken_now(_replace(context, conversation=conversation), state, state.over)


def _is_moving(context: Context, state: DeskState) -> bool:
    conversation, party = context.conversation, context.directory.connection(state.connection)
    server = conversation.served_by
    if party is None or conversation.relay_posts:
        return False
    return server is None or (server.id != party.user_id and not personas.serves(conversation, server.id))


def _not_taken_now(context: Context, state: DeskState, reason: str) -> Decision:
    return _go_on(context, state, reason, _terms(context, state).on_declined, unanswered=True)


def _over(context: Context, state: DeskState, reason: str) -> Decision:
    return _go_on(context, state, reason, _terms(context, state).on_left, unanswered=False)


def _terms(context: Context, state: DeskState) -> Desk:
    party = context.directory.connection(state.connection)
    return party.desk if party and party.desk else Desk()


def _go_on(context: Context, state: DeskState, reason: str, way: Way, *, unanswered: bool) -> Decision:
    """unanswered: the visitor still waits for somebody, and reads it when nobody comes."""
    conversation, texts = context.conversation, context.rules.texts
    says = () if unanswered else tell(conversation, texts.desk_left, state.connection)
    held = parties.held_for_next(conversation)
    gives_way = _replace(conversation.handover, from_connection=state.giver)
    before = _replace(conversation, desk=None, held=held, handover=gives_way)
    if way == "bot" and state.giver:
        decision = handover.nobody(context, before, reason, silently=not unanswered)
        return _replace(decision, commands=(*says, *decision.commands))
    if way == "close":
        if unanswered:
            says = tell(conversation, texts.nobody_online, state.connection)
        comment = CloseConversation(texts.close_comment or "Closed.")
        return context.decide(f"{reason}: closed", _replace(pass_control(before, QUEUE), held=()), *says, comment)
    before = pass_control(before, QUEUE)
    if way == "queue":
        return next_steps.to_queue(context, before, reason, (), *says)
    return next_steps.look_for_people(context, before, reason, (), *says)


def tidy(before: DeskState, decision: Decision) -> Decision:
    """A desk that has the conversation no more is told, whatever ended it."""
    after, desk = decision.after, decision.after.desk
    has_it = desk if desk is not None and desk.connection == after.control.connection else None
    if has_it is not None and has_it.connection == before.connection:
        return decision
    close = CloseSession(before.connection, decision.reason)
    return _replace(decision, after=_replace(after, desk=has_it), commands=(*decision.commands, close))
