"""Work of another system whose answers come late, wrong or not at all, without its people: rounds of one router."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from omnibridge.assignment.work import WorkRouter
from omnibridge.clock import SystemClock
from omnibridge.connector.bell import Bell
from omnibridge.connector.routing import Candidate, Push, Standing, Work
from omnibridge.engine.counters import Counters
from omnibridge.engine.faults import Faults
from omnibridge.errors import DeliveryRejected, DeliveryUncertain
from omnibridge.storage import routing
from omnibridge.storage.database import Database, open_database
from tests.conftest import until


class System:
    """works: what waits, in order. pushes: (work, serial, agent) that were asked for."""

    routes_work = True

    def __init__(self) -> None:
        self.works: dict[str, Work] = {}
        self.people = [Candidate("a", free=1000.0)]
        self.pushed: dict[str, list[Push]] = {}
        self.pushes: list[tuple[str, int, str]] = []
        self.given_back: set[str] = set()
        self.may_end = asyncio.Event()
        self.hangs = self.breaks = ""
        self.answers: dict[tuple[str, int], list[str]] = {}
        self.looked = asyncio.Semaphore(0)

    def agent_id(self, external_id: str) -> str:
        return external_id

    async def waiting(self, most: int) -> list[Work]:
        self.looked.release()
        found = [self._now(each) for each in self.works if not self._is_pushed(each)]
        return found[:most]

    async def staff(self) -> list[Candidate]:
        return self.people

    async def standing(self, ids: Sequence[str]) -> Mapping[str, Standing]:
        return {
            each: Standing(self.works[each].serial, not self._is_pushed(each), tuple(self.pushed.get(each, ())))
            for each in ids
        }

    async def push(self, work: Work, agent: str) -> str:
        self.pushes.append((work.id, work.serial, agent))
        if work.id == self.breaks:
            raise KeyError("work_item")
        if work.id == self.hangs:
            await self.may_end.wait()
        answers = self.answers.get((work.id, work.serial), [])
        answer = answers.pop(0) if answers else "taken"
        if answer == "refused":
            raise DeliveryRejected("he is away", code="away")
        push = Push(f"p{len(self.pushes)}", agent)
        self.pushed.setdefault(work.id, []).append(push)
        if answer == "given back at once, unheard":
            self.given_back.add(push.id)
            self.works[work.id] = Work(work.id, work.serial + 1)
            raise DeliveryUncertain("no answer in time")
        return push.id

    def _now(self, name: str) -> Work:
        work = self.works[name]
        return Work(name, work.serial, channel=work.channel, pushes=tuple(self.pushed.get(name, ())))

    def _is_pushed(self, name: str) -> bool:
        return bool(self.pushed.get(name)) and self.pushed[name][-1].id not in self.given_back


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> Any:
    made = await open_database(f"sqlite:///{tmp_path}/a.db")
    yield made
    await made.aclose()


def router(system: System, database: Database, **more: Any) -> WorkRouter:
    known: Any = lambda agent: True  # noqa: E731
    return WorkRouter("omni", system, database, SystemClock(), Counters(), Faults(), known, **more)


def stages(database: Database) -> dict[tuple[str, int], tuple[str, str]]:
    return {(each.work, each.serial): (each.stage, each.push) for each in routing.listed_work(database.reader)}


async def test_work_behind_a_page_that_nobody_can_take_is_not_forgotten(database: Database) -> None:
    system = System()
    system.people = [Candidate("a", free=1000.0, channels=("chat",))]
    system.works = {f"w{n}": Work(f"w{n}", 1, channel="chat" if n == 7 else "phone") for n in range(8)}
    looking = router(system, database, page=2)
    for _ in range(6):
        await looking.round()

    assert system.pushes == [("w7", 1, "a")]


async def test_push_of_a_serial_whose_fate_is_not_known_is_not_taken_for_that_of_the_next(database: Database) -> None:
    system = System()
    system.works = {"w": Work("w", 1)}
    system.answers = {("w", 1): ["refused"]}
    looking = router(system, database)
    await looking.round()
    # He gets it at last, a supervisor takes it back before we hear of that, and then he is away.
    await database.writer.submit(lambda cur: cur.execute("UPDATE routed_work SET stage = 'chosen', refused = '[]'"))
    system.answers = {("w", 1): ["given back at once, unheard"], ("w", 2): ["refused", "refused"]}
    await looking.round()
    await looking.round()

    assert [each[:2] for each in system.pushes] == [("w", 1), ("w", 1), ("w", 2)]
    assert stages(database) == {("w", 1): ("pushed", "p2"), ("w", 2): ("refused", "")}


async def test_round_that_breaks_does_not_leave_pushes_behind_that_the_next_one_repeats(database: Database) -> None:
    system = System()
    system.works = {"w1": Work("w1", 1), "w2": Work("w2", 1)}
    system.hangs, system.breaks = "w1", "w2"
    looking = router(system, database)
    first = asyncio.create_task(looking.round())
    await until(lambda: len(system.pushes) == 2)
    await asyncio.wait({first}, timeout=0.1)
    assert not first.done()  # the next one may not begin yet
    system.may_end.set()
    await asyncio.wait({first})
    await looking.round()

    assert system.pushes.count(("w1", 1, "a")) == 1
    assert stages(database)["w1", 1][0] == "pushed"


async def test_work_that_cannot_be_pushed_at_all_does_not_keep_the_others_waiting(database: Database) -> None:
    system = System()
    system.works = {"w1": Work("w1", 1)}
    system.breaks = "w1"
    looking = router(system, database)
    await looking.round()
    system.works["w2"] = Work("w2", 1)
    await looking.round()

    assert stages(database)["w2", 1][0] == "pushed"


async def test_looks_go_by_the_bell_while_it_is_live_and_by_the_clock_otherwise(database: Database) -> None:
    system, bell = System(), Bell()
    bell.set_live(True)
    running = asyncio.create_task(router(system, database, bell=bell, poll_s=0.01, sweep_s=60.0).run())

    async def look() -> None:
        async with asyncio.timeout(30):
            await system.looked.acquire()

    await look()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):  # ten times the pause of the clock
            await system.looked.acquire()
    bell.work.rung.set()
    await look()
    bell.work.is_deaf = True  # sweeps found what did not ring
    bell.work.rung.set()
    for _ in range(4):
        await look()
    bell.work.is_deaf = False
    system.works, system.people = {"w": Work("w", 1)}, []
    bell.work.rung.set()
    for _ in range(4):  # something is left, and no bell tells that somebody comes who takes it
        await look()
    system.people = [Candidate("a", free=1.0)]
    async with asyncio.timeout(30):
        while not system.pushes:
            await asyncio.sleep(0.01)
    bell.is_live = False
    bell.work.rung.set()
    for _ in range(4):
        await look()
    running.cancel()
    await asyncio.wait({running})

    assert system.pushes == [("w", 1, "a")]
