"""`omnibridge deliveries …` in a process of its own: beside a running server through its socket, and without one."""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
from typing import Any

import pytest

from omnibridge.operator import live
from omnibridge.operator.actions import Order
from omnibridge.sandbox.visitor import Visitor
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World

SHORT = "reply_deadline_s = 0.4\nbot_turn_deadline_s = 0.6\nnotice_after_s = 30"
ME = pwd.getpwuid(os.getuid()).pw_name


async def buried_answer(make_world: MakeWorld, **options: Any) -> tuple[World, Visitor, int]:
    """An answer that Rocket.Chat would not take until it was given up."""
    world = await make_world(engine=SHORT, **options)
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.quiet()
    failure = {"path": "chat.sendMessage", "status": 429, "count": 4}
    await world.hub.control(fail_next=[failure])
    await visitor.say("echo lost")
    await world.answered()
    rows = world.rows("SELECT id FROM deliveries WHERE state = 3 AND command = 'SendToVisitor'")
    assert len(rows) == 1
    return world, visitor, rows[0][0]


async def texts(world: World, visitor: Visitor) -> list[str]:
    await world.quiet()
    return [each["text"] for each in (await world.room(visitor.rid))["messages"] if each["kind"] == "bot"]


async def test_what_was_given_up_is_listed_by_cause(make_world: MakeWorld) -> None:
    world, visitor, buried = await buried_answer(make_world)
    causes = await omnibridge(world.folder, "deliveries", "list", "--buried", "--json")
    rows = await omnibridge(world.folder, "deliveries", "list", "--buried", "--rows", "--room", visitor.rid, "--json")
    table = await omnibridge(world.folder, "deliveries", "list", "--state", "buried")
    one = await omnibridge(world.folder, "deliveries", "list", str(buried))
    nothing = await omnibridge(world.folder, "deliveries", "list", "--code", "other", "--json")
    done = await omnibridge(world.folder, "deliveries", "list", "--state", "done", "--limit", "2", "--json")
    (cause,) = causes.json["deliveries"]

    assert (cause["code"], cause["connection"], cause["command"]) == ("rate-limited", "helper", "SendToVisitor")
    assert (cause["count"], cause["example"]) == (1, buried)
    assert [(each["id"], each["state"]) for each in rows.json["deliveries"]] == [(buried, "buried")]
    assert "rate-limited" in table.out and str(buried) in table.out
    assert str(buried) in one.out and visitor.rid in one.out
    assert nothing.json == {"deliveries": []}
    assert len(done.json["deliveries"]) == 2


async def test_resend_through_the_running_server(make_world: MakeWorld) -> None:
    world, visitor, buried = await buried_answer(make_world)
    before = await texts(world, visitor)
    done = await omnibridge(world.folder, "deliveries", "resend", str(buried), "--json")
    await visitor.wait_for("bot", len(before) + 1)
    after = await texts(world, visitor)
    again = await omnibridge(world.folder, "deliveries", "resend", str(buried))
    trace = await omnibridge(world.folder, "trace", visitor.rid)
    (outcome,) = done.json["outcomes"]

    assert done.code == 0 and outcome["done"]
    assert after == [*before, "lost"]
    assert again.code == 1 and "was sent again already" in again.out
    assert f"operator {ME}: resend {buried} as {outcome['new_id']}" in trace.out
    assert (await omnibridge(world.folder, "replay", "--all")).code == 0


async def test_resent_words_that_had_arrived_are_not_said_twice(make_world: MakeWorld) -> None:
    """The row was given up although the hub has the words: its id says so."""
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("echo once")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    database = world.node.service._database
    assert database
    sql = "UPDATE deliveries SET state = 3, uncertain = 1, code = 'http-502' WHERE command = 'SendToVisitor'"
    await database.writer.submit(lambda cursor: cursor.execute(sql))
    done = await omnibridge(world.folder, "deliveries", "resend", "--all")

    assert done.code == 0 and "1 due again" in done.out
    assert await texts(world, visitor) == ["once"]
    assert world.rows("SELECT count(*) FROM deliveries WHERE state = 0") == [(0,)]


async def test_resend_without_a_server_leaves_at_the_next_start(make_world: MakeWorld) -> None:
    world, visitor, buried = await buried_answer(make_world)
    before = await texts(world, visitor)
    await world.node.stop()
    tried = await omnibridge(world.folder, "deliveries", "resend", "--all", "--dry-run", "--json")
    unsaid = await omnibridge(world.folder, "deliveries", "resend", "--code", "rate-limited")
    done = await omnibridge(world.folder, "deliveries", "resend", "--code", "rate-limited", "--all")
    await world.restart()
    await visitor.wait_for("bot", len(before) + 1)

    assert tried.json["count"] == 1
    assert unsaid.code == 2 and "--all" in unsaid.err
    assert done.code == 0 and str(buried) in done.out
    assert await texts(world, visitor) == [*before, "lost"]


async def test_turn_that_is_sent_again_is_owed_an_answer_again(make_world: MakeWorld) -> None:
    world = await make_world(engine=SHORT, connection='fallbacks = 0\nbot_down = "tell"')
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.bot.control(down=True)
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    await world.bot.control(down=False)
    ((buried,),) = world.rows("SELECT id FROM deliveries WHERE state = 3 AND command = 'SendToParty'")
    done = await omnibridge(world.folder, "deliveries", "resend", str(buried))
    heard = await visitor.wait_for("bot", 2)
    await world.quiet()
    turns = [each for each in await world.bot.turns() if each["message"] == "echo hello"]

    assert done.code == 0
    assert heard[1]["text"] == "hello"
    assert [each["delivery_id"] for each in turns] == [str(buried)]
    reasons = [row[0] for row in world.rows("SELECT reason FROM events ORDER BY id")]
    assert reasons[-2:] == ["an operator has it sent to helper again", "helper answered"]
    assert (await omnibridge(world.folder, "replay", "--all")).code == 0


async def test_what_cannot_be_wanted_is_left_with_the_reason(make_world: MakeWorld) -> None:
    world, visitor, buried = await buried_answer(make_world)
    await visitor.close()
    await world.hub.settled()
    await world.quiet()
    ((delivered,), *_) = world.rows("SELECT id FROM deliveries WHERE state = 1")
    done = await omnibridge(world.folder, "deliveries", "resend", str(buried), str(delivered), "7", "--json")
    why = {each["id"]: each["why"] for each in done.json["outcomes"]}

    assert done.code == 1
    assert why == {
        7: "there is no such delivery",
        buried: "the conversation is closed",
        delivered: "was delivered",
    }


@pytest.mark.parametrize("is_running", [True, False])
async def test_bury_gives_up_what_waits_and_the_visitor_is_told(make_world: MakeWorld, is_running: bool) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.quiet()
    asks_to_wait = {"errorType": "error-too-many-requests", "error": "You must wait 60 seconds before trying again."}
    failure = {"path": "chat.sendMessage", "status": 400, "count": 1, "body": asks_to_wait}
    await world.hub.control(fail_next=[failure])
    await visitor.say("echo stuck")
    await world.bot_started()
    async with asyncio.timeout(30):
        while not world.rows("SELECT 1 FROM deliveries WHERE state = 0 AND attempts = 1"):
            await asyncio.sleep(0.01)
    if not is_running:
        await world.node.stop()
    done = await omnibridge(world.folder, "deliveries", "bury", "--command", "SendToVisitor", "--all", "--json")
    if not is_running:
        await world.restart()
    heard = await visitor.wait_for("bot", 1)
    await world.quiet()

    assert done.code == 0 and [each["done"] for each in done.json["outcomes"]] == [True]
    assert [each["text"] for each in heard] == ["One answer could not be delivered. Please ask again."]
    assert world.rows("SELECT command, code FROM deliveries WHERE state = 3") == [("SendToVisitor", "operator")]
    trace = await omnibridge(world.folder, "trace", visitor.rid)
    assert f"operator {ME}: bury" in trace.out


async def test_bury_leaves_what_is_under_way(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that the bot is answering right now is not torn away."""
    monkeypatch.setattr(live, "WAIT_S", 0.05)
    world = await make_world()
    visitor = await world.visitor()
    await visitor.wait_event("assigned", "bot")
    await world.quiet()  # the hub tells of the move before the bridge has settled it
    await world.bot.control(delay_ms=1500)
    await visitor.say("echo slow")
    await world.bot_started()
    ((under_way,),) = world.rows("SELECT id FROM deliveries WHERE state = 0")
    (outcome,) = await world.node.service.operator().bury(Order([under_way], ME))

    assert not outcome.done and "right now" in outcome.why
    assert (await visitor.wait_for("bot", 1))[0]["text"] == "slow"


async def test_socket_is_for_its_user_only(make_world: MakeWorld) -> None:
    world = await make_world()
    path = world.folder / "test.db.sock"
    mode = stat.S_IMODE(path.stat().st_mode)
    await world.node.stop()

    assert (mode, path.exists()) == (0o600, False)


async def test_server_that_takes_no_commands_is_explained(make_world: MakeWorld) -> None:
    """The lock is held, but the socket is gone."""
    world, _, buried = await buried_answer(make_world)
    (world.folder / "test.db.sock").unlink()
    done = await omnibridge(world.folder, "deliveries", "resend", str(buried))

    assert done.code == 2
    assert "in use by another omnibridge process" in done.err and "nobody takes commands at" in done.err
