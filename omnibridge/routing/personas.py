"""People of an external system who speak through the party in control, such as the agents of a desk.

    a reply names an agent ──▶ ensuring ──AgentEnsured──▶ moving ──the room is his──▶ ready
                                  │ no user for him          │ refused
                                  └──────────────────────────┴─▶ ready, without a user

The party stays in control; the room goes to the agent's own user, so that the visitor sees his name and face. What he
says meanwhile is held, in order. Only users that we made are given the room: an existing person who serves speaks for
himself. Without a user of his own the relay account posts under his name (alias, and a prefix for the visitor). What
the answers to these steps lead to is in `persona_moves.py`.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.commands import Command, EnsureAgent, ReleaseAgent, SendToVisitor, Speaker
from omnibridge.domain.content import Content, Text
from omnibridge.domain.conversation import Conversation, Persona
from omnibridge.routing.context import Context
from omnibridge.routing.decision import Decision

_replace = msgspec.structs.replace

OURS = ("provisioned", "pooled")
"""Modes of users that we made."""

MOST_HELD = 100
"""Messages that wait for a user; what is beyond is said under the relay account."""


def say(
    context: Context, conversation: Conversation, agent: ExternalAgent, parts: tuple[Content, ...], *, at_once: bool
) -> tuple[Conversation, tuple[Command, ...]]:
    """His words, held until his user is known. at_once: control is about to be passed, so nothing can wait."""
    persona = conversation.persona
    commands: tuple[Command, ...] = ()
    if persona is None or not is_of(persona, agent.system, agent.id):
        if persona:
            commands = spoken(context, conversation, persona, persona.held)
        persona = Persona(agent, stage="ready" if at_once else "ensuring")
        if not at_once:
            commands = (*commands, EnsureAgent(agent, f"speaks for {conversation.control.connection}"))
    if persona.stage != "ensuring" or at_once or len(persona.held) + len(parts) > MOST_HELD:
        words = spoken(context, conversation, persona, (*persona.held, *parts))
        return _replace(conversation, persona=_replace(persona, held=())), (*commands, *words)
    return _replace(conversation, persona=_replace(persona, held=(*persona.held, *parts))), commands


def before_others(context: Context, conversation: Conversation) -> tuple[Conversation, tuple[Command, ...]]:
    """What he said and that waits for his user, because somebody else's words follow: their order matters more than his
    face."""
    persona = conversation.persona
    if persona is None or not persona.held:
        return conversation, ()
    words = spoken(context, conversation, persona, persona.held)
    return _replace(conversation, persona=_replace(persona, held=())), words


def prefixed(context: Context, agent: ExternalAgent, parts: tuple[Content, ...]) -> tuple[Content, ...]:
    """His words as the connection itself would say them."""
    prefix = _prefix(context, agent)
    return tuple(Text(f"{prefix}{each.text}") if isinstance(each, Text) else each for each in parts)


def _prefix(context: Context, agent: ExternalAgent) -> str:
    return context.texts.speaks_as.replace("{name}", agent.name) if agent.name else ""


def serves(conversation: Conversation, user_id: str) -> bool:
    """Whether this user serves because he is who speaks."""
    persona = conversation.persona
    return bool(persona and persona.user_id == user_id and persona.mode in OURS)


def is_ours(context: Context, conversation: Conversation, user_id: str) -> bool:
    """Whether who serves is a connection's user, or speaks for one."""
    return user_id in {each.user_id for each in context.directory.connections} or serves(conversation, user_id)


def is_moving(conversation: Conversation) -> bool:
    """Whether who served gives way to him."""
    return bool(conversation.persona and conversation.persona.stage == "moving")


def tidy(context: Context, before: Persona, decision: Decision) -> Decision:
    """Who speaks no longer is released, whatever ended it. What he said that waited is said before that, or refused
    like other words when somebody took control from the party."""
    after = decision.after.persona
    if after is not None and (after.user_id == before.user_id or not before.user_id):
        return decision
    # All that waits is said at once: a word of his among the commands means that nothing waits any more.
    is_said = any(
        isinstance(each, SendToVisitor) and each.speaker and is_of(before, each.speaker.system, each.speaker.id)
        for each in decision.commands
    )
    n, reason = 0 if is_said else len(before.held), decision.reason
    words: tuple[Command, ...] = ()
    if after is None and n and (decision.refuse_spoken or decision.after.closed):
        reason = f"{reason}; {n} of {label(before)}'s words are not said"
    elif after is None and n:
        words = spoken(context, context.conversation, before, before.held)
    release = (ReleaseAgent(before.user_id),) if before.user_id and before.mode in OURS else ()
    if not words and not release and reason is decision.reason:
        return decision
    return _replace(decision, reason=reason, commands=(*words, *decision.commands, *release))


def spoken(
    context: Context, conversation: Conversation, persona: Persona, parts: tuple[Content, ...]
) -> tuple[Command, ...]:
    """His words, with under whose name they are shown."""
    agent = persona.agent
    prefix = _prefix(context, agent)
    user_id = persona.user_id if persona.mode in OURS else ""
    speaker = Speaker(agent.system, agent.id, agent.name, user_id, persona.username, prefix, agent.avatar_url)
    return tuple(SendToVisitor(each, conversation.control.connection, speaker=speaker) for each in parts)


def is_of(persona: Persona, system: str, external_id: str) -> bool:
    """Whether it is this agent's."""
    return (persona.agent.system, persona.agent.id) == (system, external_id)


def label(persona: Persona) -> str:
    """SYSTEM:ID."""
    return f"{persona.agent.system}:{persona.agent.id}"
