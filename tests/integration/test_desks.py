"""A desk beside a bot, over a real hub and a real database: sessions are opened once and followed by one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import pytest

from omnibridge.config_reader import load
from omnibridge.connector import DeliveryRejected, DeliveryRetryable, DeliveryUncertain, ExternalAgent
from omnibridge.connector.desks import Accepted, Declined, Left, Notice, Queued, Session
from omnibridge.engine import plugins
from omnibridge.errors import ConfigError
from omnibridge.operator.replay import Replay
from omnibridge.sandbox.visitor import Visitor
from omnibridge.server import Node
from tests.acceptance.test_agents import with_provisioner
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World
from tests.scripted import ScriptedConnector
from tests.scripted_desk import Chat, DeskConnector, ScriptedDesk

ANN = ExternalAgent("desk", "9", "Ann Lee")


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, bot_kind: str) -> ScriptedDesk:
    kinds = {"scripted": ScriptedConnector, "desk": DeskConnector}
    monkeypatch.setattr(plugins, "load_connector", lambda kind: kinds[kind])
    DeskConnector.desk = ScriptedDesk()
    return DeskConnector.desk


async def with_desk(world: World, terms: str = "", agents: str = "creation = true") -> None:
    """A bot user for the desk, which the bot hands to, and users for its people."""
    hub = world.sandbox.hub
    user = hub.add_user("desk", "secret", {"bot", "livechat-agent"}, "Our team")
    token = hub.accounts.issue_access_token(user, "omnibridge", bypasses_two_factor=True).token
    path = world.folder / "omnibridge.toml"
    text = path.read_text("utf-8").replace("fallbacks = 2", 'fallbacks = 2\nhands_to = "sales"')
    connection = (
        f'[[connection]]\nname = "sales"\nkind = "desk"\nrocketchat_user = "desk"\nrocketchat_token = "{token}"'
    )
    path.write_text(f"{text}\n{connection}\n{terms}\n", "utf-8")
    await with_provisioner(world, agents)
    await omnibridge(world.folder, "agents", "sync")


async def until(world: World, holds: Callable[[], object]) -> None:
    """And until nothing is under way but timers."""
    due = (
        "SELECT 1 FROM deliveries WHERE state = 0 AND stream NOT LIKE 'timer:%' "
        "UNION ALL SELECT 1 FROM observations WHERE state = 0 LIMIT 1"
    )
    async with asyncio.timeout(30):
        while not holds() or world.rows(due):
            await asyncio.sleep(0.01)


async def handed_over(world: World, desk: ScriptedDesk) -> tuple[Visitor, Chat]:
    visitor = await world.visitor()
    await visitor.say("where is my order A1")
    await world.answered()
    await visitor.say("talk to a human")
    await until(world, lambda: desk.chats)
    return visitor, desk.chat


def control(world: World) -> str:
    (row,) = world.rows("SELECT json_extract(state, '$.control.party') FROM conversations")
    return str(row[0])


def said(world: World, rid: str) -> list[tuple[str, str]]:
    """(name of who wrote, text) of a room, system messages left out."""
    hub = world.sandbox.hub
    found = [each for each in hub.messages.values() if each.rid == rid and not each.system_type]
    return [(hub.users[each.author.id].name if each.author.id in hub.users else "visitor", each.text) for each in found]


async def test_from_bot_to_desk_to_bot_to_close(make_world: MakeWorld, desk: ScriptedDesk) -> None:
    world = await make_world(department="sales")
    await with_desk(world, 'on_left = "bot"')
    visitor, chat = await handed_over(world, desk)

    assert [each.text for each in chat.opening.said] == [
        "where is my order A1",
        "Order A1 is on its way.",
        "talk to a human",
        "One moment, a colleague takes over.",
    ]
    await visitor.say("anybody there?")
    chat.tell(Queued(2))
    chat.tell(Accepted(ANN))
    chat.tell("Hello, I am Maria.")
    await until(world, lambda: len(chat.asked_from) == 4)
    assert chat.heard == ["anybody there?"]
    assert (await world.room(visitor.rid))["served_by"] not in ("desk", "bot")
    await visitor.say("thank you")
    await until(world, lambda: "thank you" in chat.heard)
    chat.tell(Left("agent"))
    await until(world, lambda: chat.closed)
    await visitor.say("echo back")
    await until(world, lambda: "back" in [text for _, text in said(world, visitor.rid)])

    words = [text for _, text in said(world, visitor.rid)]
    assert words[3:] == [
        "One moment, a colleague takes over.",
        *[each for each in words if each in ("anybody there?", "You are number 2 in the queue.")],
        "Hello, I am Maria.",
        "thank you",
        "echo back",
        "back",
    ]
    assert ("Maria Fox", "Hello, I am Maria.") in said(world, visitor.rid)
    assert (await world.room(visitor.rid))["served_by"] == "bot"
    assert world.rows("SELECT count(*) FROM desk_sessions") == [(0,)]
    database = world.node.service._database
    assert database
    assert Replay(database.reader).run().is_clean


async def test_restart_goes_on_with_the_session_where_it_was(make_world: MakeWorld, desk: ScriptedDesk) -> None:
    world = await make_world()
    await with_desk(world)
    visitor, chat = await handed_over(world, desk)
    chat.tell(Accepted(ANN))
    chat.tell("one")
    await until(world, lambda: "one" in [text for _, text in said(world, visitor.rid)])
    await world.node.stop()
    chat.tell("two")
    await world.begin()
    await visitor.say("still there")
    await until(world, lambda: "two" in [text for _, text in said(world, visitor.rid)])

    assert len(desk.opened) == 1
    assert chat.heard == ["still there"]
    assert chat.asked_from[-2:] == [2, 3]
    assert [text for _, text in said(world, visitor.rid)].count("one") == 1
    assert desk.polled_by_two == 0


async def test_session_that_cannot_be_read_keeps_nobody_else_from_being_served(
    make_world: MakeWorld, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()
    await with_desk(world)
    await handed_over(world, desk)
    await world.node.stop()

    def attach(self: DeskConnector, session: Session) -> None:
        raise ValueError("of another time")

    monkeypatch.setattr(DeskConnector, "attach", attach)
    await world.begin()
    other = await world.visitor("Vito")
    await other.say("echo here")
    await until(world, lambda: "here" in [text for _, text in said(world, other.rid)])

    assert world.node.service.counters.value("sessions_unreadable", "sales") == 1


async def test_news_told_twice_are_said_once_and_a_broken_stream_is_followed_again(
    make_world: MakeWorld, desk: ScriptedDesk
) -> None:
    desk.tells_twice, desk.break_follow = True, 1
    world = await make_world()
    await with_desk(world)
    visitor, chat = await handed_over(world, desk)
    chat.tell(Accepted())
    chat.tell("once")
    await until(world, lambda: len(chat.asked_from) == 3)

    assert [text for _, text in said(world, visitor.rid)].count("once") == 1
    assert world.node.service.counters.value("sessions_interrupted", "sales") == 1


async def test_desk_that_declines_leaves_the_visitor_to_the_bot_with_his_words(
    make_world: MakeWorld, desk: ScriptedDesk
) -> None:
    world = await make_world()
    await with_desk(world, 'on_declined = "bot"')
    visitor, chat = await handed_over(world, desk)
    await visitor.say("echo hello")
    await until(world, lambda: chat.heard)
    chat.tell(Declined("no-agents"))
    await until(world, lambda: "hello" in [text for _, text in said(world, visitor.rid)])

    assert control(world) == "connection:helper"
    assert chat.closed
    assert (await world.room(visitor.rid))["served_by"] == "bot"


@pytest.mark.parametrize("failure", [DeliveryRetryable("down", code="down"), DeliveryUncertain("cut", code="cut")])
async def test_session_is_opened_again_under_the_same_id(
    make_world: MakeWorld, desk: ScriptedDesk, failure: Exception
) -> None:
    desk.fail_open.append(failure)
    world = await make_world()
    await with_desk(world)
    await handed_over(world, desk)

    async with asyncio.timeout(30):
        while not world.rows("SELECT 1 FROM desk_sessions"):
            await asyncio.sleep(0.01)
    assert len(set(desk.opened)) == 1
    assert control(world) == "connection:sales"


@pytest.mark.parametrize("failure", [None, DeliveryRejected("unknown", code="unknown")])
async def test_second_session_of_a_conversation_tells_its_own_news(
    make_world: MakeWorld, desk: ScriptedDesk, failure: Exception | None
) -> None:
    """Its news have the same names as those of the first; also when the desk does not hear of the first one's end."""
    world = await make_world()
    await with_desk(world, 'on_left = "bot"')
    visitor, first = await handed_over(world, desk)
    first.tell(Accepted())
    first.tell("first")
    await until(world, lambda: "first" in [text for _, text in said(world, visitor.rid)])
    if failure:
        desk.fail_close.append(failure)
    first.tell(Left("agent"))
    await until(world, lambda: control(world) == "connection:helper" and not desk.fail_close)
    first.closed = first.closed or "idle"
    await visitor.say("talk to a human")
    await until(world, lambda: desk.chat is not first)
    desk.chat.tell(Accepted())
    desk.chat.tell("second")

    await until(world, lambda: "second" in [text for _, text in said(world, visitor.rid)])
    assert len(desk.opened) == 2


async def test_session_whose_end_could_not_be_told_is_not_followed_for_ever(
    make_world: MakeWorld, desk: ScriptedDesk
) -> None:
    """The desk is down for longer than its end is worth telling; a start finds the session, and forgets it."""
    desk.fail_close += [DeliveryRetryable("down", code="down")] * 1000
    world = await make_world()
    await with_desk(world)
    visitor, chat = await handed_over(world, desk)
    chat.tell(Accepted())
    await until(world, lambda: len(chat.asked_from) == 2)
    await visitor.close()
    async with asyncio.timeout(30):
        while len(desk.fail_close) == 1000:
            await asyncio.sleep(0.01)
    assert chat.asking == 0
    await world.restart()
    assert (chat.asking, world.rows("SELECT count(*) FROM desk_sessions")) == (0, [(1,)])
    await world.node.stop()
    with sqlite3.connect(world.folder / "test.db") as database:
        database.execute("UPDATE deliveries SET state = 3, code = 'down' WHERE command = 'CloseSession' AND state = 0")
    database.close()
    await world.begin()
    await until(world, lambda: not world.rows("SELECT 1 FROM desk_sessions"))

    assert chat.asking == 0


async def test_words_of_while_it_is_being_opened_are_not_told_twice(make_world: MakeWorld, desk: ScriptedDesk) -> None:
    world = await make_world()
    desk.fail_open += [DeliveryRetryable("down", code="down")] * 3
    await with_desk(world)
    visitor = await world.visitor()
    await visitor.say("talk to a human")
    async with asyncio.timeout(30):
        while len(desk.fail_open) > 1:
            await asyncio.sleep(0.01)
    await visitor.say("hello?")
    await until(world, lambda: desk.chats and desk.chat.heard)

    assert desk.chat.heard == ["hello?"]
    assert "hello?" not in [each.text for each in desk.chat.opening.said]


async def test_what_the_desk_was_not_given_goes_to_the_bot_that_has_it_next(
    make_world: MakeWorld, desk: ScriptedDesk
) -> None:
    world = await make_world()
    await with_desk(world, 'on_left = "bot"')
    visitor, chat = await handed_over(world, desk)
    chat.tell(Accepted())
    await until(world, lambda: len(chat.asked_from) == 2)
    desk.is_down = True
    await visitor.say("echo not lost")
    async with asyncio.timeout(30):
        while not world.rows("SELECT 1 FROM deliveries WHERE command = 'SendToParty' AND attempts > 0 AND state = 0"):
            await asyncio.sleep(0.01)
    chat.tell(Left("agent"))

    await until(world, lambda: "not lost" in [text for _, text in said(world, visitor.rid)])
    assert control(world) == "connection:helper"


async def test_its_secrets_are_not_readable_in_the_database(make_world: MakeWorld, desk: ScriptedDesk) -> None:
    world = await make_world()
    await with_desk(world)
    await handed_over(world, desk)
    ((state,),) = world.rows("SELECT state FROM desk_sessions")

    assert ":" in state
    assert not state.rpartition(":")[2].isdigit()


async def test_without_a_key_for_them_the_service_does_not_start(make_world: MakeWorld, desk: ScriptedDesk) -> None:
    world = await make_world()
    await with_desk(world)
    await world.node.stop()
    path = world.folder / "omnibridge.toml"
    text = path.read_text("utf-8").replace('token_keys_file = "keys"\ncreation = true', "")
    path.write_text(text, "utf-8")

    with pytest.raises(ConfigError, match=r"hands_to: needs \[agents\] token_keys"):
        await Node(load(path, {})).start()
    path.write_text(text.replace('hands_to = "sales"', 'hands_to = "sale"'), "utf-8")
    with pytest.raises(ConfigError, match='no other \\[\\[connection\\]\\] "sale"; did you mean "sales"'):
        load(path, {})


LANGUAGES = """
on_left = { default = "bot", idle = "close" }
[texts.desk]
idle = "We have not heard from you, goodbye."
[texts.languages.de]
queue_position = "Platz {position}."
[texts.languages.de.desk]
requeued = "Gleich kommt jemand anderes."
"""


async def test_visitor_reads_of_a_desk_in_his_language(make_world: MakeWorld, desk: ScriptedDesk) -> None:
    world = await make_world()
    await with_desk(world, LANGUAGES)
    visitor = await world.visitor(
        customFields=[{"key": "language", "value": "de-AT", "overwrite": True}],
    )
    await visitor.say("talk to a human")
    await until(world, lambda: desk.chats)
    chat = desk.chat
    for news in (Queued(3), Accepted(ANN), Notice("requeued", "Another one comes."), Notice("idle-warning", "Hello?")):
        chat.tell(news)
    chat.tell(Left("idle"))
    await until(world, lambda: chat.closed)
    await visitor.wait_event("closed")

    assert [text for _, text in said(world, visitor.rid)][2:] == [
        "Platz 3.",
        "Gleich kommt jemand anderes.",
        "Hello?",
        "We have not heard from you, goodbye.",
    ]
