"""An external system decides who serves: the question, its answer, the user, the room's way to him.

    asking ──ticket──▶ waiting
       │ agent named      │ agent named            pushed: begins here, whoever is in control
       └────────────────▶ ensuring ──AgentEnsured──▶ moving ──the hub gave him the room──▶ served
                            └─no seat─▶ seat: waits in the queue, and his user is looked for again and again
    each of them ── named nobody, no user, refused ──▶ asked again, else the ladder, the queue, or the bot

While a bot gives way, the handover's stage is `deciding`, so it is silent and what the visitor writes is held. An
agent who serves goes on until the other one has the room. Whoever takes the conversation meanwhile ends it all: the
decider is told (`tidy`), and what comes later is recorded and changes nothing.
"""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.commands import (
    AskDecider,
    AssignAgent,
    CancelDecision,
    Command,
    EnsureAgent,
    ListAgents,
    ReleaseAgent,
    RequeueStray,
    ReturnToQueue,
    StartTimer,
)
from omnibridge.domain.conversation import AGENTS, QUEUE, Assignment, Conversation
from omnibridge.domain.directory import Decider, Directory
from omnibridge.domain.events import UserRef
from omnibridge.routing import handover, replies
from omnibridge.routing.context import Context, end_session, handover_over, kept_back, pass_control
from omnibridge.routing.decision import Considered, Decision
from omnibridge.routing.refusals import refusal_of

_replace = msgspec.structs.replace

TICKET = "ticket"
"""The timer of a decision that was promised."""

SEAT = "seat"
"""The timer of a room that waits until a user can be made for its agent."""

HELD = "held"
"""The timer of a conversation that a holding bot has and nothing is under way for."""

MOST_MOVES = 2
"""To one agent: a room that was taken while its inquiry was read is forwarded then."""

MOVE_MS = 30_000
"""For an agent that was pushed to be given the room; a decider has its own setting."""


_STAGES = {"AskDecider": "asking", "StartTimer": "waiting", "EnsureAgent": "ensuring", "AssignAgent": "moving"}
"""Commands without which a stage would never end."""


_MOVES = ("ListAgents", "AssignAgent", "TransferToDepartment", "ReturnToQueue")
"""Steps of a handover that a decision has taken the place of."""


def requested(context: Context, event: ev.AssignmentRequested) -> Decision:
    """Somebody is named: find his user. What is pushed counts at any time, an answer only while it is awaited."""
    conversation, agent = context.conversation, event.agent
    current = conversation.assignment
    who = _label(agent)
    if event.decider and not _is_awaited(current, event.decider, event.ticket):
        return context.nothing(f"{event.by} decided for {who}, which nobody waits for any more")
    if not event.decider and current.agent and _is_same(current.agent, agent):
        return context.nothing(f"{event.by} wants {who}, {_standing(current)}")
    commands = [] if event.decider else _cancelled(current, f"{event.by} decided")
    former = current.user_id if current.stage == "served" else current.former
    if current.stage == "moving":
        commands.append(ReleaseAgent(current.user_id))
    assignment = _replace(
        current if event.decider else Assignment(former=former),
        stage="ensuring", agent=agent, by=event.by, cause=event.cause, user_id="", username="", mode="", moves=0,
    )  # fmt: skip
    after = _replace(conversation, assignment=assignment)
    if conversation.control.party != AGENTS:
        after = _silence(after, event.by)
    return context.decide(
        f"{event.by} wants {who}: his user is looked for", after, *commands, EnsureAgent(agent, event.cause)
    )


def pending(context: Context, event: ev.DecisionPending) -> Decision:
    """It will be decided later, under a ticket; not awaited for ever."""
    conversation, assignment = context.conversation, context.conversation.assignment
    if assignment.stage != "asking" or assignment.decider != event.decider:
        return context.decide(
            f"{event.decider} would decide later, which nobody waits for any more",
            conversation,
            CancelDecision(event.decider, event.ticket, reason="not needed any more"),
        )
    decider = context.directory.decider(event.decider)
    most = decider.ticket_ms if decider else event.within_ms
    within_ms = min(event.within_ms, most) if event.within_ms > 0 else most
    after = _replace(conversation, assignment=_replace(assignment, stage="waiting", ticket=event.ticket))
    return context.decide(
        f"{event.decider} decides within {within_ms / 1000:g} s", after, StartTimer(TICKET, event.ticket, within_ms)
    )


def failed(context: Context, event: ev.DecisionFailed) -> Decision:
    """The decider names nobody, or something that cannot be read."""
    if not _is_awaited(context.conversation.assignment, event.decider, event.ticket):
        return context.nothing(f"{event.decider} named nobody ({event.code}), which nobody waits for any more")
    return _go_on(context, f"{event.decider} names nobody ({event.code})", ask_again=False)


def timer_fired(context: Context, event: ev.TimerFired) -> Decision:
    """A promised decision did not come in time."""
    assignment = context.conversation.assignment
    if event.timer == SEAT:
        return _seat_again(context, event)
    if event.timer != TICKET or assignment.stage != "waiting" or assignment.ticket != event.ref:
        return context.nothing(f"{event.timer} is over, and nobody waits for it any more")
    return _go_on(context, f"{assignment.decider} did not decide in time", ask_again=False)


def ensured(context: Context, event: ev.AgentEnsured) -> Decision:
    """Give him the room, unless he has it or nobody waits for him any more."""
    conversation, found = context.conversation, event.found
    assignment, served_by = conversation.assignment, conversation.served_by
    who = f"{found.system}:{found.external_id} is {found.username} ({found.mode})"
    agent = assignment.agent
    if assignment.stage != "ensuring" or agent is None or (agent.system, agent.id) != (found.system, found.external_id):
        unused = found.user_id not in (assignment.user_id, served_by.id if served_by else "")
        release = (ReleaseAgent(found.user_id),) if unused else ()
        return context.decide(f"{who}, whom nobody waits for any more", conversation, *release)
    assignment = _replace(
        assignment, stage="moving", user_id=found.user_id, username=found.username, mode=found.mode, moves=1
    )
    chosen = (Considered(f"agent {found.system}:{found.external_id}", True, f"{found.mode}: {found.username}"),)
    after = _replace(conversation, assignment=assignment)
    if served_by and served_by.id == found.user_id != conversation.stray:
        served = _replace(assignment, stage="served", former="")
        idle = handover_over(after.handover)
        after = _replace(after, held=(), handover=idle, assignment=served)
        after, commands = end_session(pass_control(after, AGENTS), "handed over")
        return context.decide(f"{who}, who serves already", after, *commands, considered=chosen)
    if conversation.control.party != AGENTS:
        after = _silence(after, assignment.by)  # while a seat was waited for, a bot may have got it back
        state = after.handover
        after = _replace(after, handover=_replace(state, stage="moving", moves=state.moves + 1))
    return context.decide(f"{who}: he gets the room", after, _move(context, assignment), considered=chosen)


def not_ensured(context: Context, event: ev.AgentNotEnsured) -> Decision:
    """There is no user for whom was named."""
    refused, assignment = event.refused, context.conversation.assignment
    agent = assignment.agent
    reason = f"no user for {refused.system}:{refused.external_id} ({refused.reason})"
    if (
        assignment.stage != "ensuring"
        or agent is None
        or (agent.system, agent.id) != (refused.system, refused.external_id)
    ):
        return context.nothing(f"{reason}, whom nobody waits for any more")
    why_not = f"{refused.reason}: {refused.text}"
    if refused.reason == "waiting_seat" and context.conversation.control.party != AGENTS:
        return _wait_for_seat(context, reason, why_not)
    return _go_on(context, reason, why_not=why_not)


def _wait_for_seat(context: Context, reason: str, why_not: str) -> Decision:
    """In the queue, where people may take it meanwhile; nobody who serves has to give way for it."""
    conversation = context.conversation
    assignment = _replace(conversation.assignment, stage="seat")
    considered = (Considered(f"agent {_label(assignment.agent)}", False, why_not),)
    after, timer = _replace(conversation, assignment=assignment), _seat_timer(assignment, context.directory)
    if conversation.control.connection:
        why = f"{reason}: {conversation.control.connection} goes on meanwhile"
        return context.decide(why, after, timer, considered=considered)
    return _queue(context, after, reason, considered, timer)


def _seat_timer(assignment: Assignment, directory: Directory) -> StartTimer:
    return StartTimer(SEAT, _label(assignment.agent), directory.look_again_ms)


def _seat_again(context: Context, event: ev.TimerFired) -> Decision:
    conversation, assignment = context.conversation, context.conversation.assignment
    agent = assignment.agent
    if assignment.stage != "seat" or agent is None or _label(agent) != event.ref:
        return context.nothing("nobody waits for that seat any more")
    after = _replace(conversation, assignment=_replace(assignment, stage="ensuring"))
    if conversation.handover.stage != "idle":
        # What was under way must not end it when it comes to an end itself.
        after = _replace(after, handover=_replace(conversation.handover, stage="deciding", rungs=()))
    reason = f"is there a seat for {_label(agent)} now?"
    return context.decide(reason, after, EnsureAgent(agent, assignment.cause))


def move_succeeded(context: Context, event: ev.MoveSucceeded) -> Decision:
    """From one agent to another: who serves now is told by the hub. All else is a handover."""
    conversation, assignment = context.conversation, context.conversation.assignment
    if event.move == "stray":
        return _stray_gone(context, event)
    is_ours = assignment.stage == "moving" and event.target == assignment.user_id
    if is_ours and conversation.control.party == AGENTS:
        if conversation.served_by and conversation.served_by.id == event.target:  # no report will be news
            return context.decide(f"{assignment.username} serves", _served(conversation))
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


def _stray_gone(context: Context, event: ev.MoveSucceeded) -> Decision:
    """Nobody serves now. Who was decided meanwhile is given the room again; one whom we took for a person had it."""
    conversation = _replace(context.conversation, stray="")
    assignment, server = conversation.assignment, conversation.served_by
    if server is None or server.id != event.target:
        return context.decide("it is back in the queue", conversation)
    if assignment.stage == "served" and assignment.user_id == event.target:
        again = _replace(assignment, stage="moving", moves=1)
        after = _replace(conversation, assignment=again)
        reason = f"it is back in the queue, but {assignment.username} was decided meanwhile: he gets the room"
        return context.decide(reason, after, _move(context, again))
    after = _replace(conversation, served_by=None)
    if conversation.control.party != AGENTS:
        return context.decide("it is back in the queue", after)
    after, commands = end_session(pass_control(after, QUEUE), "nobody serves")
    return context.decide("it is back in the queue, and nobody serves", after, *commands, refuse_spoken=True)


def move_failed(context: Context, event: ev.MoveFailed) -> Decision:
    """The class of the refusal says what is next: taken by a person ends it, taken by a bot is forwarded."""
    conversation = context.conversation
    assignment, server = conversation.assignment, event.served_by
    if event.move == "stray":
        conversation = _replace(conversation, stray="")
        reason = f"it cannot go back to the queue ({event.code})"
        serving = conversation.served_by
        is_decided = assignment.stage == "served" and serving is not None and serving.id == assignment.user_id
        if _is_under_way(conversation) or server or is_decided or (serving and serving.id != event.target):
            return context.decide(f"{reason}; something is under way, or somebody serves", conversation)
        return _list(context, conversation, reason, ())
    is_ours = assignment.stage == "moving" and event.target == assignment.user_id
    if not is_ours and assignment.stage not in ("idle", "served") and server is None:
        return context.nothing(f"an earlier move failed ({event.code}): what is decided goes on")
    if not is_ours:
        return handover.move_failed(context, event)
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
            _move(context, assignment),
        )
    return _go_on(context, f"the hub refused {assignment.username}: {refusal}", why_not=f"{refusal} ({event.code})")


def buried(context: Context, event: ev.DeliveryBuried) -> Decision:
    """A step that could not be carried out in its time is a step that failed."""
    assignment = context.conversation.assignment
    if event.command == "StartTimer" and assignment.stage == "seat":
        return _go_on(context, f"a seat is not waited for any more ({event.code})", ask_again=False)
    stage = _STAGES.get(event.command)
    if stage is None or assignment.stage != stage or event.connection:
        if assignment.stage not in ("idle", "served") and event.command in _MOVES:
            return context.nothing(f"{event.command} could not be carried out ({event.code}): what is decided goes on")
        return replies.buried(context, event)
    if stage == "asking":
        return _go_on(context, f"{assignment.decider} did not answer ({event.code})", ask_again=False)
    if stage == "waiting":
        return _go_on(context, f"{assignment.decider} is not waited for any more ({event.code})", ask_again=False)
    if stage == "ensuring":
        return _go_on(context, f"no user could be found ({event.code})", why_not=event.code)
    refusal = refusal_of(event.code)
    return _go_on(context, f"the hub refused {assignment.username}: {refusal}", why_not=f"{refusal} ({event.code})")


def stray(context: Context, conversation: Conversation, event: ev.AgentAssigned) -> Decision:
    """The hub gave the visitor to somebody who only carries out decisions: back to the queue.

    A hub that picks him again and again would never end it: then people are looked for.
    """
    policy, state, agent = context.rules.handover, conversation.handover, event.agent
    who = agent.username or agent.id
    recent = tuple(at for at in state.started_at if at > context.now_ms - policy.window_s * 1000)
    is_new = _replace(state, started_at=(*recent, context.now_ms))
    after = _replace(conversation, handover=is_new, stray=agent.id)
    reason = f"{who} serves only by decision, and nobody decided it"
    if len(recent) >= policy.max_handovers and not _is_under_way(conversation):
        after = _replace(after, stray="")
        return _list(context, after, f"{reason}; it came back {len(recent)} times", ())
    return context.decide(f"{reason}: back to the queue", after, RequeueStray(agent.id, agent.username))


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
            after = _served(after)
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


def _served(conversation: Conversation) -> Conversation:
    """The agent who was decided has the room."""
    assignment, server = conversation.assignment, conversation.served_by
    named = UserRef(assignment.user_id, assignment.username)
    server = named if server is None else server if server.username else _replace(server, username=named.username)
    served = _replace(assignment, stage="served", former="")
    return _replace(conversation, assignment=served, served_by=server, stray="")


def is_left(context: Context, conversation: Conversation) -> bool:
    """Whether a holding bot has it and nothing is under way: people do not see it in their queue."""
    server = conversation.served_by
    return (
        server is not None
        and conversation.control.party == QUEUE
        and conversation.handover.stage == "idle"
        and conversation.assignment.stage == "idle"
        and not conversation.closed
        and context.directory.holds(conversation.workspace, server.id)
    )


def look_again(context: Context, decision: Decision) -> Decision:
    """What is left with a holding bot is decided again after a while: people may have come by then."""
    if not is_left(context, decision.after) or is_left(context, context.conversation):
        return decision  # nothing is left, or the timer runs
    timer = StartTimer(HELD, str(decision.after.control.epoch), context.directory.look_again_ms)
    return _replace(decision, commands=(*decision.commands, timer))


def _again(assignment: Assignment, directory: Directory) -> tuple[Command, ...]:
    if assignment.stage == "seat":
        return (_seat_timer(assignment, directory),)
    if assignment.stage == "ensuring" and assignment.agent:
        return (EnsureAgent(assignment.agent, assignment.cause),)
    if assignment.stage == "moving":
        return (AssignAgent(assignment.user_id, assignment.username, within_ms=MOVE_MS),)
    return ()


def _ended(decision: Decision, why: str) -> Decision:
    assignment = decision.after.assignment
    commands = [] if assignment.stage == "served" else _cancelled(assignment, why)
    commands += [ReleaseAgent(each) for each in (assignment.user_id, assignment.former) if each]
    after = _replace(decision.after, assignment=Assignment())
    return _replace(decision, after=after, commands=(*decision.commands, *commands))


def _cancelled(assignment: Assignment, why: str) -> list[Command]:
    """Tell the decider that was asked; one that pushed sees it in the answer to a GET."""
    if not assignment.decider or assignment.stage in ("idle", "served"):
        return []
    external_id = assignment.agent.id if assignment.agent else ""
    return [CancelDecision(assignment.decider, assignment.ticket, external_id, why)]


def _go_on(context: Context, reason: str, *, why_not: str = "", ask_again: bool = True) -> Decision:
    """The next step: the agent who serves goes on, the decider is asked once more, or as it is configured."""
    conversation = context.conversation
    assignment, state = conversation.assignment, conversation.handover
    decider = context.directory.decider(assignment.decider)
    commands: list[Command] = [ReleaseAgent(assignment.user_id)] if assignment.user_id else []
    considered = (Considered(f"agent {_label(assignment.agent)}", False, why_not),) if assignment.agent else ()
    after = _replace(conversation, assignment=Assignment())
    if conversation.control.connection:  # it has it back since a seat was waited for
        commands += _cancelled(assignment, reason)
        why = f"{reason}: {conversation.control.connection} goes on"
        return context.decide(why, after, *commands, considered=considered)
    if conversation.control.party == AGENTS:
        server = conversation.served_by
        if server and server.id == assignment.former:
            after = _replace(conversation, assignment=Assignment("served", user_id=assignment.former))
        return context.decide(f"{reason}: who serves goes on", after, *commands, considered=considered)
    if ask_again and decider and assignment.agent and assignment.asked < decider.asks:
        return _ask_again(context, reason, decider, commands, considered)
    commands += _cancelled(assignment, reason)
    way = decider.on_failure if decider else "bot" if state.from_connection else "queue"
    if way == "ladder":
        return _list(context, after, reason, considered, *commands)
    if way == "bot" and state.from_connection:
        decision = handover.nobody(context, after, reason, considered, silently=not assignment.decider)
        return _replace(decision, commands=(*commands, *decision.commands))
    return _queue(context, after, reason, considered, *commands)


def _ask_again(
    context: Context, reason: str, decider: Decider, commands: list[Command], considered: tuple[Considered, ...]
) -> Decision:
    conversation = context.conversation
    assignment, state = conversation.assignment, conversation.handover
    excluded = (*assignment.excluded, assignment.agent.id if assignment.agent else "")
    asked = assignment.asked + 1
    again = Assignment("asking", decider.name, asked=asked, excluded=excluded)
    after = _replace(conversation, assignment=again, handover=_replace(state, stage="deciding"))
    ask = AskDecider(decider.name, asked, state.department, reason, excluded, decider.timeout_ms)
    return context.decide(f"{reason}: {decider.name} is asked again", after, *commands, ask, considered=considered)


def _list(
    context: Context,
    conversation: Conversation,
    reason: str,
    considered: tuple[Considered, ...],
    *commands: Command,
) -> Decision:
    after = _replace(pass_control(conversation, QUEUE), handover=_replace(conversation.handover, stage="listing"))
    return context.decide(f"{reason}: people are looked for", after, *commands, ListAgents(), considered=considered)


def _queue(
    context: Context,
    conversation: Conversation,
    reason: str,
    considered: tuple[Considered, ...],
    *commands: Command,
) -> Decision:
    """It waits for people; a bot that serves leaves the room."""
    server, state = conversation.served_by, conversation.handover
    if server and server.id in context.directory.serving_ids():
        after = _replace(conversation, handover=_replace(state, stage="moving", rungs=(), moves=state.moves + 1))
        return context.decide(f"{reason}: back to the queue", after, *commands, ReturnToQueue(), considered=considered)
    after = _replace(conversation, held=(), handover=handover_over(state))
    return context.decide(f"{reason}: it waits in the queue", after, *commands, considered=considered)


def _silence(conversation: Conversation, by: str) -> Conversation:
    """Control passes to the queue until the agent has the room; the bot gets it back if that fails."""
    state = conversation.handover
    if state.stage != "idle":
        return _replace(conversation, handover=_replace(state, stage="deciding", rungs=()))
    connection = conversation.control.connection
    after = pass_control(conversation, QUEUE)
    return _replace(after, held=kept_back(conversation), handover=_replace(
        state, stage="deciding", from_connection=connection, department="", reason=by, rungs=(), moves=0, said=()
    ))  # fmt: skip


def _move(context: Context, assignment: Assignment) -> AssignAgent:
    decider = context.directory.decider(assignment.decider)
    return AssignAgent(assignment.user_id, assignment.username, within_ms=decider.move_ms if decider else MOVE_MS)


def _is_awaited(assignment: Assignment, decider: str, ticket: str) -> bool:
    stage = "waiting" if ticket else "asking"
    return assignment.decider == decider and assignment.stage == stage and assignment.ticket == ticket


def _is_same(one: ExternalAgent, other: ExternalAgent) -> bool:
    return (one.system, one.id) == (other.system, other.id)


def _is_under_way(conversation: Conversation) -> bool:
    return conversation.handover.stage != "idle" or conversation.assignment.stage not in ("idle", "served")


def _standing(assignment: Assignment) -> str:
    return "who serves already" if assignment.stage == "served" else "who is on his way already"


def _label(agent: ExternalAgent | None) -> str:
    return f"{agent.system}:{agent.id}" if agent else "nobody"
