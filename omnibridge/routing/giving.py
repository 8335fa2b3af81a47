"""Putting somebody in control: whom the rules name, else the default."""

from __future__ import annotations

from omnibridge.domain.conversation import QUEUE, Move
from omnibridge.routing import handover, parties
from omnibridge.routing.context import Context, pass_control
from omnibridge.routing.decision import Considered, Decision
from omnibridge.routing.rules import Target


def by_rules(context: Context, does: str) -> Decision:
    """Whom the rules for a start name, else the default."""
    rule, considered = context.rules.first_match("start", context.facts)
    target = rule.target if rule else context.rules.default
    if target is None:
        first = context.directory.first_of(context.conversation.workspace)
        target = Target("bot", first.name) if first else Target("queue")
    by = f"rule {rule.name!r}" if rule else "the default"
    return give_to(context, target, f"{by} {does} to {target}", rule.name if rule else "", considered)


def give_to(
    context: Context,
    target: Target,
    reason: str,
    rule: str = "",
    considered: tuple[Considered, ...] = (),
) -> Decision:
    """Put a target in control, from whoever has it now."""
    if target.kind == "bot":
        return parties.give_to_party(context, target.name, reason, rule, considered)
    conversation = context.conversation
    if target.kind == "queue" and not conversation.control.connection and conversation.served_by is None:
        after = pass_control(conversation, QUEUE)
        return context.decide(reason, after, rule=rule, considered=considered)
    if target.kind == "decider":
        if context.directory.decider(target.name) is None:
            reason = f"{reason}, but it is not configured"
        return handover.begin(context, reason, rule=rule, considered=considered, decider=target.name)
    wanted = {
        "queue": (),
        "department": (Move("department", name=target.name),),
        "agent": (Move("agent", name=target.name),),
    }[target.kind]
    return handover.begin(context, reason, wanted=wanted, rule=rule, considered=considered, decider="")
