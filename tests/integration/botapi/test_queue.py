"""The queue on a real database: numbers, repeats, confirming, retention, tokens; no server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from omnibridge.botapi.queue import UpdateQueue
from omnibridge.clock import FixedClock
from omnibridge.connector import DeliveryRejected
from omnibridge.connector.testing import turn
from omnibridge.domain.interactions import Action, Actor, Interaction
from omnibridge.engine.counters import Counters
from omnibridge.engine.retention import DAY_MS, Retention, Terms
from omnibridge.storage import bot_chats, bot_updates, bots
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database, open_database


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = await open_database(f"sqlite:///{tmp_path}/a.db")
    yield found
    await found.aclose()


async def registered(database: Database, *connections: str) -> UpdateQueue:
    for number, each in enumerate(connections, 11):
        _, _, digest = bots.new_token(number)
        bot = Bot(each, number, 1, "test")
        await database.writer.submit(lambda cur, bot=bot, digest=digest: bots.add(cur, bot, digest))  # type: ignore[misc]
    return UpdateQueue(database, FixedClock(), {each: each for each in connections}, lambda connection, name: None)


def queued(database: Database, connection: str = "helper") -> list[tuple[int, int, str]]:
    """(update, chat, text) of those that wait."""
    found = bot_updates.waiting(database.reader, connection, 100)
    decoded = [(each, msgspec.json.decode(each.body)) for each in found]
    assert all(each.update_id == body["update_id"] for each, body in decoded)
    return [(each.update_id, each.chat_id, body["message"]["text"]) for each, body in decoded]


async def test_numbers_have_no_gaps_and_a_repeated_turn_has_one(database: Database) -> None:
    queue = await registered(database, "helper", "other")
    turns = [turn(f"n{n}", delivery_id=str(n), session_id=f"s{n % 3}") for n in range(12)]
    await asyncio.gather(*(queue.put("helper", each, each.text) for each in [*turns, *turns[::-1]]))
    await queue.put("other", turns[0], "x")
    found = queued(database)

    assert [each[0] for each in found] == list(range(1, 13))
    assert sorted(each[2] for each in found) == sorted(each.text for each in turns)
    for session in range(3):
        chat = bot_chats.chat_of(database.reader, "helper", f"s{session}")
        assert chat is not None
        assert [each[2] for each in found if each[1] == chat.id] == [f"n{n}" for n in range(session, 12, 3)]
    assert [each[0] for each in queued(database, "other")] == [1]


async def test_turn_that_was_confirmed_is_known_when_it_comes_again(database: Database) -> None:
    queue = await registered(database, "helper")
    await queue.put("helper", turn("a", delivery_id="1"), "a")
    await database.writer.submit(lambda cur: bot_updates.confirm_before(cur, "helper", 2))
    await queue.put("helper", turn("a", delivery_id="1"), "a")

    assert queued(database) == []


async def test_negative_offset_keeps_the_newest(database: Database) -> None:
    queue = await registered(database, "helper")
    for n in range(1, 5):
        await queue.put("helper", turn("a", delivery_id=str(n)), f"n{n}")
    await database.writer.submit(lambda cur: bot_updates.keep_last(cur, "helper", 2))
    assert [each[0] for each in queued(database)] == [3, 4]
    await database.writer.submit(lambda cur: bot_updates.keep_last(cur, "helper", 0))
    assert queued(database) == []


async def test_update_of_a_kind_that_is_not_wanted_is_not_kept(database: Database) -> None:
    queue = await registered(database, "helper")
    await database.writer.submit(lambda cur: bots.allow(cur, "helper", '["callback_query"]'))
    await queue.put("helper", turn("a"), "a")
    await queue.put("helper", turn("1", delivery_id="2", choice_value="yes"), "1")  # nothing offers it: a message
    did = Interaction("i", Actor("v", is_visitor=True), (Action("button", "a", value="yes"),))
    await queue.put("helper", turn("Yes", delivery_id="3", choice_value="yes", interaction=did), "Yes")

    found = bot_updates.waiting(database.reader, "helper", 10)
    assert [each.update_id for each in found] == [1]
    assert msgspec.json.decode(found[0].body)["callback_query"]["data"] == "yes"


async def test_bot_without_a_token_takes_nothing(database: Database) -> None:
    queue = await registered(database)
    with pytest.raises(DeliveryRejected, match="omnibridge bots create helper"):
        await queue.put("helper", turn("a"), "a")


@pytest.mark.parametrize(("change", "kept"), [("", 0), ("webhook_url = 'https://a.example/'", 1), ("paused = 1", 1)])
async def test_s3_38_updates_are_kept_for_a_day(database: Database, change: str, kept: int) -> None:
    queue = await registered(database, "helper")
    if change:
        await database.writer.submit(lambda cur: cur.execute(f"UPDATE bots SET {change}"))  # noqa: S608
    clock = FixedClock()
    await queue.put("helper", turn("a", delivery_id="1"), "a")
    await queue.put("helper", turn("b", delivery_id="2"), "b")
    await database.writer.submit(lambda cur: bot_updates.settle(cur, "helper", 1, bot_updates.TAKEN))
    retention = Retention(database, clock, Counters(), Terms(), 3600)
    assert (await retention.run())["bot_updates"] == 0
    clock.advance(DAY_MS + 1000)

    assert (await retention.run())["bot_updates"] == 2 - kept
    assert [each[2] for each in queued(database)] == ["b"] * kept


async def test_tokens_are_found_rotated_and_revoked(database: Database) -> None:
    async def write(unit: Any) -> None:
        await database.writer.submit(unit)

    number, token, digest = bots.new_token()
    await write(lambda cur: bots.add(cur, Bot("helper", number, 1, "me"), digest))
    _, newer, other = bots.new_token(number)
    found = bots.find(database.reader, token)
    assert found is not None and found.connection == "helper"
    for wrong in ("", ":", "x", newer, f"{number}:", f"{number}:ä", f"{10**30}:x", f"x{token}", f"-{token}"):
        assert bots.find(database.reader, wrong) is None
    await write(lambda cur: bots.rotate(cur, "helper", other))
    assert bots.find(database.reader, token) is None
    assert bots.find(database.reader, newer) is not None
    await write(lambda cur: bots.revoke(cur, "helper", 5))
    assert bots.find(database.reader, newer) is None
