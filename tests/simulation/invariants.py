"""What must hold after every history; `check` returns what does not, in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from omnibridge.domain.conversation import AGENTS, Conversation
from omnibridge.domain.delivery_events import DeliveryBuried
from omnibridge.domain.events import AgentAssigned, ConversationClosed, Event, MessagePosted
from omnibridge.domain.stored_events import read_event
from omnibridge.operator.replay import Replay
from omnibridge.routing.decision import StoredDecision, decode_decision, state_after
from tests.simulation.clockwork import FOREVER
from tests.simulation.history import Play
from tests.simulation.vendors import answers_to
from tests.simulation.world import Webhook, World

WINDOW_MS = 150
REORDER_MS = 1_000
"""More than the window: a comparison with the hub is not held, and may tell of a message first."""


class Told(NamedTuple):
    """One event of a room with the decision on it. at: receipt of the report. after: the state that it left."""

    id: int
    at: int
    event: Event
    reason: str
    decision: StoredDecision
    after: Conversation


Story = list[Told]


def check(played: Play) -> list[str]:
    world = played.world
    stories = _stories(world)
    return [
        *world.problems,
        *_replayed(world),
        *_recorded(played, stories),
        *_not_doubled(played, stories),
        *_answered(played, stories),
        *_in_order(played, stories),
        *_late_only_if_overtaken(played, stories),
        *_silent_afterwards(world, stories),
        *_by_the_party_in_control(world, stories),
        *_silent_after_a_restart(world),
        *_agreement(played, stories),
        *_outbox_tells_what_happened(world),
        *_nothing_left(world),
    ]


def _stories(world: World) -> dict[str, Story]:
    rows = world.database.execute(
        "SELECT c.room, e.id, e.at, e.data, e.reason, e.decision FROM events e "
        "JOIN conversations c ON c.id = e.conversation_id ORDER BY e.id"
    )
    stories: defaultdict[str, Story] = defaultdict(list)
    for room, identity, at, data, reason, body in rows:
        before = stories[room][-1].after if stories[room] else Conversation("main", room)
        decision = decode_decision(body)
        stories[room].append(Told(identity, at, read_event(data), reason, decision, state_after(before, decision)))
    return dict(stories)


def _replayed(world: World) -> list[str]:
    """Decisions that do not come out the same, byte for byte, when they are made again from what is stored."""
    report = Replay(world.database).run()
    return [] if report.is_clean and not report.incomplete else [f"replay: {report}"]


def _recorded(played: Play, stories: dict[str, Story]) -> list[str]:
    """Each message that the hub has is one event, whatever was lost or repeated, and none that nobody wrote.

    What was acknowledged needs no comparison with the hub for that. One that was found when it was answered already
    is another event if it is reported after all.
    """
    seen = Counter(
        (told.event.message_id, told.event.recovered)
        for story in stories.values()
        for told in story
        if isinstance(told.event, MessagePosted) and told.event.author == "visitor"
    )
    found = [f"{each} is {n} events" for (each, _), n in seen.items() if n > 1 or each not in played.said]
    ours = {each.id for each in played.world.posts}
    events = (told.event for story in stories.values() for told in story)
    found += [f"an echo became an event: {each}" for each in events if getattr(each, "message_id", "") in ours]
    acknowledged = {
        each.message: each.acknowledged[1] for each in played.world.webhooks if each.acknowledged is not None
    }
    for message in played.said:
        if not seen[message, False] and not seen[message, True]:
            known = "was acknowledged" if message in acknowledged else "is in the hub's history"
            found.append(f"{message} {known} and is no event")
    for story in stories.values():
        for told in story:
            if isinstance(told.event, MessagePosted) and told.event.recovered:
                at = acknowledged.get(told.event.message_id)
                if at is not None and at + REORDER_MS < told.at:
                    found.append(f"{told.event.message_id} was acknowledged and had to be recovered")
    return found


def _not_doubled(played: Play, stories: dict[str, Story]) -> list[str]:
    given = Counter(turn.delivery_id for turn, _, _ in played.world.turns)
    turns = Counter(line for turn, _, _ in played.world.turns for line in turn.text.split("\n"))
    posts = Counter((each.room, each.text) for each in played.world.posts if _is_bots(each.text))
    said = {text for _, text in played.said.values()}
    return [
        *(f"turn {each} was given {n} times" for each, n in given.items() if n > 1),
        *(f"{n} turns of {text!r}" for text, n in turns.items() if n > 1),
        *(f"{n} posts of {text!r}" for (_, text), n in posts.items() if n > 1),
        *(f"a turn that nobody asked for: {text!r}" for text in turns if text not in said),
    ]


def _answered(played: Play, stories: dict[str, Story]) -> list[str]:
    """A message that found the bot in control, which it has kept, has one turn and its answer was posted."""
    turns = {line for turn, _, _ in played.world.turns for line in turn.text.split("\n")}
    posts = {each.text for each in played.world.posts}
    found = []
    for room, story in stories.items():
        if any(isinstance(told.event, DeliveryBuried) for told in story):
            continue
        last = story[-1].after.control
        for n, told in enumerate(story):
            event, control = told.event, told.after.control
            if not isinstance(event, MessagePosted) or event.author != "visitor" or event.recovered:
                continue
            if event.text.startswith("staff "):
                continue  # for people: if none is there, the visitor is told
            # It may have given way meanwhile; but if people served, they saw what it had not answered.
            is_kept = all(later.after.control.party != AGENTS for later in story[n:])
            if control.connection and control.connection == last.connection and is_kept and not told.after.closed:
                if event.text not in turns:
                    found.append(f"{event.text!r} in {room} never reached the bot: {told.reason}")
                elif not all(each in posts for each in answers_to(event.text)):
                    found.append(f"the answer to {event.text!r} in {room} was never posted: {told.reason}")
    return found


def _is_bots(text: str) -> bool:
    return text.startswith(("m0", "m1", "? "))


def _in_order(played: Play, stories: dict[str, Story]) -> list[str]:
    """Turns as they were written, but for late ones; posts as their turns."""
    found = []
    order = {text: n for n, (_, text) in enumerate(played.said.values())}
    newest: dict[str, int] = {}
    asked: defaultdict[str, list[str]] = defaultdict(list)
    for turn, _, _ in played.world.turns:
        for line in turn.text.split("\n"):
            number = order.get(line, -1)
            if number < newest.get(turn.room, -1) and not turn.late:
                found.append(f"{line!r} reached the bot after a later message")
            newest[turn.room] = max(number, newest.get(turn.room, -1))
            asked[turn.room] += answers_to(line)
    for room, answers in asked.items():
        places = {text: n for n, text in enumerate(answers)}
        said = [places[each.text] for each in played.world.posts if each.room == room and each.text in places]
        if said != sorted(said):
            found.append(f"answers in {room} were posted in another order than given: {said}")
    return found


def _late_only_if_overtaken(played: Play, stories: dict[str, Story]) -> list[str]:
    """A message is late only if it came after the window of a later one, or was recovered."""
    heard: dict[str, Webhook] = {}
    for each in played.world.webhooks:
        if each.message in played.said and each.acknowledged:
            heard[each.message] = each
    found = []
    for story in stories.values():
        said = [
            told.event for told in story if isinstance(told.event, MessagePosted) and told.event.message_id in heard
        ]
        for n, event in enumerate(said):
            if not event.late or event.recovered:
                continue
            taken = heard[event.message_id].taken_ms
            later = [each for each in said[:n] if each.ts > event.ts]
            if not any(each.recovered or _window_ends(heard[each.message_id]) <= taken for each in later):
                found.append(f"{event.message_id} is late, and came in the window of each later one")
    return found


def _window_ends(webhook: Webhook) -> int:
    """It begins when a message is durable; an earlier request may have stored it and not have been answered."""
    assert webhook.acknowledged
    is_first = webhook.first_ms == webhook.taken_ms
    return (webhook.acknowledged[1] if is_first else webhook.first_ms) + WINDOW_MS


def _silent_afterwards(world: World, stories: dict[str, Story]) -> list[str]:
    """After a take-over or close was decided nothing begins to be said for the bot; one post may be under way.

    Nor does a turn begin to be given to it. Decided: the process knows that the decision is durable. In the same
    millisecond something may begin before the lane hears of it.
    """
    found = []
    for room, story in stories.items():
        for told in story:
            event = told.event
            taken = isinstance(event, AgentAssigned) and not event.connection and told.decision.refuse_spoken
            if not taken and not isinstance(event, ConversationClosed):
                continue
            since = _known_at(world, told)
            until = min(
                (_known_at(world, later) for later in story if later.id > told.id and _is_bots_turn(later)),
                default=FOREVER,
            )
            said = [each for each in world.posts if each.room == room and _is_bots(each.text)]
            begun = [each.text for each in said if since < each.begun[1] < until]
            arrived = [each.text for each in said if since < each.arrived[1] < until]
            turns = [turn.text for turn, at, _ in world.turns if turn.room == room and since < at[1] < until]
            if begun:
                found.append(f"begun in {room} after {told.reason!r}: {begun}")
            if len(arrived) > 1:
                found.append(f"arrived in {room} after {told.reason!r}: {arrived}")
            if turns:
                found.append(f"turns begun in {room} after {told.reason!r}: {turns}")
    return found


def _is_bots_turn(told: Told) -> bool:
    return bool(told.after.control.connection)


def _known_at(world: World, told: Told) -> int:
    """ms at which a process knew that a decision is durable."""
    return next((at[1] for at, newest in world.commits if newest >= told.id), FOREVER)


def _by_the_party_in_control(world: World, stories: dict[str, Story]) -> list[str]:
    """Nothing begins to be sent of a party that has lost control: no row of an older epoch than was known then."""
    epochs = {
        room: [(_known_at(world, told), told.after.control.epoch) for told in story] for room, story in stories.items()
    }
    rows = world.database.execute("SELECT id, external_id, epoch FROM deliveries WHERE epoch IS NOT NULL").fetchall()
    turns = {str(identity): epoch for identity, _, epoch in rows}
    posts = {identity: epoch for _, identity, epoch in rows}
    begun = [(turn.room, at[1], turns.get(turn.delivery_id), turn.text) for turn, at, _ in world.turns]
    begun += [(each.room, each.begun[1], posts.get(each.id), each.text) for each in world.posts]
    return [
        f"{text!r} of epoch {epoch} was begun in {room}, where it was {now} already"
        for room, at, epoch, text in begun
        if epoch is not None and epoch < (now := max((each for known, each in epochs[room] if known < at), default=0))
    ]


def _silent_after_a_restart(world: World) -> list[str]:
    """What a process was told and answered 200, the next one knows before it sends anything.

    But it does not wait longer than a second for that, so a slow disk is no case.
    """
    if world.disk.has_stalled or world.disk.has_failed:
        return []
    return [
        f"{post.text!r} was posted by life {post.life}; life {webhook.life} had acknowledged the close of {post.room}"
        for webhook in world.webhooks
        if webhook.kind == "LivechatSession" and webhook.acknowledged is not None
        for post in world.posts
        if post.room == webhook.room and post.life > webhook.life
    ]


def _agreement(played: Play, stories: dict[str, Story]) -> list[str]:
    """At rest the bridge and the hub agree on who is in control."""
    found = []
    for room in played.rooms:
        if room.id not in stories:
            found.append(f"{room.id} is not known")
            continue
        state = stories[room.id][-1].after
        server = room.served_by.username if room.served_by else ""
        if state.closed == room.open:
            found.append(f"{room.id}: open is {room.open}, and for the bridge closed is {state.closed}")
        elif room.open and server == "alice" and state.control.connection:
            found.append(f"{room.id}: alice serves, and for the bridge {state.control.party} is in control")
        elif room.open and server == "alice" and state.handover.stage != "idle":
            found.append(f"{room.id}: alice serves, and the handover is still {state.handover.stage}")
    return found


def _outbox_tells_what_happened(world: World) -> list[str]:
    """Words that are settled as done are in the room; those that a process knew to be posted are so settled.

    After a crash they are looked for, which needs a hub that answers.
    """
    rows = world.database.execute("SELECT external_id, state, code FROM deliveries WHERE external_id IS NOT NULL")
    failed_ms = world.hub_side.failed_ms
    known = {each.id for each in world.posts if each.lasting or (each.known and failed_ms < each.arrived[1])}
    found = []
    for identity, state, code in rows:
        if state == 1 and identity not in world.hub.messages:
            found.append(f"{identity} is done and was never posted")
        elif state != 1 and identity in known:
            found.append(f"{world.hub.messages[identity].text!r} was posted and is settled otherwise: {state} {code}")
    return found


def _nothing_left(world: World) -> list[str]:
    rows = world.database.execute("SELECT command, code FROM deliveries WHERE state = 0").fetchall()
    odd = world.database.execute("SELECT kind, note FROM observations WHERE state IN (0, 3)").fetchall()
    return [f"left undone: {row}" for row in [*rows, *odd]]
