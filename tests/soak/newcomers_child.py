"""`python -m tests.soak.newcomers_child CONFIG WISH`: the real service on the real database; dies where it is told to.

WISH is JSON, see there. `contact`: so many first contacts with these ids at once. `wake`: the same, and each of them is
asked to post. `rest`: what the service does from time to time. At the count-th call of the step: SIGKILL before it is
sent, while the hub has it, or when it was answered and nothing was done with the answer.
Prints {"outcomes", "alarms", "calls"} when it came to its end.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from omnibridge.bootstrap_agents import hubs_of, world_of
from omnibridge.clock import SystemClock
from omnibridge.config_reader import load
from omnibridge.domain.agents import AgentFound, ExternalAgent
from omnibridge.engine.faults import die
from omnibridge.identity.service import Identity
from omnibridge.rocketchat.calls import Answer, Calls
from omnibridge.storage.database import open_database
from tests.soak.newcomers_verdict import DEPARTMENTS, SYSTEM, colour_of, name_of


class Wish(msgspec.Struct):
    """do: contact, wake or rest. hours: how far the clock is ahead. faces: where pictures are. step: as `step_of` names
    it, '' = none is deadly. moment: before, within or after; within is pause_ms after it was begun."""

    do: str = "contact"
    ids: list[str] = []
    contacts: int = 0
    hours: float = 0.0
    faces: str = ""
    step: str = ""
    moment: str = "before"
    count: int = 1
    pause_ms: float = 1.0


class Ahead(SystemClock):
    """The machine's clock, some hours later."""

    def __init__(self, hours: float) -> None:
        self._ms = int(hours * 3_600_000)

    def now_ms(self) -> int:
        return super().now_ms() + self._ms


def step_of(method: str, path: str, query: Any) -> str:
    """`GET users.info importId`, `POST livechat/department/*/agents`: what is asked of the hub, without whom."""
    name = re.sub(r"^/api/(v1/)?", "", path)
    name = re.sub(r"livechat/department/[^/]+/agents", "livechat/department/*/agents", name)
    name = re.sub(r"livechat/users/agent/.+", "livechat/users/agent/*", name)
    which = " " + next(iter(query)) if name == "users.info" and query else ""
    return f"{method} {name}{which}"


def arm(wish: Wish) -> Counter[str]:
    """Every REST call of this process passes here. Returns how often each step was taken."""
    exchange, calls = Calls.exchange, Counter[str]()

    async def watched(self: Calls, method: str, path: str, **options: Any) -> Answer:
        step = step_of(method, path, options.get("query"))
        calls[step] += 1
        is_end = step == wish.step and calls[step] == wish.count
        if is_end and wish.moment == "before":
            die()
        if is_end and wish.moment == "within":
            asyncio.get_running_loop().call_later(wish.pause_ms / 1000, die)
        answer = await exchange(self, method, path, **options)
        if is_end:
            die()
        return answer

    Calls.exchange = watched  # type: ignore[method-assign]
    return calls


async def run(config: Path, wish: Wish) -> dict[str, Any]:
    """Returns what is printed."""
    settings, calls = load(config, {}), arm(wish)
    outcomes, alarms = Counter[str](), Counter[str]()
    database, hubs = await open_database(settings.database_url), hubs_of(settings)
    world = world_of(settings.agents, database, Ahead(wish.hours), lambda name: outcomes.update([name]),
                     lambda name: alarms.update([name]))  # fmt: skip
    identity = Identity(world, hubs)
    try:
        if wish.do != "rest":
            asked = [wish.ids[n % len(wish.ids)] for n in range(wish.contacts)]
            random.shuffle(asked)
            found = await asyncio.gather(*(identity.ensure("soak", _agent(each, wish), f"room {n}")
                                           for n, each in enumerate(asked)))  # fmt: skip
            users = {each.user_id for each in found if isinstance(each, AgentFound)} if wish.do == "wake" else set()
            for user_id in users:
                if await identity.credentials("soak", user_id) is None:
                    outcomes["mute"] += 1
        else:
            await identity.tidy()
    finally:
        for each in hubs.values():
            await each.aclose()
        await world.avatars.aclose()
        await database.aclose()
    return {"outcomes": outcomes, "alarms": alarms, "calls": calls}


def _agent(external_id: str, wish: Wish) -> ExternalAgent:
    face = f"{wish.faces}/faces/{colour_of(external_id)}.png"
    return ExternalAgent(SYSTEM, external_id, name_of(external_id), face, departments=DEPARTMENTS)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Wish)))))
