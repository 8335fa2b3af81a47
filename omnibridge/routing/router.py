"""The router: conversation, event, rules, directory, now -> Decision. Pure: no clock, no I/O.

A table `event class -> function`; each function returns a Decision with its reason in words. Giving way
to people is in `handover.py`; what a bot's answer leads to is in `replies.py`, what the visitor writes in `words.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from omnibridge.domain import agent_events, delivery_events, desk_events
from omnibridge.domain import events as ev
from omnibridge.domain.commands import SetRoomFields
from omnibridge.domain.conversation import (
    AGENTS,
    NOBODY,
    QUEUE,
    Conversation,
    Handover,
)
from omnibridge.domain.directory import Directory
from omnibridge.routing import (
    assignment,
    assignment_moves,
    desks,
    edits,
    giving,
    handover,
    hub_choice,
    interactions,
    next_steps,
    parties,
    persona_moves,
    personas,
    replies,
    strays,
    words,
)
from omnibridge.routing.context import Context, end_session, handover_over, pass_control
from omnibridge.routing.decision import Decision, Fact
from omnibridge.routing.facts import Facts, start_facts, told_facts
from omnibridge.routing.rules import RuleSet

_replace = msgspec.structs.replace


NOTHING: Mapping[str, Fact] = MappingProxyType({})


def route(
    conversation: Conversation,
    event: ev.Event,
    rules: RuleSet,
    directory: Directory,
    now_ms: int,
    instead: Mapping[str, Fact] = NOTHING,
) -> Decision:
    """Decide what one event leads to.

    conversation: the state left by the decision before. now_ms: UTC; when the observation was received.
    instead: facts that shall be other than found, for replays.
    The same arguments give the same Decision, byte for byte once encoded. Raises nothing.
    """
    facts = Facts(conversation, event, instead, now_ms, directory.departments_of(conversation.workspace))
    context = Context(conversation, event, rules, directory, now_ms, facts)
    if conversation.closed and not isinstance(event, ev.ConversationClosed):
        return context.nothing("the conversation is closed")
    decision = _TABLE[type(event)](context, event)
    if conversation.assignment.stage != "idle":
        decision = assignment_moves.tidy(conversation, decision, directory)
    if conversation.desk is not None:
        decision = desks.tidy(conversation.desk, decision, directory)
    if conversation.persona is not None:
        decision = personas.tidy(context, conversation.persona, decision)
    return strays.look_again(context, decision) if directory.holders else decision


def _started(context: Context, event: ev.ConversationStarted) -> Decision:
    conversation = _replace(context.conversation, started=True, facts=start_facts(event), department=event.department)
    context = _replace(context, conversation=conversation, facts=context.facts.of(conversation))
    return giving.by_rules(context, "sends new conversations")


def _queued(context: Context, event: ev.ConversationQueued) -> Decision:
    after = _replace(context.conversation, queued=True)
    if event.department:
        after = _replace(after, department=event.department)
    return context.decide("waits in the queue", after)


def _assigned(context: Context, event: ev.AgentAssigned) -> Decision:
    conversation = _replace(
        context.conversation,
        served_by=event.agent,
        reported=event.agent,
        service_at=event.at,
        changes=context.conversation.changes + 1,
        vacated=False,
        queued=False,
        stray="",
    )
    if event.connection:
        return _bot_assigned(context, conversation, event)
    who = event.agent.username or event.agent.id
    if personas.serves(conversation, event.agent.id):
        return context.decide(f"{who} serves: who speaks for {conversation.control.connection}", conversation)
    if context.directory.holds(conversation.workspace, event.agent.id):
        return _held(context, conversation, who)
    if event.only_by_decision and conversation.assignment.user_id != event.agent.id:
        return strays.begin(context, conversation, event)
    if hub_choice.is_made(context, event.agent, event.at):
        return hub_choice.made(context, conversation, event.agent)
    if conversation.control.party == AGENTS:
        return context.decide(f"{who} serves now", conversation)
    taken_from_bot = bool(conversation.control.connection)
    after, commands = end_session(pass_control(conversation, AGENTS), f"{who} serves")
    after = _replace(after, held=(), handover=handover_over(after.handover))
    reason = f"{who} took over{hub_choice.lost(context)}"
    return context.decide(reason, after, *commands, refuse_spoken=taken_from_bot)


def _held(context: Context, conversation: Conversation, who: str) -> Decision:
    """A bot that only holds it got it, which means that nobody serves; decide again if nothing is under way."""
    is_under_way = conversation.handover.stage != "idle" or conversation.assignment.stage not in ("idle", "served")
    if is_under_way or conversation.control.party == NOBODY or conversation.control.connection:
        return context.decide(f"{who} holds it until it is decided who serves", conversation)
    # A hub that gives it back at once must not make a loop of questions; later it is looked at again.
    recent = [at for at in conversation.handover.started_at if at > context.now_ms - _window_ms(context)]
    if len(recent) >= context.rules.handover.max_handovers:
        waits = pass_control(conversation, QUEUE)
        return context.decide(f"{who} holds it; it came back {len(recent)} times, so nothing is tried now", waits)
    waits = pass_control(conversation, QUEUE)
    again = _replace(context, conversation=waits, facts=context.facts.of(waits))
    return giving.by_rules(again, "sends what nobody serves")


def _timer_fired(context: Context, event: ev.TimerFired) -> Decision:
    conversation = context.conversation
    if event.timer == parties.OFFER:
        return desks.offer_over(context, event)
    if event.timer != strays.HELD:
        return assignment.timer_fired(context, event)
    if not strays.is_left(context, conversation):
        return context.nothing("nobody needs to look at it again")
    return giving.by_rules(context, "sends what nobody serves yet")


def _window_ms(context: Context) -> int:
    return context.rules.handover.window_s * 1000


def _bot_assigned(context: Context, conversation: Conversation, event: ev.AgentAssigned) -> Decision:
    name = event.connection
    control = conversation.control
    if control.connection == name:
        serves = _replace(conversation, relay_posts=False)
        return desks.has_room(context, serves) or context.decide("the bot serves, as decided", serves)
    if conversation.handover.stage != "idle":
        return context.decide("the bot serves while people are being looked for", conversation)
    if control.party == NOBODY:
        return context.decide("the hub gave it to the bot before anything was decided", conversation)
    is_new = context.conversation.served_by is None and not conversation.relay_posts
    if control.connection and (conversation.coming or is_new):
        # Of before our move, which is on its way: taken for a change of mind it would undo what the rules decided.
        return context.decide(f"the hub gave it to {name} first: on its way to {control.connection}", conversation)
    known = context.conversation.served_by
    if control.connection and known is not None and known.id == event.agent.id:
        return context.decide(f"{name} served already: {control.connection} is in control", conversation)
    if control.party == QUEUE and conversation.handover.was_served:
        again = _replace(conversation, handover=Handover(started_at=conversation.handover.started_at))
        return _given(context, again, name, "people gave it back to the bot")
    if control.party == QUEUE and name == conversation.handover.from_connection:
        return handover.nobody(context, conversation, "the hub gave the conversation back to the bot")
    if control.party == QUEUE and conversation.handover.from_connection == "":
        return context.decide("the hub gave it to a bot, but the rules want people", conversation)
    return _given(context, conversation, name, "given to the bot by the workspace", refuse_spoken=True)


def _given(
    context: Context, conversation: Conversation, name: str, reason: str, *, refuse_spoken: bool = False
) -> Decision:
    """The room was given to a connection's user. A desk has to be asked all the same whether somebody takes it."""
    party = context.directory.connection(name)
    if party is None or party.desk is None:
        after, turns = parties.take_over(conversation, name)
        return context.decide(reason, _replace(after, fallbacks=0), *turns, refuse_spoken=refuse_spoken)
    since = context.now_ms - _window_ms(context)
    n_recent = sum(at > since for at in conversation.handover.started_at)
    if n_recent >= context.rules.handover.max_handovers:
        why = f"{reason}; it came back {n_recent} times, so {name} is not asked again now"
        return next_steps.to_queue(context, pass_control(conversation, QUEUE), why, ())
    after, commands = parties.offer(_replace(context, conversation=conversation), party, party.desk, reason)
    return context.decide(f"{reason}: offered to {name}", after, *commands, refuse_spoken=refuse_spoken)


def _unassigned(context: Context, event: ev.AgentUnassigned) -> Decision:
    n_changes = context.conversation.changes + 1
    conversation = _replace(context.conversation, reported=None, service_at=event.at, changes=n_changes, vacated=True)
    server = conversation.served_by
    if server and server.id != event.agent.id:
        why = f"{event.agent.username or event.agent.id} no longer serves: {server.username or server.id} does"
        return context.decide(why, conversation)
    conversation = _replace(conversation, served_by=None)
    moving = conversation.handover.stage != "idle" or personas.is_moving(conversation)
    moving = moving or _is_on_its_way(context, conversation, event.agent.id)
    moving = moving or context.directory.holds(conversation.workspace, event.agent.id)
    if moving or conversation.control.party in (QUEUE, NOBODY):
        return context.decide(f"{event.agent.username or event.agent.id} no longer serves", conversation)
    after, commands = end_session(pass_control(conversation, QUEUE), "nobody serves")
    if conversation.control.party == AGENTS:
        after = _replace(after, handover=_replace(after.handover, was_served=True))
    return context.decide(
        f"{event.agent.username or event.agent.id} no longer serves: waits for people",
        after,
        *commands,
        refuse_spoken=True,
    )


def _is_on_its_way(context: Context, conversation: Conversation, user_id: str) -> bool:
    """A connection is in control, and somebody else's user left, or its own before our move to him: the room is being
    given to the connection's."""
    party = context.directory.connection(conversation.control.connection)
    if party is None or personas.serves(conversation, user_id):
        return False
    return party.user_id != user_id or party.user_id == conversation.coming


def _transferred(context: Context, event: ev.ConversationTransferred) -> Decision:
    after = context.conversation
    if event.to_department:
        after = _replace(after, department=event.to_department)
    return context.decide("transferred in the workspace", after)


def _closed(context: Context, event: ev.ConversationClosed) -> Decision:
    conversation = context.conversation
    if conversation.closed:
        return context.nothing("closed already")
    after, commands = end_session(pass_control(conversation, NOBODY), "closed")
    after = _replace(
        after,
        closed=True,
        held=(),
        waiting=(),
        options=(),
        handover=Handover(started_at=after.handover.started_at),
    )
    commands = (*desks.owed(context), *commands)
    return context.decide(f"closed by {event.closer or event.by or 'somebody'}", after, *commands, refuse_spoken=True)


def _buried(context: Context, event: delivery_events.DeliveryBuried) -> Decision:
    conversation = context.conversation
    if event.command == "AssignAgent" and event.connection == conversation.control.connection != "":
        context = _replace(context, conversation=_replace(conversation, coming=""))
    return desks.buried(context, event) or persona_moves.buried(context, event)


def _shown(context: Context, event: agent_events.PersonaShown) -> Decision:
    how = "as his own user" if event.own else "by the relay account"
    return context.nothing(f"delivery {event.delivery_id} is shown as {event.name or event.external_id} "
                           f"({event.system}:{event.external_id}), {how}")  # fmt: skip


def _learned(context: Context, event: ev.FactsLearned) -> Decision:
    conversation = context.conversation
    after = _replace(conversation, crm_facts=told_facts(event.facts), crm_at=context.now_ms)
    fields = (SetRoomFields(event.fields, anyway=True),) if event.fields else ()
    known = f"knows {len(event.facts)} facts of the visitor" if event.facts else "knows nothing of the visitor for sure"
    return context.decide(f"{event.connection} {known}", after, *fields)


def _recorded(context: Context, event: ev.Event) -> Decision:
    return context.nothing(f"{ev.kind_of(event)} is recorded; nothing follows from it")


_TABLE: dict[type, Callable[[Context, Any], Decision]] = {
    ev.ConversationStarted: _started,
    ev.ConversationQueued: _queued,
    ev.AgentAssigned: _assigned,
    ev.AgentUnassigned: _unassigned,
    ev.ConversationTransferred: _transferred,
    ev.MessagePosted: words.posted,
    ev.MessageEdited: edits.edited,
    ev.MessageDeleted: edits.deleted,
    ev.InteractionReceived: interactions.received,
    ev.MessagesRecovered: words.recovered,
    ev.ConversationClosed: _closed,
    ev.OfflineMessageLeft: _recorded,
    ev.PartyReplied: replies.replied,
    ev.PartySpoke: replies.spoke,
    desk_events.PartyAccepted: desks.accepted,
    desk_events.PartyDeclined: desks.declined,
    desk_events.PartyLeft: desks.left,
    desk_events.QueuePositionChanged: desks.moved_up,
    desk_events.NoticeGiven: desks.noticed,
    delivery_events.TurnRepeated: replies.repeated,
    ev.AgentsListed: handover.listed,
    delivery_events.MoveSucceeded: persona_moves.move_succeeded,
    delivery_events.MoveFailed: persona_moves.move_failed,
    delivery_events.DeliveryDelayed: replies.delayed,
    delivery_events.DeliveryBuried: _buried,
    delivery_events.TurnResent: replies.resent,
    agent_events.AssignmentRequested: assignment.requested,
    agent_events.DecisionPending: assignment.pending,
    agent_events.DecisionFailed: assignment.failed,
    agent_events.AgentEnsured: persona_moves.ensured,
    agent_events.AgentNotEnsured: persona_moves.not_ensured,
    agent_events.PersonaShown: _shown,
    ev.FactsLearned: _learned,
    ev.TimerFired: _timer_fired,
}
