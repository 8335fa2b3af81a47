"""`make soak-agents [ARGS="--kills 120"]`: first contacts of external agents, killed at every REST step.

The hub is here; the service is a process of its own (newcomers_child.py) on the real database. In rounds: 1,000 first
contacts at once for 100 new external ids, killed with SIGKILL before, within and after each REST call, started again
until all are done. Then the same for going to rest, being deactivated and being woken. Verdict after each round, by
the hub's records and ours: as many users as ids, each once in its departments, with the right roles, field, name,
face and log-in, and one creation in the audit. Exit 1 when anything is wrong, or a step was not hit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from omnibridge.bootstrap_agents import hubs_of
from omnibridge.clock import SystemClock
from omnibridge.config_reader import load
from omnibridge.identity import sync
from omnibridge.sandbox.configured import workspace
from omnibridge.sandbox.router_simulator import RouterSimulator
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, Socket, start
from omnibridge.storage.database import open_database
from tests.integration.identity.conftest import KEYS, configured_provisioner
from tests.soak.newcomers_verdict import (
    DEPARTMENTS,
    RESTING,
    SERVING,
    colour_of,
    judge_drift,
    judge_hub,
    judge_ours,
    made,
)  # fmt: skip
from tests.soak.processes import folder_of

MOMENTS = ("before", "within", "after")
CONTACT = (
    "GET info", "GET users.info importId", "GET users.info username", "POST users.create", "POST login",
    "POST users.setAvatar", "POST livechat/users/agent", "GET livechat/department", "POST livechat/department/*/agents",
)  # fmt: skip
"""Steps of a first contact, in their order."""
ONCE = ("POST users.create", "POST login", "POST users.setAvatar")
"""Not taken again for somebody who is beyond it."""
REST = ("GET livechat/rooms", "DELETE livechat/users/agent/*")
SLEEP = ("POST users.setActiveStatus",)
WAKE = ("POST users.setActiveStatus", "POST login")
CHILD_LIMIT_S = 120.0
MOST_ROUNDS = 30

Points = list[tuple[str, str]]


@dataclass
class Newcomers:
    """hits: (phase, step, moment) -> kills. wrong: what should not be so. only: one round with these kills."""

    folder: Path
    kills: int
    n_ids: int = 100
    contacts: int = 1000
    version: str = "8.3"
    seed: int = 1
    hits: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    rounds: int = 0
    only: Points = field(default_factory=list)

    async def run(self) -> dict[str, Any]:
        self._chance, began = random.Random(self.seed), time.monotonic()
        options = SandboxOptions(hub_version=self.version, licence="enterprise", simulators=False, bot_first=False)
        sandbox, outside = await start(options), Socket(RouterSimulator("whsec_AAAA").app(), "127.0.0.1", 0)
        await outside.start()
        try:
            self._sandbox, self._faces = sandbox, outside.url
            self._configure(sandbox)
            await self._sync()
            if self.only:
                await self._round(self.only)
                return self._result(began)
            await self._plain_round()
            while not self._enough() and self.rounds < MOST_ROUNDS:
                await self._round(self._contact_points())
            await self._phase("rest", 0.1, [(step, moment) for step in REST for moment in MOMENTS])
            await self._judge("rest", RESTING)
            await self._phase("sleep", 24 * 31, [(step, moment) for step in SLEEP for moment in MOMENTS])
            asleep = sum(not each.active for each in made(sandbox.hub))
            if asleep != len(self.ids):
                self.wrong.append(f"sleep: {asleep} of {len(self.ids)} are deactivated")
            await self._phase("wake", 24 * 32, [(step, moment) for step in WAKE for moment in MOMENTS])
            await self._judge("wake", SERVING)
        finally:
            await outside.stop()
            await sandbox.stop()
        return self._result(began)

    def _result(self, began: float) -> dict[str, Any]:
        wanted = self.only or list(self._every_point())
        missing = [f"{step} {moment}" for step, moment in wanted if not self._hit(step, moment)]
        return {
            "kills": self.hits.total(),
            "rounds": self.rounds,
            "external_ids": len(self.ids),
            "users": len(made(self._sandbox.hub)),
            "contacts": self.rounds * self.contacts,
            "kills_by_step": {
                step: {moment: self._hit(step, moment) for moment in MOMENTS}
                for step in dict.fromkeys(each for each, _ in self._every_point())
            },
            "not_hit": missing,
            "wrong": self.wrong[:50],
            "seconds": round(time.monotonic() - began, 1),
        }

    # -- rounds -----------------------------------------------------------------------------------------

    async def _plain_round(self) -> None:
        """Nothing dies."""
        self._more_ids()
        await self._child("contact", 0.0)
        await self._judge("without a kill", SERVING)

    async def _round(self, points: Points) -> None:
        self._more_ids()
        for step, moment in points:
            if self.hits.total() >= self.kills and self._hit(step, moment):
                continue
            await self._child("contact", 0.0, step, moment)
        await self._child("contact", 0.0)
        await self._judge(f"round {self.rounds}", SERVING)

    def _contact_points(self) -> Points:
        """In the order of the steps. Of those that a round has only a hundred of (64 calls are under way when one is
        killed), the moment that was hit least."""
        points: Points = []
        for step in CONTACT:
            moments = sorted(MOMENTS, key=lambda each, step=step: self._hit(step, each))  # type: ignore[misc]
            points += [(step, moment) for moment in moments[: 1 if step in ONCE else None]]
        return points

    async def _phase(self, name: str, hours: float, points: Points) -> None:
        """The last round's ids, some time later."""
        for step, moment in points:
            await self._child(name, hours, step, moment)
        await self._child(name, hours)

    def _more_ids(self) -> None:
        self.rounds += 1
        self.ids += [f"r{self.rounds}-{n:03}" for n in range(self.n_ids)]

    def _enough(self) -> bool:
        is_each_hit = all(self._hit(step, moment) for step in CONTACT for moment in MOMENTS)
        return self.hits.total() >= self.kills and is_each_hit

    def _every_point(self) -> Iterator[tuple[str, str]]:
        for step in dict.fromkeys((*CONTACT, *REST, *SLEEP)):
            for moment in MOMENTS:
                yield step, moment

    def _hit(self, step: str, moment: str) -> int:
        return sum(n for (_, *point), n in self.hits.items() if point == [step, moment])

    async def _child(self, phase: str, hours: float, step: str = "", moment: str = "") -> None:
        """One life of the service. Without a step it must come to its end."""
        is_contact = phase in ("contact", "wake")
        wish = {
            "do": phase if is_contact else "rest", "hours": hours, "faces": self._faces, "step": step,
            "ids": self.ids if phase == "wake" else self.ids[-self.n_ids :],
            "contacts": self.contacts, "moment": moment or "before",
            "count": self._chance.randint(1, 3) if step not in ("GET info", *ONCE) else 1,
            "pause_ms": self._chance.random() * 3,
        }  # fmt: skip
        with (self.folder / "child.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.soak.newcomers_child", str(self.folder / "omnibridge.toml"),
                json.dumps(wish), stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
            try:
                async with asyncio.timeout(CHILD_LIMIT_S):
                    out, _ = await process.communicate()
            except TimeoutError:
                process.kill()
                await process.wait()
                self.wrong.append(f"{phase} {step}: not done within {CHILD_LIMIT_S:g} s")
                return
        if process.returncode == -signal.SIGKILL and step:
            self.hits[phase, step, moment] += 1
            return
        if process.returncode != 0:
            self.wrong.append(f"{phase} {step} {moment}: ended with {process.returncode}, see child.log")
            return
        told = json.loads(out.splitlines()[-1])  # after the log
        if is_contact and (told["outcomes"].get("provisioned"), "mute" in told["outcomes"]) != (self.contacts, False):
            self.wrong.append(f"{phase} {step}: {told['outcomes']}")
        if told["alarms"]:
            self.wrong.append(f"{phase} {step}: alarms {told['alarms']}")

    # -- before and after -------------------------------------------------------------------------------

    def _configure(self, sandbox: RunningSandbox) -> None:
        for each in DEPARTMENTS:
            sandbox.hub.add_department(each, set())
        maker = configured_provisioner(sandbox.hub, self.folder)
        (self.folder / "omnibridge.toml").write_text(
            f"""
[database]
url = "sqlite:///newcomers.db"
{workspace(sandbox.description, "soak")}
{maker}
[agents]
creation = true
seats = 100000
seats_per_hour = 100000
seats_per_day = 100000
token_keys_file = "keys"
avatar_hosts = ["{self._faces.removeprefix("http://")}"]
""",
            "utf-8",
        )

    async def _sync(self) -> None:
        settings = load(self.folder / "omnibridge.toml", {})
        database, hubs = await open_database(settings.database_url), hubs_of(settings)
        try:
            field_name = settings.agents.custom_field
            await sync.run(hubs["soak"], database, "soak", field_name, SystemClock())
        finally:
            await hubs["soak"].aclose()
            await database.aclose()

    async def _judge(self, when: str, roles: frozenset[str]) -> None:
        """wrong: grows. Those of earlier rounds serve still: their rooms are looked at later."""
        hub = self._sandbox.hub
        faces = await self._pictures()
        found = judge_hub(hub, self.ids, faces, roles)
        await self._sync()
        settings = load(self.folder / "omnibridge.toml", {})
        database = await open_database(settings.database_url)
        try:
            found += judge_ours(database.reader, hub, "soak", self.ids, KEYS)
            found += judge_drift(database.reader, "soak", SystemClock().now_ms())
        finally:
            await database.aclose()
        self.wrong += [f"{when}: {each}" for each in found]
        print(f"{when}: {len(made(hub))} users, {self.hits.total()} kills, {len(found)} wrong", file=sys.stderr)

    async def _pictures(self) -> dict[str, bytes]:
        found = {}
        async with aiohttp.ClientSession() as session:
            for each in self.ids:
                async with session.get(f"{self._faces}/faces/{colour_of(each)}.png") as answer:
                    found[each] = await answer.read()
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak-agents ARGS=…", description=__doc__)
    parser.add_argument("--kills", type=int, default=110, help="at least so many during first contacts")
    parser.add_argument("--ids", type=int, default=100, help="external ids of each round")
    parser.add_argument("--contacts", type=int, default=1000, help="first contacts at once, of each round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hub-version", default="8.3")
    parser.add_argument("--keep", type=Path, help="folder for configuration, database and log")
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args()
    with folder_of(wish.keep) as folder:
        soak = Newcomers(folder, wish.kills, wish.ids, wish.contacts, wish.hub_version, wish.seed)
        result = asyncio.run(soak.run())
    if wish.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:16} {value}")
    return 1 if result["wrong"] or result["not_hit"] else 0


if __name__ == "__main__":
    sys.exit(main())
