"""Rooms that are watched one by one, at a pace; and how long the listener waits before it tries again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from omnibridge.rocketchat.realtime import watch as watching
from omnibridge.rocketchat.realtime.connection import NotSubscribed, Timing
from omnibridge.rocketchat.realtime.listener import Listener
from omnibridge.rocketchat.realtime.watch import RoomWatch


class Hub:
    """The part of Connection that is used. refused: event -> error code."""

    def __init__(self) -> None:
        self.subs: dict[str, str] = {}
        self.at: list[float] = []
        self.refused: dict[str, str] = {}

    async def subscribe(self, stream: str, event: str) -> str:
        self.at.append(asyncio.get_running_loop().time())
        if event in self.refused:
            raise NotSubscribed(stream, self.refused[event])
        self.subs[f"s{len(self.at)}"] = event
        return f"s{len(self.at)}"

    async def unsubscribe(self, sub_id: str) -> None:
        del self.subs[sub_id]


async def watched(watch: RoomWatch, holds: Callable[[], bool]) -> None:
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.001)
    finally:
        task.cancel()


async def test_the_newest_rooms_first_and_not_too_many() -> None:
    hub: Any = Hub()
    watch = RoomWatch(hub, most=2)
    for room in ("r1", "r2", "r3"):
        watch.want(room)
    await watched(watch, lambda: len(hub.at) >= 4)
    assert "r1" not in watch
    assert sorted(hub.subs.values()) == [
        f"{room}/{event}" for room in ("r2", "r3") for event in ("deleteMessage", "user-activity")
    ]
    watch.want("r2")  # lively again
    watch.want("r4")
    await watched(watch, lambda: "r4" in watch and "r3" not in watch)
    watch.leave("r2")
    watch.leave("r9")
    await watched(watch, lambda: sorted(hub.subs.values()) == ["r4/deleteMessage", "r4/user-activity"])


async def test_a_burst_and_then_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BURST", 4)
    monkeypatch.setattr(watching, "PAUSE_S", 0.05)
    hub: Any = Hub()
    watch = RoomWatch(hub)
    for n in range(6):
        watch.want(f"r{n}")
    await watched(watch, lambda: len(hub.at) == 12)
    assert hub.at[3] - hub.at[0] < 0.05
    assert hub.at[11] - hub.at[3] > 0.3  # eight after the burst


async def test_a_hub_that_has_enough_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BURST", 4)
    monkeypatch.setattr(watching, "PAUSE_S", 0.01)
    monkeypatch.setattr(watching, "REFUSED_PAUSE_S", 0.2)
    hub: Any = Hub()
    hub.refused = {"r1/deleteMessage": "too-many-requests", "r2/deleteMessage": "not-allowed"}
    watch = RoomWatch(hub)
    watch.want("r1")
    await watched(watch, lambda: len(hub.at) == 2)
    assert hub.at[1] - hub.at[0] > 0.1
    watch.want("r2")
    await watched(watch, lambda: len(hub.at) == 4)
    assert sorted(hub.subs.values()) == ["r1/user-activity", "r2/user-activity"]


def test_pauses_double_up_to_the_longest_and_differ() -> None:
    none: Any = None
    timing = Timing(first_pause=0.5, longest_pause=30)
    listener = Listener("w", "http://127.0.0.1", "u", "t", [], none, none, timing)
    for failures, longest in ((1, 0.5), (2, 1), (3, 2), (7, 30), (10_000, 30)):
        found = [listener._pause_s(failures) for _ in range(200)]
        assert longest / 2 <= min(found) < max(found) <= longest
