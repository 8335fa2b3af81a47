"""What the visitor wrote: to the party in control, with a rule to somebody else, or out of the hub's history."""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.choices import match_choice
from omnibridge.domain.commands import Command
from omnibridge.domain.conversation import AGENTS, VisitorTurn
from omnibridge.routing import files, giving, hub_choice, parties
from omnibridge.routing.context import Context
from omnibridge.routing.decision import Considered, Decision
from omnibridge.routing.rules import Rule

_replace = msgspec.structs.replace


def posted(context: Context, event: ev.MessagePosted) -> Decision:
    conversation = context.conversation
    if event.author == "agent" and conversation.assignment.decider and hub_choice.stands(conversation):
        return hub_choice.answered(context, event)
    if event.author != "visitor":
        return context.decide(f"{event.author} wrote in the room: shown by the hub itself", conversation)
    conversation = _replace(conversation, last_visitor_ts=max(conversation.last_visitor_ts, event.ts), told=())
    if event.recovered:
        return context.decide("found in the hub's history", conversation)
    context = _replace(context, conversation=conversation)
    connection = conversation.control.connection
    if connection:
        rule, considered = context.rules.first_match("message", context.facts)
        if rule and not (rule.target.kind == "bot" and rule.target.name == connection):
            return _sent_by_rule(context, event, rule, considered)
    else:
        considered = ()
    option = match_choice(event.text, conversation.options)
    sorted_files = files.sort_out(context, connection or conversation.handover.from_connection, event)
    value = option.value if option else ""
    turn = VisitorTurn(event.message_id, event.text, value, late=event.late, files=sorted_files.taken)
    if conversation.handover.stage != "idle" and conversation.handover.from_connection:
        after = _replace(conversation, held=(*conversation.held, turn))
        return context.decide("kept until it is clear who takes over", after, considered=considered)
    if not connection:
        people = "people serve" if conversation.control.party == AGENTS else "waits for people"
        return context.decide(f"{people}: the hub shows it to them", conversation, considered=considered)
    told = sorted_files.tell(conversation, connection)
    if not event.text.strip() and not sorted_files.taken:
        return files.nothing_to_read(context, conversation, connection, sorted_files, told)
    after, sends = parties.give_turn(context, conversation, connection, turn)
    said = f"the visitor chose {option.label!r}" if option else "the visitor wrote"
    late = ", late" if event.late else ""
    file = sorted_files.in_words(is_told=bool(told))
    return context.decide(
        f"{said}{late}{file}: {connection} is in control",
        after,
        *told,
        sends,
        considered=considered,
    )


def _sent_by_rule(
    context: Context, event: ev.MessagePosted, rule: Rule, considered: tuple[Considered, ...]
) -> Decision:
    """The message goes with the conversation: to the party that has it now, or to the bot if nobody takes over."""
    reason = f"rule {rule.name!r} sends this message to {rule.target}"
    decision = giving.give_to(context, rule.target, reason, rule.name, considered)
    after = decision.after
    receiver = after.control.connection or (after.handover.from_connection if after.handover.stage != "idle" else "")
    if not receiver:
        return decision
    found = files.sort_out(context, receiver, event)
    if not event.text.strip() and not found.taken:
        return decision
    turn = VisitorTurn(event.message_id, event.text, late=event.late, files=found.taken)
    if not after.control.connection:
        return _replace(decision, after=_replace(after, held=(*after.held, turn)))
    after, sends = parties.give_turn(context, after, receiver, turn)
    told = found.tell(context.conversation, receiver)
    return _replace(decision, after=after, commands=(*decision.commands, *told, sends))


def recovered(context: Context, event: ev.MessagesRecovered) -> Decision:
    """What a gap swallowed goes on as one message: a bot that got it piece by piece would answer each piece.

    But nothing of it that was answered since: an answer to an old question confuses more than it helps.
    """
    if event.closed:
        return context.nothing(f"{_found(event.messages)}, closed since: nothing is sent")
    open_ones = [each for each in event.messages if each.ts >= event.answered_at]
    if not open_ones:
        return context.nothing(f"{_found(event.messages)}, answered since: nothing is sent")
    if context.conversation.desk is not None:
        return _each_recovered(context, open_ones)
    last, texts = open_ones[-1], [each.text for each in open_ones if each.text.strip()]
    as_one = ev.MessagePosted(
        last.id, "visitor", "", "\n".join(texts), last.ts, late=True,
        has_file=any(each.has_file for each in open_ones),
        files=tuple(file for each in open_ones for file in each.files),
    )  # fmt: skip
    facts = context.facts.of(context.conversation, as_one)
    decision = posted(_replace(context, event=as_one, facts=facts), as_one)
    n_answered = len(event.messages) - len(open_ones)
    answered = f", {n_answered} of them answered since" if n_answered else ""
    return _replace(decision, reason=f"{_found(event.messages)}{answered}; as one: {decision.reason}")


def _each_recovered(context: Context, messages: list[ev.RecoveredMessage]) -> Decision:
    """People read one after the other; and what a desk is told of a conversation leaves turns out by their ids."""
    commands: tuple[Command, ...] = ()
    refuses = False
    for each in messages:
        as_posted = ev.MessagePosted(
            each.id, "visitor", "", each.text, each.ts, late=True, has_file=each.has_file, files=each.files
        )
        facts = context.facts.of(context.conversation, as_posted)
        decision = posted(_replace(context, event=as_posted, facts=facts), as_posted)
        commands, refuses = (*commands, *decision.commands), refuses or decision.refuse_spoken
        context = _replace(context, conversation=decision.after)
    reason = f"{_found(tuple(messages))}; each: {decision.reason}"
    return _replace(decision, reason=reason, commands=commands, refuse_spoken=refuses)


def _found(messages: tuple[ev.RecoveredMessage, ...]) -> str:
    return f"{len(messages)} found in the hub's history"
