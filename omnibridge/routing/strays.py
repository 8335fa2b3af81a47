"""Visitors whom the hub gave to somebody without a decision: back to the queue, or decided again.

A stray is served by a user who serves only by decision. While he is being sent back (`Conversation.stray`) he counts
as nobody. What a holding bot has, and nothing is under way for, is looked at again after a while.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import RequeueStray, StartTimer
from omnibridge.domain.conversation import AGENTS, QUEUE, Conversation
from omnibridge.domain.delivery_events import MoveFailed, MoveSucceeded
from omnibridge.routing import next_steps
from omnibridge.routing.context import Context, end_session, pass_control
from omnibridge.routing.decision import Decision

_replace = msgspec.structs.replace

HELD = "held"
"""The timer of a conversation that a holding bot has and nothing is under way for."""


def begin(context: Context, conversation: Conversation, event: ev.AgentAssigned) -> Decision:
    """The hub gave the visitor to somebody who only carries out decisions: back to the queue.

    A hub that picks him again and again would never end it: then people are looked for.
    """
    policy, state, agent = context.rules.handover, conversation.handover, event.agent
    who = agent.username or agent.id
    recent = tuple(at for at in state.started_at if at > context.now_ms - policy.window_s * 1000)
    is_new = _replace(state, started_at=(*recent, context.now_ms))
    after = _replace(conversation, handover=is_new, stray=agent.id)
    reason = f"{who} serves only by decision, and nobody decided it"
    if len(recent) >= policy.max_handovers and not next_steps.is_under_way(conversation):
        after = _replace(after, stray="")
        return next_steps.look_for_people(context, after, f"{reason}; it came back {len(recent)} times", ())
    return context.decide(f"{reason}: back to the queue", after, RequeueStray(agent.id, agent.username))


def gone(context: Context, event: MoveSucceeded) -> Decision:
    """Nobody serves now. Who was decided meanwhile is given the room again; one whom we took for a person had it."""
    conversation = _replace(context.conversation, stray="")
    assignment, server = conversation.assignment, conversation.served_by
    if server is None or server.id != event.target:
        return context.decide("it is back in the queue", conversation)
    if assignment.stage == "served" and assignment.user_id == event.target:
        again = _replace(assignment, stage="moving", moves=1)
        after = _replace(conversation, assignment=again)
        reason = f"it is back in the queue, but {assignment.username} was decided meanwhile: he gets the room"
        return context.decide(reason, after, next_steps.move_to(context, again))
    after = _replace(conversation, served_by=None)
    if conversation.control.party != AGENTS:
        return context.decide("it is back in the queue", after)
    after, commands = end_session(pass_control(after, QUEUE), "nobody serves")
    return context.decide("it is back in the queue, and nobody serves", after, *commands, refuse_spoken=True)


def stays(context: Context, event: MoveFailed) -> Decision:
    """He serves: people are looked for, unless somebody else does, or it is being decided."""
    assignment, server = context.conversation.assignment, event.served_by
    conversation = _replace(context.conversation, stray="")
    reason = f"it cannot go back to the queue ({event.code})"
    serving = conversation.served_by
    is_decided = assignment.stage == "served" and serving is not None and serving.id == assignment.user_id
    if next_steps.is_under_way(conversation) or server or is_decided or (serving and serving.id != event.target):
        return context.decide(f"{reason}; something is under way, or somebody serves", conversation)
    return next_steps.look_for_people(context, conversation, reason, ())


def is_left(context: Context, conversation: Conversation) -> bool:
    """Whether a holding bot has it and nothing is under way: people do not see it in their queue."""
    server = conversation.served_by
    return (
        server is not None
        and conversation.control.party == QUEUE
        and conversation.handover.stage == "idle"
        and conversation.assignment.stage == "idle"
        and not conversation.closed
        and context.directory.holds(conversation.workspace, server.id)
    )


def look_again(context: Context, decision: Decision) -> Decision:
    """What is left with a holding bot is decided again after a while: people may have come by then."""
    if not is_left(context, decision.after) or is_left(context, context.conversation):
        return decision  # nothing is left, or the timer runs
    timer = StartTimer(HELD, str(decision.after.control.epoch), context.directory.look_again_ms)
    return _replace(decision, commands=(*decision.commands, timer))
