"""Histories: what happens, step by step, and playing them. A step is (name, number, ms to let pass after it)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from omnibridge.engine.faults import POINTS
from omnibridge.sandbox.state import Room
from tests.simulation.vendors import MODES
from tests.simulation.world import World

Step = tuple[str, int, int]

WEIGHTS = {
    "say": 12, "burst": 5, "twice": 3, "human": 3, "staff": 2, "bye": 1, "mumble": 2, "open": 3, "take_over": 3,
    "leave": 2, "close": 1, "requeue": 1, "away": 1, "back": 1, "hub_fails": 5, "bot_fails": 5, "crash": 4, "die_at": 4,
    "start": 3, "stop": 1, "hub_forgets": 1, "bot_hangs": 1, "disk_stalls": 1, "disk_fails": 1,
}  # fmt: skip
NAMES = tuple(WEIGHTS)
PAUSES = (0, 0, 0, 1, 3, 10, 30, 100, 160, 400, 2_000, 12_000)
DOWN_MS = 1_000
"""A process that died is back after this long, unless a step starts it sooner."""

QUIET_LIMIT_MS = 1_800_000
REPAIR_MS = 320_000
"""A comparison with the hub later than all that was lost: its interval, and what it leaves to webhooks."""


@dataclass
class Play:
    """A world after its history. said: message id -> (room, text)."""

    world: World
    rooms: list[Room] = field(default_factory=list)
    said: dict[str, tuple[str, str]] = field(default_factory=dict)


RUSH = {**dict.fromkeys(NAMES, 1), "say": 24, "burst": 6, "twice": 6, "crash": 3, "die_at": 3}
RESTARTS = {
    "say": 6,
    "twice": 3,
    "human": 1,
    "open": 1,
    "die_at": 4,
    "crash": 2,
    "start": 8,
    "leave": 3,
    "take_over": 3,
}
SOON = (0, 1, 2, 3, 5, 10, 20, 30, 60, 150)
TALK = {"say": 4, "twice": 1}
KINDS = ((WEIGHTS, PAUSES), (RUSH, SOON), (RESTARTS, (0, 0, 0, 1, 10, 100, 500)), (TALK, SOON))


def random_steps(rng: random.Random) -> list[Step]:
    """Anything; many words and hardly a pause; control that changes around starts; words and nothing else."""
    weights, pauses = rng.choice(KINDS)
    names = rng.choices(list(weights), list(weights.values()), k=rng.randint(3, 40))
    return [("open", 0, 0), *((name, rng.randrange(1000), rng.choice(pauses)) for name in names)]


def play(world: World, steps: Sequence[Step]) -> Play:
    """Play the steps, then let everything work again and come to rest."""
    played = Play(world)
    world.begin_life()
    for name, number, pause in steps:
        _do(played, name, number)
        world.pass_ms(pause)
        if world.life is None:
            world.clockwork.after(DOWN_MS, lambda: _start(world))
    world.hub_side.failing.clear()
    world.bot_side.failing.clear()
    world.disk.plans.clear()
    world.hub.by_name["alice"].status_livechat = "available"
    _start(world)
    if world.life and not world.life.dead:
        world.life.die_at("", 0)
    _rest(world)
    if any(each.given_up for each in world.webhooks):
        world.pass_ms(REPAIR_MS)
        _rest(world)
    return played


def _rest(world: World) -> None:
    waited = 0
    due = "SELECT 1 FROM deliveries WHERE state = 0 UNION ALL SELECT 1 FROM observations WHERE state = 0 LIMIT 1"
    while waited < QUIET_LIMIT_MS:
        _start(world)  # a crash may still have been on its way
        world.pass_ms(1_000 if waited < 60_000 else 30_000)
        waited += 1_000 if waited < 60_000 else 30_000
        on_its_way = any(each.acknowledged is None and not each.given_up for each in world.webhooks)
        if world.life and not on_its_way and not world.database.execute(due).fetchone():
            return
    world.problems.append("it does not come to rest")


def _start(world: World) -> None:
    if world.life is None:
        world.begin_life()


def _do(played: Play, name: str, number: int) -> None:
    world = played.world
    if name == "open" or not played.rooms:
        if len(played.rooms) < 3:
            played.rooms.append(world.open_room(f"visitor{len(played.rooms)}"))
        return
    room = played.rooms[number % len(played.rooms)]
    hub, routing, alice = world.hub, world.routing, world.hub.by_name["alice"]
    match name:
        case "burst":
            for _ in range(2 + number % 3):
                _do(played, "say", number)
        case "say" | "twice" | "human" | "bye" | "staff" | "mumble":
            tag = f"m{len(played.said):03}"
            words = {"say": f"echo {tag}", "staff": f"staff please {tag}"}.get(name, f"{name} {tag}")
            identity = f"visitor{tag}"
            if room.open:
                played.said[identity] = (room.id, words)
                world.when_possible(lambda: hub.say_as_visitor(room, words, identity, "widget"))
        case "take_over":
            relay = hub.by_name["omnibridge"]
            world.when_possible(lambda: routing.forward_to_agent(room, alice, relay, "", ""))
        case "leave":
            world.when_possible(lambda: routing.close(room, room.visitor, ""))
        case "close":
            world.when_possible(lambda: routing.close(room, alice, ""))
        case "requeue":
            world.when_possible(lambda: routing.return_to_queue(room, alice))
        case "away" | "back":
            alice.status_livechat = "available" if name == "back" else "not-available"
        case "hub_fails" | "bot_fails":
            side = world.hub_side if name == "hub_fails" else world.bot_side
            side.failing.extend([MODES[number % len(MODES)]] * (1 + number // 7 % 3))
        case "bot_hangs":
            world.bot_side.failing.append("never")
        case "disk_stalls":
            world.disk.plans.append("stall")
        case "disk_fails":
            world.disk.plans.extend([("fail", "doubt")[number // 3 % 2]] * (1 + number % 3))
        case "crash":
            world.clockwork.after(number % 40, world.crash)
        case "die_at":
            if world.life and not world.life.dead:
                world.life.die_at(POINTS[number % len(POINTS)], 1 + number // 8 % 4)
        case "start":
            _start(world)
        case "stop":
            if world.life:
                world.life.stop()
        case "hub_forgets":
            world.forget_webhooks()
