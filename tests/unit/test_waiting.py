"""A flag that somebody waits for."""

from __future__ import annotations

import asyncio

from omnibridge.connector import Flag


async def test_who_waits_goes_on_though_it_is_cleared_at_once() -> None:
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    flag.set()
    flag.clear()
    await asyncio.gather(*waiting)
    assert not flag.is_set()


async def test_flag_that_is_set_holds_nobody_up_and_one_that_was_cleared_does() -> None:
    flag = Flag()
    flag.set()
    await flag.wait()
    flag.clear()
    waiting = asyncio.create_task(flag.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    flag.set()
    assert flag.is_set()
