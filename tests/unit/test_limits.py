"""The shared time limit: what asyncio.timeout() does, for many at a time."""

from __future__ import annotations

import asyncio

import pytest

from omnibridge.limits import TimeLimit


async def test_body_that_takes_too_long_is_ended() -> None:
    limit = TimeLimit(0.02)
    never = asyncio.Event()

    async def wait() -> str:
        try:
            async with limit():
                await never.wait()
        except TimeoutError:
            return "ended"
        return "went on"

    assert await asyncio.gather(*(wait() for _ in range(50))) == ["ended"] * 50


async def test_body_in_time_is_left_alone_and_leaves_no_timer() -> None:
    limit = TimeLimit(0.04)
    async with limit():
        pass
    with pytest.raises(KeyError):
        async with limit():
            raise KeyError("its own")
    async with asyncio.timeout(30):
        while limit._timer is not None:
            await asyncio.sleep(0.002)


async def test_cancellation_from_outside_stays_one() -> None:
    limit = TimeLimit(5)
    entered = asyncio.Event()

    async def wait() -> None:
        async with limit():
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_outer_limit_wins_over_an_inner_one() -> None:
    inner, outer = TimeLimit(60), TimeLimit(0.02)
    with pytest.raises(TimeoutError):
        async with outer():
            async with inner():
                await asyncio.Event().wait()
