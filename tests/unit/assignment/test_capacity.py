"""Who counts as an agent's conversation, and for how long."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnibridge.assignment.agents import AgentSender
from omnibridge.assignment.capacity import HOLD_MS, Capacity
from omnibridge.domain.agent_events import AgentEnsured, AgentNotEnsured
from omnibridge.domain.agents import AgentFound, ExternalAgent
from omnibridge.domain.commands import EnsureAgent, ReleaseAgent
from omnibridge.domain.conversation import Assignment, Conversation
from omnibridge.domain.events import UserRef
from omnibridge.storage import directory
from omnibridge.storage.database import connect, migrate
from omnibridge.storage.directory import READY, AgentRow
from tests.unit.assignment.test_senders import ANN, FOUND, Service, row


class Clock:
    now = 1_000_000

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Desk:
    """The directory with one agent who may have two conversations, and the rooms that the hub says he has."""

    def __init__(self, database: Any) -> None:
        self.clock, self.rooms = Clock(), set[str]()
        directory.put(
            database.cursor(), [AgentRow("main", "crm", "0055", "aliceId", "alice", "mapped", READY, capacity=2)], 1
        )
        self.capacity = Capacity(database, self._open_rooms, self.clock)

    async def _open_rooms(self, workspace: str, user_id: str) -> set[str]:
        await asyncio.sleep(0)
        assert (workspace, user_id) == ("main", "aliceId")
        return set(self.rooms)

    async def is_full(self, room: str, found: AgentFound = FOUND, server: UserRef | None = None) -> bool:
        return await self.capacity.refusal(Conversation("main", room, served_by=server), found) is not None


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    migrate(tmp_path / "d.db")
    with closing(connect(tmp_path / "d.db")) as database:
        yield Desk(database)


async def test_rooms_of_the_hub_and_those_on_their_way_count_each_once(desk: Desk) -> None:
    desk.rooms = {"r1"}
    assert [await desk.is_full(each) for each in ("r2", "r3", "r2")] == [False, True, False]
    desk.rooms = {"r1", "r2"}
    assert await desk.is_full("r3")
    desk.rooms = {"r1"}  # r2 was closed at once, and its release has not come
    assert await desk.is_full("r3")
    desk.capacity.released("main", "r2", "aliceId")
    assert not await desk.is_full("r3")


async def test_last_place_is_given_once(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.is_full(f"r{n}") for n in range(5)))

    assert sorted(answers) == [False, False, True, True, True]


async def test_one_who_was_chosen_and_never_came_counts_for_a_while_only(desk: Desk) -> None:
    assert [await desk.is_full(each) for each in ("r1", "r2", "r3")] == [False, False, True]
    desk.clock.now += HOLD_MS
    assert not await desk.is_full("r3")


async def test_who_serves_already_has_no_limit_and_neither_has_the_shared_bot(desk: Desk) -> None:
    desk.rooms = {"r1", "r2"}

    assert not await desk.is_full("r3", server=UserRef("aliceId", "alice"))
    assert not await desk.is_full("r3", msgspec.structs.replace(FOUND, mode="shared"))
    assert not await desk.is_full("r3", AgentFound("crm", "0066", "bobId", "bob", "mapped"))


async def test_sender_refuses_a_decision_for_him_and_nobody_who_speaks_already(desk: Desk) -> None:
    desk.rooms = {"r1", "r2"}
    service = Service(FOUND)
    sender = AgentSender(service, desk.capacity)

    async def ensure(assignment: Assignment) -> object:
        conversation = Conversation("main", "r3", assignment=assignment)
        return (await sender.send(row(EnsureAgent(ANN)), "main", conversation, maybe_sent=False)).event

    refused = await ensure(Assignment("ensuring", agent=ExternalAgent("crm", "0055")))
    assert isinstance(refused, AgentNotEnsured)
    assert (refused.refused.reason, refused.refused.text[:27]) == ("limit", "he has 2 of 2 conversations")
    assert service.seen[-1] == ("main", "aliceId")  # released, for he was made able to serve
    assert await ensure(Assignment()) == AgentEnsured(FOUND)
    desk.rooms = {"r1"}
    assert await ensure(Assignment("ensuring", agent=ExternalAgent("crm", "0055"))) == AgentEnsured(FOUND)
    await sender.send(row(ReleaseAgent("aliceId")), "main", Conversation("main", "r3"), maybe_sent=False)
    assert not await desk.is_full("r4")
