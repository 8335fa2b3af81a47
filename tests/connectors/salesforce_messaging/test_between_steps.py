"""A step that fails although all others go well: the chat goes on, and nothing of it is left open."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from importlib import import_module
from typing import Any

import pytest

import connectors.salesforce_messaging.follow as follow_module
from connectors.salesforce.chat import Chat
from omnibridge.errors import StorageError
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_messaging.moved_time import MovedTime
from tests.connectors.salesforce_messaging.orgs import RunningOrg
from tests.connectors.salesforce_messaging.test_trouble import verified
from tests.integration.test_desks import control
from tests.scripted import ScriptedConnector


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "hurry" not in request.node.name:
        for module in (follow_module, import_module("connectors.salesforce_messaging.beginning")):
            monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.05)
        monkeypatch.setattr(import_module("connectors.salesforce_messaging.sending"), "SHORT_S", 0.1)
        monkeypatch.setattr(import_module("connectors.salesforce_messaging.connector"), "CLOSE_S", 0.2)


def refuse(sf: RunningOrg, name: str, status: int, times: int) -> Counter[str]:
    """The next calls of this name. Counts all calls from now on."""
    came: Counter[str] = Counter()

    def before(call: str, subject: str) -> int | None:
        came[call] += 1
        return status if call == name and came[call] <= times else None

    sf.before = before
    return came


async def test_conversation_that_was_made_while_the_database_was_full_is_begun_later(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, left = Chat.change, 2

    async def full(chat: Any, *args: Any, **fields: Any) -> None:
        nonlocal left
        if fields.get("is_begun") and left:
            left -= 1
            raise StorageError("the disk is full")
        await change(chat, *args, **fields)

    monkeypatch.setattr(Chat, "change", full)
    relay = await make_relay()
    visitor = await relay.with_agent()
    await visitor.say("v0")
    await relay.until(lambda: relay.heard() == ["v0"])

    assert left == 0 and len(relay.sf.org.conversations) == 1


async def test_close_that_is_refused_for_a_while_is_made_later(make_relay: MakeRelay, sf: RunningOrg) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    refuse(sf, "close", 302, 2)
    await visitor.close()
    await relay.until(lambda: relay.session().status == "Ended")


async def test_close_waits_where_the_visitor_comes_back_as_a_guest(make_relay: MakeRelay, sf: RunningOrg) -> None:
    """Keys that are wrong for a while, just when a verified user's token had ended."""
    relay = await make_relay(settings=verified(sf))
    visitor = await relay.with_agent()
    sf.wish({"all_are_guests": True})
    came = refuse(sf, "close", 401, 1000)
    await visitor.close()
    async with asyncio.timeout(10):
        while came["verified_token"] < 2:
            await asyncio.sleep(0.01)
    sf.before = lambda name, subject: None
    sf.wish({"all_are_guests": False})
    await relay.until(lambda: relay.session().status == "Ended")


async def test_file_that_begins_a_session_says_so(make_relay: MakeRelay, sf: RunningOrg) -> None:
    """417: with routing attributes, and as the first of a new session (reference 2.5, 2.6)."""
    relay = await make_relay()
    visitor = await relay.with_agent()
    refuse(sf, "file", 417, 3)
    await relay.world.upload(visitor, "cat.png", text="look")
    await relay.until(lambda: relay.of_kind("file"))

    assert [each["is_new"] for each in relay.of_kind("file")] == [True]


async def test_history_that_begins_a_session_says_so(make_relay: MakeRelay, sf: RunningOrg) -> None:
    relay = await make_relay()
    refuse(sf, "message", 417, 3)
    await relay.handed_over()
    await relay.until(lambda: relay.of_kind("message"))

    assert [(each["is_new"], each["text"][:12]) for each in relay.of_kind("message")] == [(True, "Conversation")]


async def test_417_has_the_end_looked_for(make_relay: MakeRelay, sf: RunningOrg) -> None:
    """The stream lost it: no new session is begun for words that another is to get."""
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    sf.wish({"options": {"prechat_per_session": True}, "stream": {"lose": 10}})
    relay.desk.end(relay.chat)
    sf.wish({"stream": {"lose": 0}})
    await visitor.say("echo late")
    await relay.until(lambda: "late" in relay.words(visitor))

    assert control(relay.world) == "connection:helper" and len(relay.conversation().sessions) == 1
    assert [each.text for each in ScriptedConnector.bot.given].count("echo late") == 1


async def test_clock_of_salesforce_is_not_ours(make_relay: MakeRelay, sf: RunningOrg) -> None:
    """A token lives from when it was given: by our clock it may have ended before."""
    sf.wish({"advance_s": -8000})
    relay = await make_relay(settings='on_left = "bot"')
    visitor = await relay.with_agent()
    told = await relay.exchange(visitor, 2)

    assert relay.agents_words(visitor) == told and control(relay.world) == "connection:sales"
    assert len(sf.api.issued) == 1


async def test_tokens_that_are_all_dead_are_not_asked_for_in_a_hurry(
    make_relay: MakeRelay, sf: RunningOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 a minute are all that an org gives, to all of its chats."""
    time = MovedTime(monkeypatch, sf)
    relay = await make_relay(settings=verified(sf))
    visitor = await relay.with_agent()
    came = refuse(sf, "stream", 401, 100_000)
    sf.wish({"cut": True})
    await time.pass_by(300)
    assert came["verified_token"] <= 25
    sf.before = lambda name, subject: None
    relay.desk.say(relay.chat, "a0")
    await time.until(lambda: "a0" in relay.words(visitor), 40)


async def test_state_that_cannot_be_read_keeps_no_other_chat_from_being_followed(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    visitor = await relay.with_agent()
    first = relay.chat
    other = await relay.world.visitor("Otto")
    await other.say("talk to a human")
    await relay.until(lambda: len(relay.sf.org.conversations) == 2)
    rubbish = relay.world.node.service._sessions._sealed(b"{}")
    await relay.world.node.stop()
    (database,) = relay.world.folder.glob("*.db")
    with sqlite3.connect(database) as connection:
        ((row,),) = connection.execute("SELECT max(conversation_id) FROM desk_sessions").fetchall()
        connection.execute("UPDATE desk_sessions SET state = ? WHERE conversation_id = ?", (rubbish, row))
    await relay.world.begin()
    relay.desk.say(first, "a0")
    async with asyncio.timeout(10):
        while "a0" not in relay.words(visitor):
            await asyncio.sleep(0.01)
