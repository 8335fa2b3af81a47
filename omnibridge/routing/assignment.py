"""An external system decides who serves: the question, its answer, the user, the room's way to him.

    asking ──ticket──▶ waiting
       │ agent named      │ agent named            pushed: begins here, whoever is in control
       └────────────────▶ ensuring ──AgentEnsured──▶ moving ──the hub gave him the room──▶ served
                            └─no seat─▶ seat: waits in the queue, and his user is looked for again and again
    each of them ── named nobody, no user, refused ──▶ asked again, else the ladder, the queue, or the bot

While a bot gives way, the handover's stage is `deciding`, so it is silent and what the visitor writes is held. An
agent who serves goes on until the other one has the room. Whoever takes the conversation meanwhile ends it all: the
decider is told (`tidy`), and what comes later is recorded and changes nothing.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import (
    AgentEnsured,
    AgentNotEnsured,
    AssignmentRequested,
    DecisionFailed,
    DecisionPending,
)
from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.commands import (
    CancelDecision,
    EnsureAgent,
    ReleaseAgent,
    StartTimer,
)
from omnibridge.domain.conversation import AGENTS, QUEUE, Assignment, Conversation
from omnibridge.routing import hub_choice, next_steps, parties
from omnibridge.routing.context import Context, end_session, handover_over, pass_control
from omnibridge.routing.decision import Considered, Decision

_replace = msgspec.structs.replace

TICKET = "ticket"
"""The timer of a decision that was promised."""


def requested(context: Context, event: AssignmentRequested) -> Decision:
    """Somebody is named: find his user. What is pushed counts at any time, an answer only while it is awaited."""
    conversation, agent = context.conversation, event.agent
    current = conversation.assignment
    who = next_steps.label(agent)
    if _is_early(current, event.decider, event.ticket):
        kept = _replace(current, ticket=event.ticket, agent=agent, by=event.by, cause=event.cause)
        after = _replace(conversation, assignment=kept)
        return context.decide(f"{event.by} decided for {who} before it promised to: kept until then", after)
    if event.decider and not _is_awaited(current, event.decider, event.ticket):
        return context.nothing(f"{event.by} decided for {who}, which nobody waits for any more")
    if not event.decider and current.agent and _is_same(current.agent, agent):
        return context.nothing(f"{event.by} wants {who}, {_standing(current)}")
    commands = [] if event.decider else next_steps.cancelled(current, f"{event.by} decided")
    former = current.user_id if current.stage == "served" else current.former
    if current.stage == "moving":
        commands.append(ReleaseAgent(current.user_id))
    assignment = _replace(
        current if event.decider else Assignment(former=former, opened_at=current.opened_at, default=current.default),
        stage="ensuring", ticket=event.ticket, agent=agent, by=event.by, cause=event.cause,
        user_id="", username="", mode="", moves=0,
    )  # fmt: skip
    after = _replace(conversation, assignment=assignment)
    if conversation.control.party != AGENTS:
        after = _silence(after, event.by)
    return context.decide(
        f"{event.by} wants {who}: his user is looked for", after, *commands, EnsureAgent(agent, event.cause)
    )


def pending(context: Context, event: DecisionPending) -> Decision:
    """It will be decided later, under a ticket; not awaited for ever."""
    conversation, assignment = context.conversation, context.conversation.assignment
    if assignment.stage != "asking" or assignment.decider != event.decider:
        return context.decide(
            f"{event.decider} would decide later, which nobody waits for any more",
            conversation,
            CancelDecision(event.decider, event.ticket, reason="not needed any more"),
        )
    if event.ticket and assignment.ticket == event.ticket:
        return _answer_of_before(context)
    decider = context.directory.decider(event.decider)
    most = decider.ticket_ms if decider else event.within_ms
    within_ms = min(event.within_ms, most) if event.within_ms > 0 else most
    waiting = _replace(assignment, stage="waiting", ticket=event.ticket, agent=None, by="", cause="")
    after = _replace(conversation, assignment=waiting)
    return context.decide(
        f"{event.decider} decides within {within_ms / 1000:g} s", after, StartTimer(TICKET, event.ticket, within_ms)
    )


def _answer_of_before(context: Context) -> Decision:
    """The promise was settled after its answer came, for instance because we died between: it counts now."""
    conversation, assignment = context.conversation, context.conversation.assignment
    if assignment.agent is None:
        return next_steps.go_on(context, f"{assignment.decider} names nobody, as it said before", ask_again=False)
    after = _replace(conversation, assignment=_replace(assignment, stage="ensuring"))
    reason = f"{assignment.by} wants {next_steps.label(assignment.agent)}, as it said before: his user is looked for"
    return context.decide(reason, after, EnsureAgent(assignment.agent, assignment.cause))


def failed(context: Context, event: DecisionFailed) -> Decision:
    """The decider names nobody, or something that cannot be read."""
    current = context.conversation.assignment
    if _is_early(current, event.decider, event.ticket):
        kept = _replace(current, ticket=event.ticket, agent=None, by="", cause="")
        after = _replace(context.conversation, assignment=kept)
        return context.decide(f"{event.decider} named nobody ({event.code}) before it promised to: kept", after)
    if not _is_awaited(context.conversation.assignment, event.decider, event.ticket):
        return context.nothing(f"{event.decider} named nobody ({event.code}), which nobody waits for any more")
    return next_steps.go_on(context, f"{event.decider} names nobody ({event.code})", ask_again=False)


def timer_fired(context: Context, event: ev.TimerFired) -> Decision:
    """A promised decision did not come in time."""
    assignment = context.conversation.assignment
    if event.timer == next_steps.SEAT:
        return _seat_again(context, event)
    if event.timer != TICKET or assignment.stage != "waiting" or assignment.ticket != event.ref:
        return context.nothing(f"{event.timer} is over, and nobody waits for it any more")
    return next_steps.go_on(context, f"{assignment.decider} did not decide in time", ask_again=False)


def ensured(context: Context, event: AgentEnsured) -> Decision:
    """Give him the room, unless he has it or nobody waits for him any more."""
    conversation, found = context.conversation, event.found
    assignment, served_by = conversation.assignment, conversation.served_by
    who = f"{found.system}:{found.external_id} is {found.username} ({found.mode})"
    agent = assignment.agent
    if assignment.stage != "ensuring" or agent is None or (agent.system, agent.id) != (found.system, found.external_id):
        unused = found.user_id not in (assignment.user_id, served_by.id if served_by else "")
        release = (ReleaseAgent(found.user_id),) if unused else ()
        return context.decide(f"{who}, whom nobody waits for any more", conversation, *release)
    assignment = _replace(
        assignment, stage="moving", user_id=found.user_id, username=found.username, mode=found.mode, moves=1
    )
    chosen = (Considered(f"agent {found.system}:{found.external_id}", True, f"{found.mode}: {found.username}"),)
    after = _replace(conversation, assignment=assignment)
    if served_by and served_by.id == found.user_id != conversation.stray:
        served = _replace(assignment, stage="served", former="")
        idle = handover_over(after.handover)
        after = _replace(after, held=(), handover=idle, assignment=served)
        after, commands = end_session(pass_control(after, AGENTS), "handed over")
        return context.decide(f"{who}, who serves already", after, *commands, considered=chosen)
    if conversation.control.party != AGENTS:
        after = _silence(after, assignment.by)  # while a seat was waited for, a bot may have got it back
        state = after.handover
        after = _replace(after, handover=_replace(state, stage="moving", moves=state.moves + 1))
    return context.decide(f"{who}: he gets the room", after, next_steps.move_to(context, assignment), considered=chosen)


def not_ensured(context: Context, event: AgentNotEnsured) -> Decision:
    """There is no user for whom was named."""
    refused, assignment = event.refused, context.conversation.assignment
    agent = assignment.agent
    who = f"{refused.system}:{refused.external_id}"
    reason = f"{who} is at his limit" if refused.reason == "limit" else f"no user for {who} ({refused.reason})"
    if (
        assignment.stage != "ensuring"
        or agent is None
        or (agent.system, agent.id) != (refused.system, refused.external_id)
    ):
        return context.nothing(f"{reason}, whom nobody waits for any more")
    why_not = f"{refused.reason}: {refused.text}"
    serves = context.conversation.control.party == AGENTS or hub_choice.stands(context.conversation)
    if refused.reason == "waiting_seat" and not serves:
        return _wait_for_seat(context, reason, why_not)
    return next_steps.go_on(context, reason, why_not=why_not)


def _wait_for_seat(context: Context, reason: str, why_not: str) -> Decision:
    """In the queue, where people may take it meanwhile; nobody who serves has to give way for it."""
    conversation = context.conversation
    assignment = _replace(conversation.assignment, stage="seat")
    considered = (Considered(f"agent {next_steps.label(assignment.agent)}", False, why_not),)
    after, timer = _replace(conversation, assignment=assignment), next_steps.seat_timer(assignment, context.directory)
    if conversation.control.connection:
        why = f"{reason}: {conversation.control.connection} goes on meanwhile"
        return context.decide(why, after, timer, considered=considered)
    return next_steps.to_queue(context, after, reason, considered, timer)


def _seat_again(context: Context, event: ev.TimerFired) -> Decision:
    conversation, assignment = context.conversation, context.conversation.assignment
    agent = assignment.agent
    if assignment.stage != "seat" or agent is None or next_steps.label(agent) != event.ref:
        return context.nothing("nobody waits for that seat any more")
    after = _replace(conversation, assignment=_replace(assignment, stage="ensuring"))
    if conversation.handover.stage != "idle":
        # What was under way must not end it when it comes to an end itself.
        after = _replace(after, handover=_replace(conversation.handover, stage="deciding", rungs=()))
    reason = f"is there a seat for {next_steps.label(agent)} now?"
    return context.decide(reason, after, EnsureAgent(agent, assignment.cause))


def _silence(conversation: Conversation, by: str) -> Conversation:
    """Control passes to the queue until the agent has the room; the bot gets it back if that fails."""
    state = conversation.handover
    if state.stage != "idle":
        return _replace(conversation, handover=_replace(state, stage="deciding", rungs=()))
    after = pass_control(conversation, QUEUE)
    return _replace(after, held=parties.held_for_next(conversation), handover=_replace(
        state, stage="deciding", from_connection=parties.giver_of(conversation), department="", reason=by, rungs=(),
        moves=0, said=(),
    ))  # fmt: skip


def _is_awaited(assignment: Assignment, decider: str, ticket: str) -> bool:
    if assignment.decider != decider:
        return False
    if ticket:
        return assignment.stage == "waiting" and assignment.ticket == ticket
    return assignment.stage == "asking"


def _is_early(assignment: Assignment, decider: str, ticket: str) -> bool:
    """Whether it may be the answer to a ticket of which we do not know yet; the promise will tell."""
    return bool(decider and ticket) and assignment.decider == decider and assignment.stage == "asking"


def _is_same(one: ExternalAgent, other: ExternalAgent) -> bool:
    return (one.system, one.id) == (other.system, other.id)


def _standing(assignment: Assignment) -> str:
    return "who serves already" if assignment.stage == "served" else "who is on his way already"
