"""Somebody used what a bot had shown: the bot is told, and what can be used once goes."""

from __future__ import annotations

import hashlib

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import Command, RemoveChoices
from omnibridge.domain.conversation import Conversation, VisitorTurn
from omnibridge.domain.interactions import Interaction
from omnibridge.routing import parties
from omnibridge.routing.context import Context, tell
from omnibridge.routing.decision import Decision

_replace = msgspec.structs.replace

TWICE_MS = 2_000
"""A bot that answers at once has answered before the second half of a double click is told."""


def received(context: Context, event: ev.InteractionReceived) -> Decision:
    """A turn for the bot that showed it, if it is in control: without a message, so nothing is printed in the room but
    what `[texts] pressed` says."""
    conversation, interaction = context.conversation, event.interaction
    first = interaction.actions[0]
    did = f"{_who(interaction)} used {first.label or first.value or first.action_id!r} of {event.connection}"
    pressed, at = _pressed(interaction), interaction.at or context.now_ms
    is_again = pressed == conversation.pressed and abs(at - conversation.pressed_at) < TWICE_MS
    if _is_used(conversation, interaction) or (pressed and is_again):
        return context.nothing(f"{did}, once more: what can be used once was used already")
    if pressed:
        conversation = _replace(conversation, pressed=pressed, pressed_at=at)
    removes: tuple[Command, ...] = ()
    if interaction.message_id and not all(each.keeps for each in interaction.actions):
        removes = (RemoveChoices(interaction.message_id, event.connection),)
    turn = VisitorTurn(
        interaction.id, first.label or first.value or first.action_id, first.value, interaction=interaction
    )
    if parties.gives_way(conversation, event.connection):
        after = _replace(conversation, held=(*conversation.held, turn))
        return context.decide(f"{did}: kept until it is clear who takes over", after, *removes)
    if conversation.control.connection != event.connection:
        # Nobody would answer the next press either: so the buttons go.
        return context.decide(f"{did}, but {conversation.control.party} is in control now", conversation, *removes)
    after, sends = parties.give_turn(context, conversation, event.connection, turn)
    if not interaction.actor.is_visitor:
        return context.decide(f"{did}: it is told", after, *removes, sends)
    text = context.texts.pressed.replace("{label}", first.label or first.value)
    told = tell(conversation, text, event.connection)
    return context.decide(f"{did}: it is in control", _replace(after, told=()), *removes, *told, sends)


def _pressed(interaction: Interaction) -> str:
    """Tells presses of one button in one state of its message from others; empty for what may be used again."""
    if not interaction.trigger_id or not interaction.message_id or any(each.keeps for each in interaction.actions):
        return ""
    which = (interaction.message_id, interaction.actor.id, interaction.actions, interaction.original.get("blocks"))
    return hashlib.sha256(msgspec.json.encode(which, order="deterministic")).hexdigest()[:16]


def _is_used(conversation: Conversation, interaction: Interaction) -> bool:
    """Pressed twice in the client before the button went; the turn of the first press is not answered yet."""
    if not interaction.trigger_id or not interaction.message_id or any(each.keeps for each in interaction.actions):
        return False
    given = (each.interaction for each in (*conversation.waiting, *conversation.held) if each.interaction)
    same = (interaction.message_id, interaction.actor, interaction.actions)
    return any((each.message_id, each.actor, each.actions) == same and each.trigger_id for each in given)


def _who(interaction: Interaction) -> str:
    actor = interaction.actor
    return "the visitor" if actor.is_visitor else actor.username or actor.id
