"""What a bot's answer, its silence or its failure leads to."""

from __future__ import annotations

import hashlib

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import CloseConversation, Command, SendToVisitor, UpdateMessage
from omnibridge.domain.content import Content, Custom, Option, chosen_from
from omnibridge.domain.conversation import Conversation, Speech, VisitorTurn
from omnibridge.domain.delivery_events import DeliveryBuried, DeliveryDelayed, TurnRepeated, TurnResent
from omnibridge.routing import handover, parties, personas
from omnibridge.routing.context import Context, poster, tell, tell_once
from omnibridge.routing.decision import Decision
from omnibridge.routing.facts import told_facts
from omnibridge.routing.fields import set_fields

_replace = msgspec.structs.replace
_encode = msgspec.json.Encoder(order="deterministic").encode


def replied(context: Context, event: ev.PartyReplied) -> Decision:
    """Say it, then hand over or close if the bot asked for it; handover wins over close."""
    conversation = context.conversation
    if parties.gives_way(conversation, event.connection):
        return _meanwhile(context, event, event.message_id)
    if conversation.control.connection != event.connection:
        return context.nothing(f"{event.connection} answered, but {conversation.control.party} is in control now")
    if event.accepted:
        return _accepted(context, event)
    conversation, says = _says(context, event)
    fallbacks = conversation.fallbacks + 1 if event.fallback else 0 if not event.welcome else conversation.fallbacks
    after = _replace(
        conversation,
        waiting=_still_waiting(conversation, event.message_id),
        options=_options(_offers(event)),
        fallbacks=fallbacks,
        told_delay=False,
        bot_facts=event.facts,
    )
    context = _with(context, after)
    if event.handover:
        return _hand_over(context, event, says)
    if _is_lost(context, event.connection, fallbacks):
        return _give_up(context, event.connection, fallbacks, says)
    if event.close:
        return _close(context, event.connection, says)
    if not says:
        return context.decide(f"{event.connection} said nothing", after)
    not_understood = f"; not understood {fallbacks} in a row" if fallbacks else ""
    return context.decide(f"{event.connection} answered{not_understood}", after, *says)


def _meanwhile(context: Context, event: ev.PartyReplied | ev.PartySpoke, message_id: str = "") -> Decision:
    """Kept until it is clear who takes over: a turn that was answered must not be given to the party again."""
    conversation = context.conversation
    words: tuple[Content, ...] = tuple(each for each in event.parts if not isinstance(each, Custom))
    if event.agent is not None:
        words = personas.prefixed(context, event.agent, words)
    told = event.facts if isinstance(event, ev.PartyReplied) else conversation.bot_facts
    after = _replace(
        conversation,
        held=_without(conversation.held, message_id),
        bot_facts=told,
        handover=_replace(conversation.handover, said=(*conversation.handover.said, *words)),
    )
    return context.decide(
        f"{event.connection} answered while people are looked for: kept until it is clear who takes over",
        after,
        *_updates(event),
        *set_fields(event.fields),
    )


def _without(turns: tuple[VisitorTurn, ...], message_id: str) -> tuple[VisitorTurn, ...]:
    return tuple(each for each in turns if not message_id or each.message_id != message_id)


def _still_waiting(conversation: Conversation, message_id: str) -> tuple[VisitorTurn, ...]:
    """After an answer: turns are answered in their order, but one that was under way when the bot gave way and stayed
    may be answered by what was begun before."""
    rest = _without(conversation.waiting, message_id)
    return rest if len(rest) < len(conversation.waiting) else conversation.waiting[1:]


def _accepted(context: Context, event: ev.PartyReplied) -> Decision:
    """The turn is over for us: its words were said as they came. Only what is counted per turn is left."""
    conversation = context.conversation
    is_older = event.epoch != conversation.control.epoch
    if is_older and event.message_id not in [each.message_id for each in conversation.waiting]:
        return context.nothing(f"{event.connection} took a turn that was given before control changed")
    speech = conversation.speech
    is_unclear = event.fallback or speech.unclear
    fallbacks = conversation.fallbacks + 1 if is_unclear else 0 if not event.welcome else conversation.fallbacks
    waiting = _still_waiting(conversation, event.message_id)
    after = _replace(
        conversation,
        waiting=waiting,
        options=conversation.options if speech.offered else (),
        fallbacks=fallbacks,
        told_delay=conversation.told_delay and bool(waiting),  # not for each of those that waited together
        speech=Speech(),
    )
    if _is_lost(context, event.connection, fallbacks):
        return _give_up(_with(context, after), event.connection, fallbacks, ())
    if event.declined:
        return context.decide(f"{event.connection} was not given the turn: {event.declined}", after)
    return context.decide(f"{event.connection} took the turn; it answers by itself", after)


def spoke(context: Context, event: ev.PartySpoke) -> Decision:
    """Say it, if the party that speaks is in control; it may ask for a person or close as in an answer."""
    conversation = context.conversation
    if parties.gives_way(conversation, event.connection):
        return _meanwhile(context, event)
    if conversation.control.connection != event.connection:
        return context.nothing(f"{event.connection} spoke, but {conversation.control.party} is in control now")
    digest, speech = _digest(event), conversation.speech
    if speech.expected[:1] == (digest,):
        after = _replace(conversation, speech=_replace(speech, expected=speech.expected[1:]))
        return context.decide(f"{event.connection} said that before its turn was given again", after)
    conversation, says = _says(context, event)
    options = _options(_offers(event))
    speech = Speech(
        said=(*speech.said, digest) if conversation.waiting else speech.said,
        offered=speech.offered or bool(options),
        unclear=speech.unclear or event.fallback,
    )
    after = _replace(conversation, options=options or conversation.options, speech=speech)
    if event.facts:
        others = {name: value for name, value in conversation.bot_facts.items() if name not in event.facts}
        after = _replace(after, bot_facts=told_facts({**event.facts, **others}))
    if event.handover:
        # The turn that led to it is answered by that: it must not be given to the bot again.
        return _hand_over(_with(context, _replace(after, waiting=after.waiting[1:])), event, says)
    if event.close:
        return _close(_with(context, after), event.connection, says)
    return context.decide(f"{event.connection} spoke" if says else f"{event.connection} gave a sign", after, *says)


def repeated(context: Context, event: TurnRepeated) -> Decision:
    """What was said of the turn already is not said again, as long as the party says the same.

    People do not answer a turn again because it is given again: what they say is new each time."""
    conversation = context.conversation
    if conversation.desk is not None:
        return context.nothing(f"words are given to {event.connection} again")
    said = conversation.speech.said
    if conversation.control.connection != event.connection or not said:
        return context.nothing(f"a turn is given to {event.connection} again")
    after = _replace(conversation, speech=_replace(conversation.speech, expected=said))
    return context.decide(f"a turn is given to {event.connection} again, which had begun to answer it", after)


def _digest(event: ev.PartySpoke) -> str:
    return hashlib.sha256(_encode(event)).hexdigest()[:16]


def _says(context: Context, event: ev.PartyReplied | ev.PartySpoke) -> tuple[Conversation, tuple[Command, ...]]:
    """What it changes of what it said, its words, and the fields it sets: people who take over find them."""
    conversation, updates = context.conversation, _updates(event)
    shown = tuple(each for each in event.parts if not isinstance(each, Custom))
    if event.agent is not None:
        is_last = event.handover or event.close
        after, spoken = personas.say(context, conversation, event.agent, shown, at_once=is_last)
        return after, (*updates, *spoken, *set_fields(event.fields))
    posts_as = poster(conversation, event.connection)
    thread = event.thread_id if isinstance(event, ev.PartySpoke) else ""
    waited: tuple[Command, ...] = ()
    if shown:
        conversation, waited = personas.before_others(context, conversation)
    says = (SendToVisitor(each, posts_as, thread_id=thread) for each in shown)
    return conversation, (*updates, *waited, *says, *set_fields(event.fields))


def _updates(event: ev.PartyReplied | ev.PartySpoke) -> tuple[Command, ...]:
    """What becomes of messages that it showed before."""
    return tuple(UpdateMessage(each, event.connection) for each in event.updates)


def _hand_over(context: Context, event: ev.PartyReplied | ev.PartySpoke, says: tuple[Command, ...]) -> Decision:
    why = f" ({event.handover_reason})" if event.handover_reason else ""
    reason = f"{event.connection} asked for a person{why}"
    return handover.begin(context, reason, department=event.handover_department, before=says)


def _is_lost(context: Context, connection: str, fallbacks: int) -> bool:
    bot = context.directory.connection(connection)
    return bool(bot and bot.fallbacks and fallbacks >= bot.fallbacks)


def _give_up(context: Context, connection: str, fallbacks: int, says: tuple[Command, ...]) -> Decision:
    reason = f"{connection} did not understand {fallbacks} times in a row"
    return handover.begin(context, reason, before=says, say="handover")


def _close(context: Context, connection: str, says: tuple[Command, ...]) -> Decision:
    comment = CloseConversation(context.texts.close_comment or "Closed.")
    return context.decide(f"{connection} closes the conversation", context.conversation, *says, comment)


def delayed(context: Context, event: DeliveryDelayed) -> Decision:
    """Leave the visitor no longer without a word, once per wait."""
    conversation = context.conversation
    told = tell(conversation, context.texts.delayed, event.connection)
    if (
        conversation.told_delay
        or (conversation.desk is not None and conversation.desk.interrupted)
        or conversation.speech.said
        or not told
        or conversation.control.connection != event.connection
    ):
        return context.nothing("the visitor knows already, or need not")
    after = _replace(conversation, told_delay=True)
    return context.decide(f"{event.connection} is slow: the visitor is told", after, *told)


def buried(context: Context, event: DeliveryBuried) -> Decision:
    """Given up: tell the visitor once and go on; a bot that is down gives way to people if so configured.

    That our own sentence was given up is never told: it would be the same sentence again.
    """
    conversation = context.conversation
    connection = conversation.control.connection
    told: tuple[Command, ...] = ()
    if event.command in ("ListAgents", "AssignAgent", "TransferToDepartment", "ReturnToQueue"):
        if conversation.handover.stage != "idle":
            return handover.nobody(context, conversation, f"{event.command} could not be carried out ({event.code})")
        return context.nothing(f"{event.command} could not be carried out ({event.code})")
    if event.command == "SendToParty" and parties.gives_way(conversation, event.connection):
        after = _replace(conversation, held=_without(conversation.held, event.message_id))
        return context.decide(f"a turn could not be given to {event.connection} ({event.code})", after)
    if event.command != "SendToParty" or connection != event.connection:
        after = conversation
        if event.command in ("SendToVisitor", "UpdateMessage"):
            after, told = tell_once(context.texts, conversation, "undeliverable", "")
        return context.decide(f"{event.command} could not be delivered ({event.code})", after, *told)
    after = _replace(conversation, waiting=_still_waiting(conversation, event.message_id))
    context = _with(context, after)
    reason = f"{connection} cannot be reached ({event.code})"
    bot = context.directory.connection(connection)
    if bot and bot.handover_when_down:
        return handover.begin(context, reason, say="bot_down")
    after, told = tell_once(context.texts, after, "bot_down", connection)
    return context.decide(f"{reason}: the visitor {'is told' if told else 'knows already, or need not'}", after, *told)


def resent(context: Context, event: TurnResent) -> Decision:
    """The party owes an answer again. The delivery is there already: the operator decided that, not we."""
    conversation = context.conversation
    if conversation.control.connection != event.connection:
        return context.nothing(f"sent again to {event.connection}, but {conversation.control.party} is in control now")
    turn = VisitorTurn(event.message_id, event.text, event.choice_value, event.welcome, event.late)
    after = _replace(conversation, waiting=(*conversation.waiting, turn))
    return context.decide(f"an operator has it sent to {event.connection} again", after)


def _options(parts: tuple[Content, ...]) -> tuple[Option, ...]:
    """Of the part that offers something last: the numbers of the ones before are not meant any more."""
    return next(filter(None, (chosen_from(each) for each in reversed(parts))), ())


def _offers(event: ev.PartyReplied | ev.PartySpoke) -> tuple[Content, ...]:
    """A message that was changed may offer something as well."""
    return (*(each.content for each in event.updates if not each.only_choices), *event.parts)


def _with(context: Context, conversation: Conversation) -> Context:
    return _replace(context, conversation=conversation)
