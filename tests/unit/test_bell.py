"""A bell that rings all the time is one look in each gap, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from omnibridge.connector import bell
from omnibridge.connector.bell import Bell


async def test_first_ring_is_heard_at_once_and_those_that_follow_are_one() -> None:
    ringing, loop = bell.Ringing(), asyncio.get_running_loop()
    ringing.ring()
    assert ringing.rung.is_set()
    for _ in range(100):
        ringing.rung.clear()
        ringing.ring()
        assert not ringing.rung.is_set()

    waiting = [each for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
    assert len(waiting) == 1


async def test_ring_within_the_gap_is_heard_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "GAP_S", 0.03)
    ringing, loop = bell.Ringing(), asyncio.get_running_loop()
    began, at = loop.time(), []
    for _ in range(3):
        ringing.ring()
        async with asyncio.timeout(30):
            await ringing.rung.wait()
        at.append(loop.time())
        ringing.rung.clear()

    assert at[1] - began >= 0.029 and at[2] - began >= 0.059


async def test_who_does_not_ring_for_what_is_found_is_deaf_until_he_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "GRACE_S", 0.01)
    one = bell.Ringing()

    async def doubted() -> bool:
        one.rung.clear()
        try:
            async with asyncio.timeout(0.05):
                await one.rung.wait()
        except TimeoutError:
            return False
        return one.is_deaf

    one.missed()
    assert await doubted()
    one.ring(is_heard=False)  # such as a stream that stands anew
    assert one.is_deaf
    one.ring()
    assert not one.is_deaf
    one.missed()
    one.ring()  # it only came later
    one.rung.clear()
    monkeypatch.setattr(bell, "GAP_S", 10.0)
    assert not await doubted() and not one.is_deaf


async def test_each_side_is_rung_for_itself_and_a_change_of_what_is_heard_for_both() -> None:
    one = Bell()
    one.ring(answers=False)
    assert one.work.rung.is_set() and not one.answers.rung.is_set()

    other = Bell()
    other.set_live(False)
    assert not other.work.rung.is_set()
    other.set_live(True)
    assert other.is_live and other.work.rung.is_set() and other.answers.rung.is_set()
