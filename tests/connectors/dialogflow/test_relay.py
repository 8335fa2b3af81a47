"""The relay's acceptance tests with this connector and its simulator, and what only this vendor does. ES; CX below."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from connectors.dialogflow.dialogue import FALLBACK, GREETING, ONE_MOMENT
from omnibridge.operator.trace import time_line
from tests.acceptance.test_relay import *  # noqa: F403 - the same tests with another bot
from tests.conftest import MakeWorld, World
from tests.connectors.dialogflow.bots import is_connected


@pytest.fixture
def bot_kind() -> str:
    return "dialogflow"


async def said(world: World, rid: str) -> list[str]:
    """Everything that the visitor read, but from people."""
    return [each["text"] for each in (await world.room(rid))["messages"] if each["kind"] == "bot"]


async def processed(world: World) -> list[str]:
    """What the agent worked on, in order."""
    return [each["message"] for each in await world.bot.turns() if each.get("side_effects")]


async def test_turn_that_failed_after_its_effect_is_read_back(make_world: MakeWorld) -> None:
    """That it was worked on can be, but not its words: people take over with the visitor's in front of them."""
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("echo one")
    await visitor.wait_for("bot", 1)
    await world.bot.control(fail_next=[{"code": "INTERNAL", "after_effect": True}])
    await visitor.say("echo two")
    await visitor.wait_event("assigned", "alice")
    await world.quiet()

    assert await said(world, visitor.rid) == ["one", "The assistant cannot be reached right now."]
    assert await processed(world) == ["echo one", "echo two"]
    assert world.rows("SELECT code FROM deliveries WHERE state = 3") == [("answer-lost",)]


async def test_s1_24_welcome_choices_and_buttons(make_world: MakeWorld) -> None:
    world = await make_world(connection='fallbacks = 2\nwelcome = "Welcome"')
    visitor = await world.visitor()
    await visitor.wait_for("bot", 1)
    for number, text in enumerate(("menu", "1", "buttons", "where is it?"), 2):
        await visitor.say(text)
        await visitor.wait_for("bot", number + (number > 2))
    await visitor.wait_for("bot", 6)
    turns = await world.bot.turns()

    words = await said(world, visitor.rid)
    assert words[0] == GREETING
    assert words[1].split("\n")[:2] == ["Pick one of these:", "1. Show a picture"]
    assert words[2:4] == ["Here is the picture.", ""]
    assert words[4:] == [
        "*Your order*\nWhat do you want to know?\n1. Where is it?\n2. Talk to a person",
        "Order A10023 is on its way.",
    ]
    assert [each["message"] or each["event"] for each in turns] == [
        "Welcome",
        "menu",
        "Show a picture",
        "buttons",
        "order_status",
    ]
    assert len({each["session"] for each in turns}) == 1
    assert all(each["language"] == "en" for each in turns)


async def test_s2_01_not_understood_three_times_leads_to_a_person_once(make_world: MakeWorld) -> None:
    world = await make_world(connection="fallbacks = 3")
    visitor = await world.visitor()
    for text in ("qwe", "echo I am here", "qwe", "asd", "zxc"):
        await visitor.say(text)
    await visitor.wait_event("assigned", "alice")
    await visitor.say("are you a person?")
    await world.hub.settled()
    await world.quiet()

    assert await said(world, visitor.rid) == [
        *(FALLBACK, "I am here", FALLBACK, FALLBACK, FALLBACK),
        "I am connecting you with a colleague.",
    ]
    assert [each["who"] for each in (await world.room(visitor.rid))["log"] if each["what"] == "assigned"] == [
        "bot",
        "alice",
    ]
    assert (await processed(world))[-1] == "zxc"


async def test_agent_that_hands_over_again_and_again_makes_no_ping_pong(make_world: MakeWorld) -> None:
    """Nobody is there; each wish for a person is answered once, and the agent goes on."""
    world = await make_world()
    await world.hub.control(available={"alice": False})
    visitor = await world.visitor()
    for text in ("talk to a human", "talk to a human", "echo still here"):
        await visitor.say(text)
        await world.hub.settled()
        await world.quiet()
    words = await said(world, visitor.rid)

    assert words.count(ONE_MOMENT) == 2
    assert words[-1] == "still here"
    moves = [each for each in (await world.room(visitor.rid))["log"] if each["what"] in ("assigned", "queued")]
    assert len(moves) <= 5


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    # name, switches, "" = it is known that nothing was processed, so that the turn is given again, else why it is not
    ("over-quota", {"fail_next": [{"code": "RESOURCE_EXHAUSTED", "count": 2, "retry_s": 1.2}]}, ""),
    ("expired-token", {"fail_next": [{"code": "UNAUTHENTICATED"}]}, ""),
    ("refused-token", {"fail_next": [{"code": "UNAUTHENTICATED", "count": 2}]}, "unauthorized"),
    ("unavailable", {"fail_next": [{"code": "UNAVAILABLE", "count": 2}]}, ""),
    ("unavailable-after-its-effect", {"fail_next": [{"code": "UNAVAILABLE", "after_effect": True}]}, "answer-lost"),
    ("cut-mid-call", {"fail_next": [{"code": "cut", "after_effect": True}]}, "answer-lost"),
    ("cut-before", {"fail_next": [{"code": "cut"}]}, ""),
    ("cut-between", {"cut": True}, ""),
    ("hanging", {"fail_next": [{"code": "hang", "after_effect": True}]}, "answer-lost"),
    ("dead-line", {"dead": True}, "no-answer"),
    ("down", {"down": True}, "breaker-open"),
    ("wrong-project", {"project": "other"}, "forbidden"),
    ("slow", {"delay_ms": 700}, ""),
]
LONGEST_WAIT_S = 9.0
"""Of 4 s for a turn and its repeats, and a last call."""


@pytest.mark.parametrize(("name", "switches", "code"), FAULTS, ids=[each[0] for each in FAULTS])
async def test_fault_loses_and_doubles_nothing(
    make_world: MakeWorld, name: str, switches: dict[str, Any], code: str, options: str = "settle_s = 0.3"
) -> None:
    """Two questions, the first into the fault. Each is worked on once at most, and answered once or given to people;
    to them once, and they keep it."""
    is_answered, engine = not code, "bot_turn_deadline_s = 4" if code in ("no-answer", "breaker-open") else ""
    world = await make_world(engine=engine, connection=f"fallbacks = 2\nturn_timeout_s = 1.0\n{options}")
    visitor = await world.visitor()
    await visitor.say("echo before")
    await visitor.wait_for("bot", 1)
    await world.bot.control(**switches)
    async with asyncio.timeout(30):  # between two calls, and noticed; a call on it would be uncertain
        while "cut" in switches and is_connected(world.node.service._connectors["helper"]):
            await asyncio.sleep(0.005)
    began = time.monotonic()
    await visitor.say("echo one")
    if is_answered:
        await visitor.say("echo two")
        await visitor.wait_for("bot", 3)
    else:
        await visitor.wait_event("assigned", "alice")
        await visitor.say("still there?")
    took_s = time.monotonic() - began
    await world.bot.control(down=False, dead=False, project="")
    await world.hub.settled()
    await world.quiet()

    down = "The assistant cannot be reached right now."
    worked_on = await processed(world)
    assert await said(world, visitor.rid) == (["before", "one", "two"] if is_answered else ["before", down])
    assert len(worked_on) == len(set(worked_on))
    assert "still there?" not in worked_on
    heard = [each["text"] for each in (await world.room(visitor.rid))["messages"] if each["kind"] == "visitor"]
    assert heard == ["echo before", "echo one", "echo two" if is_answered else "still there?"]
    buried = world.rows("SELECT code FROM deliveries WHERE state = 3")
    assert buried == ([] if is_answered else [(code,)])
    assert took_s < LONGEST_WAIT_S
    served = [each["who"] for each in (await world.room(visitor.rid))["log"] if each["what"] == "assigned"]
    assert served == (["bot"] if is_answered else ["bot", "alice"])


async def test_agent_that_fails_again_and_again_makes_no_ping_pong(make_world: MakeWorld) -> None:
    """Nobody is there to take over: the agent keeps the conversation, and is well again at some time."""
    world = await make_world(connection="settle_s = 0.3")
    await world.hub.control(available={"alice": False})
    visitor = await world.visitor()
    await visitor.say("echo before")
    await visitor.wait_for("bot", 1)
    await world.bot.control(fail_next=[{"code": "INTERNAL", "count": 3, "after_effect": True}])
    for number in range(3):
        await visitor.say(f"echo {number}")
        await _until_buried(world, number + 1)
        await world.hub.settled()
        await world.quiet()
    await visitor.say("echo well again")
    await world.hub.settled()
    await world.quiet()
    words, room = await said(world, visitor.rid), await world.room(visitor.rid)

    assert words[0] == "before"
    assert words[-1] == "well again"
    assert len(words) <= 2 + 2 * 3  # a word or two to each of his
    assert await processed(world) == ["echo before", "echo 0", "echo 1", "echo 2", "echo well again"]
    assert len([each for each in room["log"] if each["what"] in ("assigned", "queued")]) <= 5


async def test_lost_answers_that_are_told_count_towards_the_limit_of_misunderstandings(make_world: MakeWorld) -> None:
    world = await make_world(connection='fallbacks = 2\nlost_text = "Pardon?"')
    visitor = await world.visitor()
    await world.bot.control(fail_next=[{"code": "cut", "count": 2, "after_effect": True}])
    await visitor.say("echo one")
    await visitor.wait_for("bot", 1)
    await visitor.say("echo two")
    await visitor.wait_event("assigned", "alice")
    await visitor.say("echo three")
    await world.hub.settled()
    await world.quiet()

    assert await said(world, visitor.rid) == ["Pardon?", "Pardon?", "I am connecting you with a colleague."]
    assert await processed(world) == ["echo one", "echo two"]


async def _until_buried(world: World, count: int) -> None:
    async with asyncio.timeout(30):
        while len(world.rows("SELECT id FROM deliveries WHERE state = 3")) < count:
            await asyncio.sleep(0.01)


async def test_turn_that_does_no_harm_twice_may_be_given_again(make_world: MakeWorld) -> None:
    """`on_uncertain = "resend"`: the agent may work on it twice, the visitor reads one answer."""
    world = await make_world(connection='on_uncertain = "resend"')
    visitor = await world.visitor()
    await world.bot.control(fail_next=[{"code": "UNAVAILABLE"}, {"code": "cut", "after_effect": True}])
    await visitor.say("echo one")
    await visitor.say("echo two")
    await visitor.wait_for("bot", 2)
    await world.hub.settled()
    await world.quiet()

    assert await said(world, visitor.rid) == ["one", "two"]
    assert await processed(world) == ["echo one", "echo one", "echo two"]


async def test_agent_remembers_what_was_before_a_person_talked(make_world: MakeWorld) -> None:
    """ES forgets contexts meanwhile; they are given back."""
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("remember A10023")
    await visitor.wait_for("bot", 1)
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await world.alice.say(visitor.rid, "Hello")
    await world.hub.settled()
    await world.quiet()
    await world.bot.control(forget=True)
    bot = world.sandbox.description["bot_account"]["user_id"]
    forwarded = await world.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": bot})
    assert forwarded["success"], forwarded
    await world.hub.settled()
    await world.quiet()
    await visitor.say("recall")
    heard = await visitor.wait_for("bot", 3)

    assert heard[-1]["text"] == "You said A10023."


async def test_agent_is_told_the_end_but_no_handover(make_world: MakeWorld) -> None:
    world = await make_world(connection='close_event = "bye"')
    for text in ("echo one", "talk to a human"):
        visitor = await world.visitor(f"V {text}")
        await visitor.say(text)
        await visitor.wait_for("bot", 1)
        await world.quiet()
        await visitor.close()
        await world.hub.settled()
        await world.quiet()
    events = [(each["event"], each["message"]) for each in await world.bot.turns()]

    assert events == [("", "echo one"), ("bye", ""), ("", "talk to a human")]


async def test_visitor_is_answered_in_his_language(make_world: MakeWorld) -> None:
    wish = 'languages = ["en", "de"]\nfacts = ["visitor.language"]'
    world = await make_world(connection=wish)
    languages = []
    for number, language in enumerate(("de-AT", "tlh")):
        field = {"key": "language", "value": language, "overwrite": True}
        visitor = await world.visitor(f"V{number}", customFields=[field])
        await visitor.say("echo hi")
        await visitor.wait_for("bot", 1)
        languages.append((await world.bot.turns())[-1]["language"])

    assert languages == ["de", "en"]


async def test_rule_on_bad_sentiment_hands_over_and_the_trace_says_why(make_world: MakeWorld) -> None:
    """The simulated agent finds everything half bad."""
    rules = """
        [[rule]]
        name = "angry"
        on = "message"
        when = { "bot.sentiment_score" = { at_most = -0.4 } }
        target = "queue"
    """
    world = await make_world(rules=rules, connection="sentiment = true")
    visitor = await world.visitor()
    await visitor.say("echo one")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    await visitor.say("this is useless")
    await visitor.wait_event("assigned", "alice")
    await world.hub.settled()
    await world.quiet()
    (conversation,) = world.rows("SELECT id, workspace, room FROM conversations WHERE room = ?", visitor.rid)
    database = world.node.service._database
    assert database
    lines = [line for each in time_line(database.reader, *conversation) for line in each.detail]

    assert await processed(world) == ["echo one"]
    assert "told bot.sentiment_score: -0.5" in lines
    assert "fact bot.sentiment_score: -0.5 (bot's last answer, trust: ours)" in lines
    assert "rule: angry" in lines
