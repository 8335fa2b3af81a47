"""The user of who speaks for the party in control: found or not, and the room's way to him. See `personas.py`.

What concerns nobody who speaks is handed on to `assignment.py` and `assignment_moves.py`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.agent_events import AgentEnsured, AgentNotEnsured
from omnibridge.domain.agents import AgentFound
from omnibridge.domain.commands import AssignAgent
from omnibridge.domain.conversation import Persona
from omnibridge.domain.delivery_events import DeliveryBuried, MoveFailed, MoveSucceeded
from omnibridge.routing import assignment, assignment_moves
from omnibridge.routing.context import Context
from omnibridge.routing.decision import Decision
from omnibridge.routing.next_steps import MOVE_MS
from omnibridge.routing.personas import OURS, is_of, label, spoken

_replace = msgspec.structs.replace


def ensured(context: Context, event: AgentEnsured) -> Decision:
    """He gets the room, if his user is one of ours; then his words follow, in the same stream."""
    conversation, found = context.conversation, event.found
    persona = conversation.persona
    if persona is None or persona.stage != "ensuring" or not is_of(persona, found.system, found.external_id):
        return assignment.ensured(context, event)
    is_ours = found.mode in OURS
    server = conversation.served_by
    serves = server is not None and server.id == found.user_id != conversation.stray
    moves = is_ours and not serves
    persona = _known(persona, found, stage="moving" if moves else "ready")
    after = _replace(conversation, persona=_replace(persona, held=()))
    move = (AssignAgent(found.user_id, found.username, within_ms=MOVE_MS),) if moves else ()
    who = f"{found.system}:{found.external_id} speaks as {found.username} ({found.mode})"
    return context.decide(who, after, *move, *spoken(context, after, persona, persona.held))


def not_ensured(context: Context, event: AgentNotEnsured) -> Decision:
    """The relay account speaks for him."""
    persona, refused = context.conversation.persona, event.refused
    if persona is None or persona.stage != "ensuring" or not is_of(persona, refused.system, refused.external_id):
        return assignment.not_ensured(context, event)
    return _without_user(context, persona, f"no user for {refused.system}:{refused.external_id} ({refused.reason})")


def buried(context: Context, event: DeliveryBuried) -> Decision:
    """A step for him that could not be carried out in its time."""
    persona = context.conversation.persona
    steps = {"EnsureAgent": "ensuring", "AssignAgent": "moving"}
    if persona is None or steps.get(event.command) != persona.stage or event.connection:
        return assignment_moves.buried(context, event)
    alone = _without_user(context, persona, f"{event.command} could not be carried out ({event.code})")
    if context.conversation.assignment.stage != persona.stage:
        return alone
    # Whose step it was is not told, so neither is waited for: an answer that comes all the same changes nothing.
    both = assignment_moves.buried(_replace(context, conversation=alone.after), event)
    return _replace(both, reason=f"{alone.reason}; {both.reason}", commands=(*alone.commands, *both.commands))


def move_succeeded(context: Context, event: MoveSucceeded) -> Decision:
    """He has the room; the party stays in control."""
    conversation, persona = context.conversation, context.conversation.persona
    if persona is None or not persona.user_id or event.move != "agent" or event.target != persona.user_id:
        return assignment_moves.move_succeeded(context, event)
    server = ev.UserRef(persona.user_id, persona.username)
    after = _replace(conversation, persona=_replace(persona, stage="ready"), served_by=server)
    return context.decide(f"{persona.username} serves: {label(persona)} speaks as him", after)


def move_failed(context: Context, event: MoveFailed) -> Decision:
    """A person who took it has control; else he speaks through the relay account."""
    persona, server = context.conversation.persona, event.served_by
    if persona is None or persona.stage != "moving" or event.target != persona.user_id:
        return assignment_moves.move_failed(context, event)
    known, stray = context.conversation.served_by, context.conversation.stray
    if server and server.id not in (known.id if known else "", stray, *context.directory.serving_ids()):
        return assignment_moves.move_failed(context, event)
    return _without_user(context, persona, f"the hub refused {persona.username} ({event.code})")


def _without_user(context: Context, persona: Persona, reason: str) -> Decision:
    alone = _replace(persona, stage="ready", user_id="", username="", mode="", held=())
    after = _replace(context.conversation, persona=alone)
    said = spoken(context, after, alone, persona.held)
    return context.decide(f"{reason}: the relay account speaks for {label(persona)}", after, *said)


def _known(persona: Persona, found: AgentFound, stage: Literal["moving", "ready"]) -> Persona:
    agent = persona.agent if persona.agent.name else _replace(persona.agent, name=found.persona)
    return _replace(persona, agent=agent, stage=stage, user_id=found.user_id, username=found.username, mode=found.mode)
