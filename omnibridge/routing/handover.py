"""Giving way to people: a ladder of what this workspace can do, at most three moves, no loops.

                  deciding: an external system is asked first (assignment.py)
    bot ──begin──▶ listing ──AgentsListed──▶ moving ──MoveSucceeded──▶ people
                      │                        │ MoveFailed: next rung
                      └──── nobody there ──────┴──▶ the visitor is told, the bot stays

Control passes to the queue when it begins, so that the bot falls silent; what the visitor writes meanwhile
is held and goes to the bot if nobody takes over. Source of the limits: community editions have one
department and refuse a forward to the same one; a hub that assigns bots first may give the room straight back.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import (
    AskDecider,
    AssignAgent,
    Command,
    ListAgents,
    ReturnToQueue,
    SendToVisitor,
    TransferToDepartment,
)
from omnibridge.domain.conversation import (
    AGENTS,
    QUEUE,
    Assignment,
    Conversation,
    Handover,
    Move,
    bot_party,
)
from omnibridge.domain.delivery_events import MoveFailed, MoveSucceeded
from omnibridge.routing import hub_choice, parties, personas
from omnibridge.routing.context import (
    Context,
    TextName,
    end_session,
    handover_over,
    pass_control,
    poster,
    tell_once,
)
from omnibridge.routing.decision import Considered, Decision

_replace = msgspec.structs.replace


def begin(
    context: Context,
    reason: str,
    *,
    department: str = "",
    before: tuple[Command, ...] = (),
    wanted: tuple[Move, ...] = (),
    say: TextName | None = None,
    rule: str = "",
    considered: tuple[Considered, ...] = (),
    decider: str | None = None,
) -> Decision:
    """Ask who could serve. before: what is still said by the bot. wanted: moves to try before the ladder.
    say: which of the texts the visitor is told. decider: the external system that is asked first, empty = none,
    None = the one that is configured for the bot or by the rules.

    A second request while one is under way changes nothing: visitors click twice.
    """
    conversation = context.conversation
    state = conversation.handover
    if state.stage != "idle":
        return context.decide(f"{reason}; a handover is under way already", conversation, *before)
    policy = context.rules.handover
    recent = tuple(at for at in state.started_at if at > context.now_ms - policy.window_s * 1000)
    connection = conversation.control.connection
    told: tuple[Command, ...] = ()
    if len(recent) >= policy.max_handovers and connection:
        after, told = tell_once(context.texts, conversation, "nobody_online", connection)
        why = f"{reason}, but it came back {len(recent)} times within {policy.window_s} s: the bot stays"
        return context.decide(why, after, *before, *told)
    if say:
        conversation, told = tell_once(context.texts, conversation, say, connection)
    giver = context.directory.connection(connection)
    desk = context.directory.connection(giver.hands_to) if giver and decider is None and not wanted else None
    if desk is not None and desk.desk is not None:
        why = f"{reason}: offered to {desk.name}"
        context = _replace(context, conversation=conversation)
        after, offered = parties.offer(context, desk, desk.desk, reason, department)
        return context.decide(why, after, *before, *told, *offered, rule=rule, considered=considered)
    after = _replace(
        pass_control(conversation, QUEUE),
        held=parties.held_for_next(conversation),
        handover=Handover(
            "listing", parties.giver_of(conversation), department, reason, wanted, 0, (*recent, context.now_ms)
        ),
    )
    first: Command = ListAgents()
    asked = context.directory.decider(_decider_of(context, connection) if decider is None else decider)
    if asked:
        assignment = Assignment("asking", asked.name, asked=1, opened_at=hub_choice.asked_at(context, asked))
        after = _replace(after, handover=_replace(after.handover, stage="deciding"), assignment=assignment)
        first = AskDecider(asked.name, 1, department, reason, within_ms=asked.timeout_ms)
    return context.decide(reason, after, *before, *told, first, rule=rule, considered=considered)


def _decider_of(context: Context, connection: str) -> str:
    bot = context.directory.connection(connection)
    return (bot.decider if bot else "") or context.rules.handover.decider


def listed(context: Context, event: ev.AgentsListed) -> Decision:
    """Build the ladder from what is really there, and try its first rung."""
    conversation = context.conversation
    state = conversation.handover
    if state.stage != "listing":
        return context.nothing("nobody asked any more who could serve")
    bots = context.directory.serving_ids()
    people = sorted(
        (each for each in event.agents if not each.is_bot and each.id not in bots),
        key=lambda each: (each.open_chats, each.username),
    )
    rungs, considered = _ladder(context, event, people)
    if not rungs:
        return nobody(context, conversation, "nobody could take over", considered)
    return _try_next(context, conversation, rungs, f"{len(people)} people online", considered)


def move_succeeded(context: Context, event: MoveSucceeded) -> Decision:
    """The hub carried it out. Who serves now is told by the hub's own events or was part of the move."""
    conversation = context.conversation
    if event.move == "bot":
        # The hub's own report may come later, or never: 7.7 does not send it.
        known = conversation.served_by
        is_known = known and not context.directory.holds(conversation.workspace, known.id)
        is_last = event.target == conversation.coming
        if known and known.id in _bot_ids(context) and (conversation.coming or _is_in_control(context, event.target)):
            is_known = False  # another bot, to whom the hub gave it before our move
        serving = known if known and is_known else ev.UserRef(event.target)
        coming = "" if is_last else conversation.coming
        why = f"the bot user serves{', until the next move' if coming else ''}"
        return context.decide(why, _replace(conversation, served_by=serving, coming=coming))
    if conversation.handover.stage != "moving":
        return context.nothing(f"{event.move} was carried out")
    after = _replace(conversation, held=(), handover=handover_over(conversation.handover))
    if event.move == "agent" and conversation.control.party != AGENTS:
        after = _replace(after, served_by=ev.UserRef(event.target))
        after = pass_control(after, AGENTS)
    elif conversation.served_by and conversation.served_by.id in _bot_ids(context):
        after = _replace(after, served_by=None)
    after, commands = end_session(after, "handed over")
    return context.decide(f"handed over: {event.move} {event.target}".rstrip(), after, *commands)


def _is_in_control(context: Context, user_id: str) -> bool:
    """He is the user of the connection in control."""
    party = context.directory.connection(context.conversation.control.connection)
    return party is not None and party.user_id == user_id


def move_failed(context: Context, event: MoveFailed) -> Decision:
    """The next rung, or nobody. A refusal because somebody serves already is a success of theirs."""
    conversation = context.conversation
    state = conversation.handover
    server = event.served_by
    if server and server.id not in (conversation.stray, *_bot_ids(context)):
        after = _replace(conversation, served_by=server)
        after, commands = end_session(pass_control(after, AGENTS), "a person serves")
        after = _replace(after, held=(), handover=handover_over(state))
        return context.decide(f"{server.username or server.id} serves already", after, *commands, refuse_spoken=True)
    if state.stage == "moving":
        return _try_next(context, conversation, state.rungs, f"the hub refused ({event.code})", ())
    if event.move == "bot" and conversation.coming not in ("", event.target):
        return context.nothing(f"the bot user cannot serve ({event.code}); another move is on its way")
    if event.move == "bot":
        after = _replace(conversation, relay_posts=True, coming="")
        return context.decide(f"the bot user cannot serve ({event.code}): the relay account posts for it", after)
    return context.nothing(f"{event.move} failed ({event.code})")


def nobody(
    context: Context,
    conversation: Conversation,
    reason: str,
    considered: tuple[Considered, ...] = (),
    *,
    silently: bool = False,
) -> Decision:
    """Nobody takes over: tell the visitor; the bot has control again and gets what was held.

    silently: he did not ask for anybody, so he is not told.
    """
    state = conversation.handover
    connection = state.from_connection
    bot = context.directory.connection(connection)
    after = _replace(conversation, handover=Handover(from_connection=connection, started_at=state.started_at))
    server = conversation.served_by
    ours = server is not None and personas.is_ours(context, conversation, server.id)
    # A connection in control gives it back, even where its user could not be made to serve.
    bot_serves = bot is not None and (ours or bool(conversation.control.connection))
    said: tuple[Command, ...] = ()
    if not silently:
        after, said = tell_once(context.texts, after, "nobody_online", connection if bot_serves else "")
    told = "" if silently else "the visitor is told"
    if bot is None or not bot_serves:
        why = f"{reason}: {told} and waits" if told else f"{reason}: the visitor waits"
        after = _replace(after, held=())
        if conversation.control.connection:
            after = pass_control(after, QUEUE)
        if ours and state.moves < context.rules.handover.max_moves:
            # Nobody looks at a room that one of our users serves.
            moving = _replace(after.handover, stage="moving", moves=state.moves + 1)
            return context.decide(why, _replace(after, handover=moving), *said, ReturnToQueue(), considered=considered)
        return context.decide(why, after, *said, considered=considered)
    after = _replace(pass_control(after, bot_party(connection)), session=connection, waiting=())
    after, turns = parties.catch_up(after, connection, conversation.held, resumes=True)
    answers = [SendToVisitor(each, poster(after, connection)) for each in state.said]
    why = f"{reason}: {told}, the bot stays" if told else f"{reason}: the bot stays"
    after, gets = parties.serve(conversation, after, bot)  # a desk's user may have the room
    return context.decide(why, after, *gets, *answers, *said, *turns, considered=considered)


def _ladder(
    context: Context, event: ev.AgentsListed, people: list[ev.CandidateAgent]
) -> tuple[tuple[Move, ...], tuple[Considered, ...]]:
    conversation = context.conversation
    state = conversation.handover
    policy = context.rules.handover
    considered: list[Considered] = []
    rungs: list[Move] = []

    def add(move: Move | None, name: str, why: str) -> None:
        considered.append(Considered(name, move is not None, why))
        if move is not None and move not in rungs:
            rungs.append(move)

    for wish in state.rungs:
        if wish.kind == "agent":
            found = next((each for each in people if each.username == wish.name), None)
            add(
                Move("agent", found.id, found.username) if found else None,
                f"agent {wish.name}",
                "" if found else "not available",
            )
        else:
            add(*_department(context, event, wish.name))
    for rung in policy.ladder:
        if rung == "department" and state.department:
            add(*_department(context, event, state.department))
        elif rung == "agent":
            first = people[0] if people else None
            add(
                Move("agent", first.id, first.username) if first else None,
                "any agent",
                "fewest open chats" if first else "nobody available",
            )
        elif rung == "queue":
            why = _why_no_queue(event, people, conversation, wait=policy.queue_when_nobody)
            add(None if why else Move("queue"), "queue", why)
    return tuple(rungs), tuple(considered)


def _department(context: Context, event: ev.AgentsListed, wanted: str) -> tuple[Move | None, str, str]:
    name = f"department {wanted}"
    plain = wanted.strip().casefold()
    found = next((each for each in event.departments if plain in (each.id.casefold(), each.name.casefold())), None)
    if found is None:
        return None, name, "no such department"
    if found.id == context.conversation.department:
        return None, name, "the conversation is in it already; a hub refuses a forward to the same department"
    return Move("department", found.id, found.name), name, ""


def _why_no_queue(
    event: ev.AgentsListed, people: list[ev.CandidateAgent], conversation: Conversation, *, wait: bool
) -> str:
    if not people and not wait:
        return "nobody available"
    if conversation.served_by is None:
        return "it is in the queue already"
    return "" if event.can_return_to_queue else "this hub cannot return a conversation to the queue"


def _try_next(
    context: Context,
    conversation: Conversation,
    rungs: tuple[Move, ...],
    reason: str,
    considered: tuple[Considered, ...],
) -> Decision:
    state = conversation.handover
    if not rungs or state.moves >= context.rules.handover.max_moves:
        return nobody(context, conversation, f"{reason}; no move is left after {state.moves}", considered)
    move, rest = rungs[0], rungs[1:]
    after = _replace(conversation, handover=_replace(state, stage="moving", rungs=rest, moves=state.moves + 1))
    label = f"{move.kind} {move.name}".rstrip()
    return context.decide(
        f"{reason}: move {state.moves + 1} goes to {label}", after, _command(move), considered=considered
    )


def _command(move: Move) -> Command:
    if move.kind == "department":
        return TransferToDepartment(move.id, move.name)
    if move.kind == "agent":
        return AssignAgent(move.id, move.name)
    return ReturnToQueue()


def _bot_ids(context: Context) -> set[str]:
    return context.directory.serving_ids()
