"""The hub gave a new visitor to a person at once, though an external system is being asked: its answer counts more.

A hub that chooses by itself serves a room in the call that makes it, so whoever is asked comes later. Until it is
decided that person serves as the hub's default (`Assignment.default`): control stays with the queue, so question, user
and move keep their epoch, and whatever ends a decision in the queue ends it here. He keeps the visitor when nobody who
can serve is named, and as soon as somebody of staff writes: then control passes, which refuses the move.

Only what the hub does at once, where it chooses by itself (`Directory.choosing`), is its choice: whoever takes a
visitor from the queue is a person who wants him, and keeps him. That a room was queued says nothing: hubs tell that
also right before they choose. Asked once per start, so a hub that chooses again makes no loop.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain.conversation import AGENTS, QUEUE, Conversation
from omnibridge.domain.directory import Decider
from omnibridge.domain.events import ConversationStarted, MessagePosted, UserRef
from omnibridge.routing.context import Context, handover_over, pass_control
from omnibridge.routing.decision import Decision

_replace = msgspec.structs.replace

AT_ONCE_MS = 5_000
"""From the beginning of a room; what comes later was somebody's own hand."""


def asked_at(context: Context, decider: Decider) -> int:
    """When the room began, ms, where the answer shall count more than the hub's choice; 0 = it shall not."""
    event = context.event
    if not decider.over_auto_selection or not isinstance(event, ConversationStarted):
        return 0
    return event.at or context.now_ms


def is_made(context: Context, agent: UserRef, since_ms: int = 0) -> bool:
    """Whether he serves by the hub's choice while a decision is under way. since_ms: hub time, 0 = not told."""
    conversation, assignment = context.conversation, context.conversation.assignment
    is_asked = assignment.opened_at and assignment.decider and assignment.stage not in ("idle", "served")
    if not is_asked or conversation.control.party != QUEUE:
        return False
    if agent.id == assignment.default:
        return True
    is_first = conversation.served_by is None and not assignment.default
    is_choice = is_first and conversation.workspace in context.directory.choosing
    if not is_choice or agent.id in (assignment.user_id, *context.directory.serving_ids()):
        return False
    if since_ms:
        return since_ms - assignment.opened_at <= AT_ONCE_MS
    return context.now_ms - max(conversation.handover.started_at, default=0) <= AT_ONCE_MS


def made(context: Context, conversation: Conversation, agent: UserRef) -> Decision:
    """He serves until it is decided."""
    assignment = _replace(conversation.assignment, default=agent.id)
    who = agent.username or agent.id
    reason = f"{who} serves by the hub's own choice, until it is decided or staff writes"
    return context.decide(reason, _replace(conversation, assignment=assignment))


def lost(context: Context) -> str:
    """Why the answer does not count, where the hub chooses and nobody wanted it to count more; in words."""
    conversation, name = context.conversation, context.conversation.assignment.decider
    decider = context.directory.decider(name)
    if decider is None or decider.over_auto_selection or conversation.assignment.stage == "served":
        return ""
    if conversation.workspace not in context.directory.choosing:
        return ""
    return f"; the hub chooses by itself, and {name} does not count more: over_auto_selection is off"


def stands(conversation: Conversation) -> bool:
    """Whom the hub chose serves, and it is not decided yet."""
    default, server = conversation.assignment.default, conversation.served_by
    return bool(default) and server is not None and server.id == default and conversation.control.party == QUEUE


def kept(conversation: Conversation) -> Conversation:
    """He has the visitor for good."""
    after = pass_control(conversation, AGENTS)
    return _replace(after, held=(), handover=handover_over(after.handover))


def answered(context: Context, event: MessagePosted) -> Decision:
    """Somebody of staff wrote: a visitor who talks with a person is not taken from him."""
    conversation = context.conversation
    server, decider = conversation.served_by, conversation.assignment.decider
    who = (server.username or server.id) if server else event.author_id
    reason = f"staff wrote before the decision of {decider} was carried out: {who} keeps the visitor"
    return context.decide(reason, kept(conversation), refuse_spoken=True)
