"""What is said of a desk that cannot be reached, while it comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

import omnibridge.connector.interruption as interruption
from connectors.salesforce.told import NOTICES, ToldByUs, Trouble


class Chat:
    """told: what was written down. It may be written while `may` is set; fails: so many attempts do not."""

    def __init__(self) -> None:
        self.kept = SimpleNamespace(trouble=False, is_over=False)
        self.session, self.is_closing = self, False
        self.room, self.told, self.may, self.fails = "r", list[str](), asyncio.Event(), 0
        self.may.set()

    async def held(self) -> float:
        return 1.0

    async def change(self, key: str, told: ToldByUs, trouble: bool) -> None:
        await self.may.wait()
        if self.fails:
            self.fails -= 1
            raise OSError("disk full")
        assert key.startswith(told.notice)
        self.told.append(told.notice)
        self.kept.trouble = trouble

    async def until(self, *told: str) -> None:
        async with asyncio.timeout(30):
            while self.told != list(told):
                await asyncio.sleep(0)


@pytest_asyncio.fixture
async def chat() -> AsyncIterator[Any]:
    chat = Chat()
    context = SimpleNamespace(log=lambda event, **more: None)
    shared: Any = SimpleNamespace(settings=SimpleNamespace(trouble_s=0.0), context=context, now_ms=lambda: 1)
    made: Any = chat
    trouble = Trouble(made, lambda: shared, lambda: True)
    yield chat, trouble
    trouble.close()


async def until_asked(trouble: Trouble) -> None:
    async with asyncio.timeout(30):
        while not trouble._is_saying:
            await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_it_is_over_while_it_is_being_written(chat: Any) -> None:
    """Else the visitor would read for hours that nothing comes through."""
    desk, trouble = chat
    desk.may.clear()
    trouble.noticed(False)
    await until_asked(trouble)
    trouble.noticed(True)
    desk.may.set()
    await desk.until("trouble", "trouble-over")

    assert {"trouble", "trouble-over"} <= set(NOTICES)


async def test_end_of_it_that_could_not_be_written_is_told_later(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "AGAIN_S", 0.0)
    desk, trouble = chat
    trouble.noticed(False)
    await desk.until("trouble")
    desk.fails = 2
    trouble.noticed(True)
    await desk.until("trouble", "trouble-over")
