"""What follows when a decision cannot be carried out, and the small pieces that decisions share.

The agent who serves goes on; else the decider is asked once more; else what it is configured for: the ladder, the
queue, or the bot that gave way.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.commands import (
    AskDecider,
    AssignAgent,
    CancelDecision,
    Command,
    ListAgents,
    ReleaseAgent,
    ReturnToQueue,
    StartTimer,
)
from omnibridge.domain.conversation import AGENTS, QUEUE, Assignment, Conversation
from omnibridge.domain.directory import Decider, Directory
from omnibridge.domain.events import UserRef
from omnibridge.routing import handover, hub_choice, personas
from omnibridge.routing.context import Context, handover_over, pass_control
from omnibridge.routing.decision import Considered, Decision

_replace = msgspec.structs.replace

MOVE_MS = 30_000
"""For an agent that was pushed to be given the room; a decider has its own setting."""

SEAT = "seat"
"""The timer of a room that waits until a user can be made for its agent."""


def go_on(context: Context, reason: str, *, why_not: str = "", ask_again: bool = True) -> Decision:
    """The next step: the agent who serves goes on, the decider is asked once more, or as it is configured."""
    conversation = context.conversation
    assignment, state = conversation.assignment, conversation.handover
    decider = context.directory.decider(assignment.decider)
    commands: list[Command] = [ReleaseAgent(assignment.user_id)] if assignment.user_id else []
    considered = (Considered(f"agent {label(assignment.agent)}", False, why_not),) if assignment.agent else ()
    after = _replace(conversation, assignment=Assignment())
    if conversation.control.connection:  # it has it back since a seat was waited for
        commands += cancelled(assignment, reason)
        why = f"{reason}: {conversation.control.connection} goes on"
        return context.decide(why, after, *commands, considered=considered)
    if conversation.control.party == AGENTS:
        server = conversation.served_by
        if server and server.id == assignment.former:
            after = _replace(conversation, assignment=Assignment("served", user_id=assignment.former))
        return context.decide(f"{reason}: who serves goes on", after, *commands, considered=considered)
    if ask_again and decider and assignment.agent and assignment.asked < decider.asks:
        return _ask_again(context, reason, decider, commands, considered)
    commands += cancelled(assignment, reason)
    if hub_choice.stands(conversation):
        after = _replace(hub_choice.kept(conversation), assignment=Assignment())
        why = f"{reason}: who serves by the hub's choice goes on"
        return context.decide(why, after, *commands, considered=considered)
    way = decider.on_failure if decider else "bot" if state.from_connection else "queue"
    if way == "ladder":
        return look_for_people(context, after, reason, considered, *commands)
    if way == "bot" and state.from_connection:
        decision = handover.nobody(context, after, reason, considered, silently=not assignment.decider)
        return _replace(decision, commands=(*commands, *decision.commands))
    return to_queue(context, after, reason, considered, *commands)


def _ask_again(
    context: Context, reason: str, decider: Decider, commands: list[Command], considered: tuple[Considered, ...]
) -> Decision:
    conversation = context.conversation
    assignment, state = conversation.assignment, conversation.handover
    excluded = (*assignment.excluded, assignment.agent.id if assignment.agent else "")
    asked = assignment.asked + 1
    again = Assignment(
        "asking", decider.name, asked=asked, excluded=excluded, opened_at=assignment.opened_at,
        default=assignment.default,
    )  # fmt: skip
    after = _replace(conversation, assignment=again, handover=_replace(state, stage="deciding"))
    ask = AskDecider(decider.name, asked, state.department, reason, excluded, decider.timeout_ms)
    return context.decide(f"{reason}: {decider.name} is asked again", after, *commands, ask, considered=considered)


def look_for_people(
    context: Context,
    conversation: Conversation,
    reason: str,
    considered: tuple[Considered, ...],
    *commands: Command,
) -> Decision:
    """The ladder: somebody who is available takes over."""
    after = _replace(pass_control(conversation, QUEUE), handover=_replace(conversation.handover, stage="listing"))
    return context.decide(f"{reason}: people are looked for", after, *commands, ListAgents(), considered=considered)


def to_queue(
    context: Context,
    conversation: Conversation,
    reason: str,
    considered: tuple[Considered, ...],
    *commands: Command,
) -> Decision:
    """It waits for people; a bot that serves leaves the room."""
    server, state = conversation.served_by, conversation.handover
    speaks = bool(server and personas.serves(context.conversation, server.id))
    if server and (speaks or server.id in context.directory.serving_ids()):
        after = _replace(conversation, handover=_replace(state, stage="moving", rungs=(), moves=state.moves + 1))
        return context.decide(f"{reason}: back to the queue", after, *commands, ReturnToQueue(), considered=considered)
    after = _replace(conversation, held=(), handover=handover_over(state))
    return context.decide(f"{reason}: it waits in the queue", after, *commands, considered=considered)


def cancelled(assignment: Assignment, why: str) -> list[Command]:
    """Tell the decider that was asked; one that pushed sees it in the answer to a GET."""
    if not assignment.decider or assignment.stage in ("idle", "served"):
        return []
    external_id = assignment.agent.id if assignment.agent else ""
    return [CancelDecision(assignment.decider, assignment.ticket, external_id, why)]


def move_to(context: Context, assignment: Assignment) -> AssignAgent:
    """The room goes to its agent, within the time that his decider has."""
    decider = context.directory.decider(assignment.decider)
    return AssignAgent(assignment.user_id, assignment.username, within_ms=decider.move_ms if decider else MOVE_MS)


def served(conversation: Conversation) -> Conversation:
    """The agent who was decided has the room."""
    assignment, server = conversation.assignment, conversation.served_by
    named = UserRef(assignment.user_id, assignment.username)
    server = named if server is None else server if server.username else _replace(server, username=named.username)
    in_force = _replace(assignment, stage="served", former="")
    return _replace(conversation, assignment=in_force, served_by=server, stray="")


def is_under_way(conversation: Conversation) -> bool:
    """Whether it is being found out who serves."""
    return conversation.handover.stage != "idle" or conversation.assignment.stage not in ("idle", "served")


def label(agent: ExternalAgent | None) -> str:
    """SYSTEM:ID."""
    return f"{agent.system}:{agent.id}" if agent else "nobody"


def seat_timer(assignment: Assignment, directory: Directory) -> StartTimer:
    """After it, the user of its agent is looked for again."""
    return StartTimer(SEAT, label(assignment.agent), directory.look_again_ms)
