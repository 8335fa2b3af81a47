"""People of another system who take conversations: offered, accepted, declined, ended on their side.

    bot ──hands over──▶ offered ──PartyAccepted──▶ accepted ──PartyLeft──▶ on_left
                           │ PartyDeclined, too late, cannot be reached
                           └──▶ on_declined

Through all of it the desk's connection is in control. Who speaks for it is in `personas.py`.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import CloseConversation, CloseSession, Command, HurryTurns, ResumeTurns
from omnibridge.domain.conversation import QUEUE, Conversation, DeskEnding, DeskState
from omnibridge.domain.delivery_events import DeliveryBuried
from omnibridge.domain.desk_events import NoticeGiven, PartyAccepted, PartyDeclined, PartyLeft, QueuePositionChanged
from omnibridge.domain.directory import Desk, Directory, Way
from omnibridge.routing import handover, next_steps, parties, personas
from omnibridge.routing.context import Context, end_session, handover_over, pass_control, tell, tell_once
from omnibridge.routing.decision import Decision

_replace = msgspec.structs.replace

NOT_ACCEPTED, UNREACHABLE = "not-accepted", "unreachable"
"""Why a desk does not take it, where the desk does not say it itself."""


def accepted(context: Context, event: PartyAccepted) -> Decision:
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
        after = _replace(after, desk=_replace(state, stage="accepted", ending=None), held=(), handover=idle)
    if after.desk is not None:
        after = _replace(after, desk=_replace(after.desk, position=0, minutes=0))
    if event.agent is not None:
        after, shown = personas.say(context, after, event.agent, (), at_once=False)
        commands = (*commands, *shown)
    return context.decide(f"{who} of {event.connection} takes the conversation", after, *commands)


def declined(context: Context, event: PartyDeclined) -> Decision:
    """The next step as configured; what the visitor wrote meanwhile is not lost."""
    state = context.conversation.desk
    if state is None or state.connection != event.connection:
        return context.nothing(f"{event.connection} declined, and does not have the conversation")
    words = f" ({event.text})" if event.text else ""
    if state.stage == "accepted":
        why = f"{event.connection} gave up: {event.code}{words}"
        return _over(context, state, DeskEnding(why, event.code, event.says))
    why = f"{event.connection} does not take it: {event.code}{words}"
    return not_taken(context, state, DeskEnding(why, event.code, event.says))


def offer_over(context: Context, event: ev.TimerFired) -> Decision:
    """Nobody accepted in time."""
    state = context.conversation.desk
    if state is None or state.stage != "offered" or state.connection != event.ref:
        return context.nothing("the offer was answered")
    late = DeskEnding(f"nobody of {event.ref} accepted in time", NOT_ACCEPTED)
    return _not_taken_now(context, state, state.ending or late)


def buried(context: Context, event: DeliveryBuried) -> Decision | None:
    """Its session could not be opened, or words of the visitor did not reach it. None for what is not a desk's."""
    conversation = context.conversation
    state = conversation.desk
    if state is None or state.connection != event.connection:
        return None
    if event.command == "OpenSession":
        why = f"{event.connection} cannot be reached ({event.code})"
        return not_taken(context, state, DeskEnding(why, UNREACHABLE))
    if event.command != "SendToParty":
        return None
    if event.code == "connection-unknown":  # taken out of the configuration: nobody of it will ever have it
        why = f"{event.connection} is not configured any more"
        return _go_on(context, state, DeskEnding(why, event.code), "bot", unanswered=True)
    waiting = tuple(each for each in conversation.waiting if each.message_id != event.message_id)
    after, told = tell_once(context.texts, _replace(conversation, waiting=waiting), "undeliverable", state.connection)
    return context.decide(f"words could not be given to {event.connection} ({event.code})", after, *told)


def left(context: Context, event: PartyLeft) -> Decision:
    """The desk ended it on its side, which need not end the conversation."""
    state = context.conversation.desk
    if state is None or state.connection != event.connection:
        return context.nothing(f"{event.connection} ended its session, and does not have the conversation")
    reason = f"{event.connection} ended it ({event.reason})" if event.reason else f"{event.connection} ended it"
    if state.stage == "offered":
        return not_taken(context, state, DeskEnding(reason, event.reason))
    return _over(context, state, DeskEnding(reason, event.reason))


def moved_up(context: Context, event: QueuePositionChanged) -> Decision:
    """The visitor reads where he stands, once for each change. How long it takes is told beside a place that is new,
    and where no place is known: it changes too often."""
    conversation = context.conversation
    state = conversation.desk
    waits = state is not None and (state.stage == "offered" or event.again)
    if state is None or state.connection != event.connection or not waits:
        return context.nothing("a position in a queue that the visitor does not wait in")
    minutes = -(-event.wait_s // 60) if event.wait_s > 0 else 0
    if event.position < 1:
        if minutes in (0, state.minutes):
            return context.nothing("what is told of the queue is as before")
        text = context.texts.queue_wait
    elif event.position == state.position:
        return context.nothing("the position is as before")
    else:
        text = context.texts.queue_position_wait if minutes else context.texts.queue_position
    text = text.replace("{position}", str(event.position)).replace("{minutes}", str(minutes))
    told = tell(conversation, text, state.connection)
    known = _replace(state, position=max(0, event.position), minutes=minutes)
    where = f"number {event.position}" if event.position > 0 else f"{minutes} min"
    after, waited = personas.before_others(context, conversation) if told else (conversation, ())
    after = _replace(after, desk=known)
    return context.decide(f"{where} in the queue of {event.connection}", after, *waited, *told)


def noticed(context: Context, event: NoticeGiven) -> Decision:
    """The visitor reads it, in the operator's words if he has some for it. Of an interruption he reads one sentence:
    this, or the engine's about words that wait (`replies.delayed`), whichever is first."""
    conversation = context.conversation
    state = conversation.desk
    if state is None or state.connection != event.connection:
        return context.nothing(f"a notice of {event.connection}, which does not have the conversation")
    if event.line and state.stage != "accepted":
        return context.nothing(f"notice of {event.connection}: {event.code}: nobody of it is there yet")
    knows = state.interrupted or conversation.told_delay
    is_said = {"": True, "lost": not knows, "back": state.interrupted}[event.line]
    own = context.texts.of_desk(state.connection, event.code)
    text = event.text if own is None else own
    for name, value in event.values.items():
        text = text.replace(f"{{{name}}}", value)
    told = tell(conversation, text, state.connection) if is_said else ()
    if not told and not event.line:
        return context.nothing(f"notice of {event.connection}: {event.code}: its sentence is empty")
    after, waited = personas.before_others(context, conversation) if told else (conversation, ())
    hurry = (HurryTurns(state.connection),) if event.line == "back" and conversation.waiting else ()
    if event.line:
        after = _replace(after, desk=_replace(state, interrupted=event.line == "lost" and (knows or bool(told))))
    return context.decide(f"notice of {event.connection}: {event.code}", after, *waited, *told, *hurry)


def not_taken(context: Context, state: DeskState, ending: DeskEnding) -> Decision:
    """Nobody of the desk has it: on_declined. While its user is being given the room that waits, at most until the
    offer is over: the report of that move would look as if somebody had given the room to the desk anew."""
    if _is_moving(context, state):
        after = _replace(context.conversation, desk=_replace(state, ending=ending))
        return context.decide(f"{ending.reason}; its user is being given the room, so that comes first", after)
    return _not_taken_now(context, state, ending)


def has_room(context: Context, conversation: Conversation) -> Decision | None:
    """Its user serves now. None: nothing waited for that."""
    state = conversation.desk
    if state is None or state.ending is None or state.stage != "offered":
        return None
    return _not_taken_now(_replace(context, conversation=conversation), state, state.ending)


def _is_moving(context: Context, state: DeskState) -> bool:
    conversation, party = context.conversation, context.directory.connection(state.connection)
    server = conversation.served_by
    if party is None or conversation.relay_posts:
        return False
    return server is None or (server.id != party.user_id and not personas.serves(conversation, server.id))


def _not_taken_now(context: Context, state: DeskState, ending: DeskEnding) -> Decision:
    terms = _terms(context, state)
    way = terms.declined_by.get(ending.code.casefold(), terms.on_declined)
    return _go_on(context, state, ending, way, unanswered=True)


def _over(context: Context, state: DeskState, ending: DeskEnding) -> Decision:
    terms = _terms(context, state)
    way = terms.left_by.get(ending.code.casefold(), terms.on_left)
    return _go_on(context, state, ending, way, unanswered=False)


def _terms(context: Context, state: DeskState) -> Desk:
    party = context.directory.connection(state.connection)
    return party.desk if party and party.desk else Desk()


def _go_on(context: Context, state: DeskState, ending: DeskEnding, way: Way, *, unanswered: bool) -> Decision:
    """unanswered: the visitor still waits for somebody, and reads it when nobody comes, unless the sentence of this
    ending has told him already."""
    conversation, texts, reason = context.conversation, context.texts, ending.reason
    own = texts.of_desk(state.connection, ending.code)
    says = own if own is not None else ending.says or None
    general = "" if unanswered else texts.desk_left
    told = tell(conversation, general if says is None else says, state.connection)
    if says is not None and unanswered:
        conversation = _replace(conversation, told=(*conversation.told, "nobody_online"))
    held = parties.held_for_next(conversation)
    gives_way = _replace(conversation.handover, from_connection=state.giver)
    before = _replace(conversation, desk=None, held=held, handover=gives_way)
    if way == "bot" and state.giver:
        decision = handover.nobody(context, before, reason, silently=not unanswered or says is not None)
        return _replace(decision, commands=(*told, *decision.commands))
    if way == "close":
        if unanswered and says is None:
            told = tell(conversation, texts.nobody_online, state.connection)
        comment = CloseConversation(texts.close_comment or "Closed.")
        return context.decide(f"{reason}: closed", _replace(pass_control(before, QUEUE), held=()), *told, comment)
    before = pass_control(before, QUEUE)
    if way == "queue":
        return next_steps.to_queue(context, before, reason, (), *told)
    return next_steps.look_for_people(context, before, reason, (), *told)


def owed(context: Context) -> tuple[Command, ...]:
    """A close is no reason to lose what the visitor wrote before it: the desk gets that, and then is told. It may take
    long, where it is down or takes so many a minute. Where nobody is there any more it is not waited for (`nobody` of
    DeliveryRetryable)."""
    conversation = context.conversation
    state, n_words = conversation.desk, sum(not turn.welcome for turn in conversation.waiting)
    if state is None or state.stage != "accepted" or conversation.control.connection != state.connection:
        return ()
    return (ResumeTurns(state.connection, n_words, _turn_ms(context.directory, state)),) if n_words else ()


def _turn_ms(directory: Directory, state: DeskState) -> int:
    party = directory.connection(state.connection)
    return party.desk.turn_ms if party and party.desk else 0


def tidy(before: DeskState, decision: Decision, directory: Directory) -> Decision:
    """A desk that has the conversation no more is told, whatever ended it; if it is down, as long as words wait for it:
    else its people would look at a conversation that is over."""
    after, desk = decision.after, decision.after.desk
    has_it = desk if desk is not None and desk.connection == after.control.connection else None
    if has_it is not None and has_it.connection == before.connection:
        return decision
    close = CloseSession(before.connection, decision.reason, _turn_ms(directory, before))
    return _replace(decision, after=_replace(after, desk=has_it), commands=(*decision.commands, close))
