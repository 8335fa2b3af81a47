"""What becomes of a decision: the room's way to its agent, what else happens meanwhile, and its end."""

from __future__ import annotations

import msgspec

from omnibridge.domain.commands import (
    AssignAgent,
    Command,
    EnsureAgent,
    ReleaseAgent,
)
from omnibridge.domain.conversation import AGENTS, Assignment, Conversation
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.domain.directory import Directory
from omnibridge.domain.events import UserRef
from omnibridge.routing import handover, hub_choice, next_steps, replies, strays
from omnibridge.routing.context import Context
from omnibridge.routing.decision import Decision
from omnibridge.routing.refusals import refusal_of

_replace = msgspec.structs.replace

MOST_MOVES = 2
"""To one agent: a room that was taken while its inquiry was read is forwarded then."""

_STAGES = {"AskDecider": "asking", "StartTimer": "waiting", "EnsureAgent": "ensuring", "AssignAgent": "moving"}
"""Commands without which a stage would never end."""

_MOVES = ("ListAgents", "AssignAgent", "TransferToDepartment", "ReturnToQueue")
"""Steps of a handover that a decision has taken the place of."""


def move_succeeded(context: Context, event: MoveSucceeded) -> Decision:
    """From one agent to another: who serves now is told by the hub. All else is a handover."""
    conversation, assignment = context.conversation, context.conversation.assignment
    if event.move == "stray":
        return strays.gone(context, event)
    is_ours = assignment.stage == "moving" and event.target == assignment.user_id
    if is_ours and conversation.control.party == AGENTS:
        if conversation.served_by and conversation.served_by.id == event.target:  # no report will be news
            return context.decide(f"{assignment.username} serves", next_steps.served(conversation))
        return context.nothing(f"{assignment.username} was given the room")
    if is_ours:
        # Whatever the handover came to meanwhile: he has the room.
        moving = _replace(conversation.handover, stage="moving")
        return handover.move_succeeded(_replace(context, conversation=_replace(conversation, handover=moving)), event)
    if event.move in ("queue", "department") and assignment.stage not in ("idle", "seat", "served"):
        server = conversation.served_by
        is_bot = server is not None and server.id in context.directory.serving_ids()
        after = _replace(conversation, served_by=None) if is_bot else conversation
        return context.decide(f"an earlier move ({event.move}) was carried out: what is decided goes on", after)
    return handover.move_succeeded(context, event)


def move_failed(context: Context, event: MoveFailed) -> Decision:
    """The class of the refusal says what is next: taken by a person ends it, taken by a bot is forwarded."""
    conversation = context.conversation
    assignment, server = conversation.assignment, event.served_by
    if event.move == "stray":
        return strays.stays(context, event)
    is_ours = assignment.stage == "moving" and event.target == assignment.user_id
    if not is_ours and assignment.stage not in ("idle", "served") and server is None:
        return context.nothing(f"an earlier move failed ({event.code}): what is decided goes on")
    if not is_ours:
        return handover.move_failed(context, event)
    if server and hub_choice.is_made(context, server):
        conversation = hub_choice.made(context, _replace(conversation, served_by=server), server).after
        context, assignment = _replace(context, conversation=conversation), conversation.assignment
    known = conversation.served_by.id if conversation.served_by else ""
    if server and server.id not in (known, conversation.stray, *context.directory.serving_ids()):
        return handover.move_failed(context, event)  # taken by a person
    refusal = refusal_of(event.code)
    if refusal == "taken" and assignment.moves < MOST_MOVES:
        assignment = _replace(assignment, moves=assignment.moves + 1)
        after = _replace(conversation, assignment=assignment)
        return context.decide(
            f"taken meanwhile ({event.code}): it is forwarded to {assignment.username}",
            after,
            next_steps.move_to(context, assignment),
        )
    return next_steps.go_on(
        context, f"the hub refused {assignment.username}: {refusal}", why_not=f"{refusal} ({event.code})"
    )


def buried(context: Context, event: DeliveryBuried) -> Decision:
    """A step that could not be carried out in its time is a step that failed."""
    assignment = context.conversation.assignment
    if event.command == "StartTimer" and assignment.stage == "seat":
        return next_steps.go_on(context, f"a seat is not waited for any more ({event.code})", ask_again=False)
    stage = _STAGES.get(event.command)
    if stage is None or assignment.stage != stage or event.connection:
        if assignment.stage not in ("idle", "served") and event.command in _MOVES:
            return context.nothing(f"{event.command} could not be carried out ({event.code}): what is decided goes on")
        return replies.buried(context, event)
    if stage == "asking":
        return next_steps.go_on(context, f"{assignment.decider} did not answer ({event.code})", ask_again=False)
    if stage == "waiting":
        return next_steps.go_on(
            context, f"{assignment.decider} is not waited for any more ({event.code})", ask_again=False
        )
    if stage == "ensuring":
        return next_steps.go_on(context, f"no user could be found ({event.code})", why_not=event.code)
    refusal = refusal_of(event.code)
    return next_steps.go_on(
        context, f"the hub refused {assignment.username}: {refusal}", why_not=f"{refusal} ({event.code})"
    )


def tidy(before: Conversation, decision: Decision, directory: Directory) -> Decision:
    """What another event means for a decision that is under way or in force; called while there is one."""
    after = decision.after
    assignment, server = after.assignment, after.served_by
    if assignment is not before.assignment:
        return decision
    if after.closed:
        return _ended(decision, "the conversation was closed")
    if assignment.stage == "served":
        if server is None or server.id != assignment.user_id:
            return _ended(decision, f"{assignment.username} does not serve any more")
        return decision
    if server and _took(before, after, server):
        if assignment.user_id and server.id == assignment.user_id:
            after = next_steps.served(after)
            release = (ReleaseAgent(assignment.former),) if assignment.former else ()
            return _replace(decision, after=after, commands=(*decision.commands, *release))
        if server.id not in directory.serving_ids():
            return _ended(decision, f"{server.username or server.id} serves")
    if after.control.epoch != before.control.epoch:
        # Rows of the old epoch are refused: what is still wanted is asked for again.
        again = _again(assignment, directory)
        return _replace(decision, commands=(*decision.commands, *again)) if again else decision
    return decision


def _took(before: Conversation, after: Conversation, server: UserRef) -> bool:
    """Whether he has it now and had not before. A report that says again who serves takes nothing; a stray did not
    have it until it is known that he may keep it."""
    if after.stray == server.id != after.assignment.user_id:
        return False
    known = before.served_by
    passed = after.control.party == AGENTS and before.control.party != AGENTS
    return known is None or known.id != server.id or passed


def _again(assignment: Assignment, directory: Directory) -> tuple[Command, ...]:
    if assignment.stage == "seat":
        return (next_steps.seat_timer(assignment, directory),)
    if assignment.stage == "ensuring" and assignment.agent:
        return (EnsureAgent(assignment.agent, assignment.cause),)
    if assignment.stage == "moving":
        return (AssignAgent(assignment.user_id, assignment.username, within_ms=next_steps.MOVE_MS),)
    return ()


def _ended(decision: Decision, why: str) -> Decision:
    assignment = decision.after.assignment
    commands = [] if assignment.stage == "served" else next_steps.cancelled(assignment, why)
    commands += [ReleaseAgent(each) for each in (assignment.user_id, assignment.former) if each]
    after = _replace(decision.after, assignment=Assignment())
    return _replace(decision, after=after, commands=(*decision.commands, *commands))
