"""Rows of the seed about analysis that stand for themselves: schema, restarts, several workspaces, volume."""

from __future__ import annotations

import asyncio
import gc
import re
from pathlib import Path

import aiohttp
import msgspec
import pytest

from omnibridge.analysis.transcript import so_far
from omnibridge.connector.signing import read_secrets, signed_headers
from omnibridge.engine.settings_schema import shapes
from omnibridge.storage.journal import Observation
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World, until
from tests.integration.analysis.conftest import found, toy
from tests.integration.interaction.clicking import as_visitor, clicked, press, shown_by_bot, with_app
from tests.integration.test_app_events import SECRET, WORKSPACE
from tests.toys import ToyAnalyser, analyser
from tests.unit.rocketchat.envelopes import envelope, message, room


async def test_s1_07_schema_of_settings(bot_kind: str) -> None:
    (shape,) = shapes(["toy"])

    assert (shape.kind, shape.groups) == ("toy", ("analyser",))
    assert {each.name: (each.type, each.default, each.secret) for each in shape.settings} == {
        "fails": ("boolean", False, False),
        "garbage": ("boolean", False, False),
        "hangs_s": ("number", 0.0, False),
        "later": ("boolean", False, False),
        "refuses_to_start": ("boolean", False, False),
        "api_key": ("string", None, True),
    }
    assert shapes(["nothing"])[0].problem.startswith("connector 'nothing' is not installed")


async def test_s1_07_and_22_missing_and_wrong_ones_are_all_named(tmp_path: Path) -> None:
    """By the command, each with file and line; exit code 2."""
    (tmp_path / "omnibridge.toml").write_text(
        """
[[workspace]]
name = "main"
url = "http://127.0.0.1:9"
user_id = "u"
auth_token = "t"
webhook_token = "long-enough"
[[analyser]]
name = "suggestions"
kind = "suggest"
min_confidence = "high"
workspace = "elsewhere"
[[analyser]]
name = "suggestions"
kind = "nothing"
""",
        "utf-8",
    )
    done = await omnibridge(tmp_path, "config", "check")
    schema = await omnibridge(tmp_path, "config", "schema", "suggest", "--json")
    unknown = await omnibridge(tmp_path, "config", "schema", "nothing")
    problems = [re.sub(r"^.*omnibridge.toml:", "", line) for line in done.err.splitlines()]

    assert done.code == 2
    assert [line.split(";")[0] for line in problems] == [
        "8: [[analyser]] suggestions connection: missing",
        "11: [[analyser]] suggestions min_confidence: Expected `float`, got `str`",
        '12: [[analyser]] suggestions workspace: no [[workspace]] "elsewhere"',
        '14: [[analyser]] suggestions name: there is another [[analyser]] called "suggestions"',
        '15: [[analyser]] suggestions kind: connector "nothing" is not installed',
    ]
    assert [each["name"] for each in schema.json["connectors"][0]["settings"] if each["required"]] == ["connection"]
    assert (unknown.code, "not installed" in unknown.err) == (2, True)


async def test_s1_05_transcript_is_not_given_again_after_a_crash(make_world: MakeWorld) -> None:
    """The process died between handing it over and settling its row: the row looks unsent."""
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()
    await visitor.close()
    await until(lambda: len(toy().transcripts) == 1)
    await world.quiet()
    database = world.node.service._database
    assert database
    again = "UPDATE deliveries SET state = 0 WHERE command IN ('HandTranscript', 'ObserveMessage')"
    await database.writer.submit(lambda cur: cur.execute(again))
    await world.restart()
    await world.quiet()

    assert [len(each.transcripts) for each in ToyAnalyser.toys["toy"]] == [1, 0]
    assert len(found(world, visitor.rid)) == 1  # looked at again, kept once


@pytest.mark.parametrize("hub_answers", [True, False])
async def test_s1_05_history_of_the_hub_fills_what_nobody_told(make_world: MakeWorld, hub_answers: bool) -> None:
    """One message is never reported. When the hub cannot be read, what was reported is given, and said so."""
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    await visitor.say("echo told")
    await world.answered()
    await world.hub.control(drop_rate=1.0)
    await visitor.say("never told")
    await world.hub.settled()
    await world.hub.control(drop_rate=0.0)
    if not hub_answers:
        await world.hub.control(fail_next=[{"path": "chat.syncMessages", "status": 500, "count": 9}])
    assert world.rows("SELECT count(*) FROM events WHERE kind = 'MessagePosted'")[0][0] == 1
    await visitor.close()
    await until(lambda: len(toy().transcripts) == 1)
    given = toy().transcripts[0]

    told = [("visitor", "echo told"), ("bot", "told")]
    missed = [("visitor", "never told")] if hub_answers else []
    assert ([(each.author, each.text) for each in given.said], given.complete) == ([*told, *missed], hub_answers)


async def test_s1_05_what_was_said_is_read_without_a_scan_of_the_outbox(make_world: MakeWorld) -> None:
    """It is read at each close and each offer to a desk, on the loop that relays."""
    world = await make_world()
    for turns, text in enumerate(("echo one", "echo two"), 1):
        visitor = await world.visitor()
        await visitor.say(text)
        await world.answered(turns)
    conversation = world.rows("SELECT id FROM conversations WHERE room = ?", visitor.rid)[0][0]
    database = world.node.service._database
    assert database
    asked: list[str] = []
    database.reader.set_trace_callback(asked.append)
    said = so_far(database.reader, conversation)
    database.reader.set_trace_callback(None)
    plans = [row[3] for each in asked for row in database.reader.execute(f"EXPLAIN QUERY PLAN {each}")]

    assert [(each.author, each.text) for each in said] == [("visitor", "echo two"), ("bot", "two")]
    assert plans
    assert [each for each in plans if each.startswith("SCAN")] == []


async def test_who_takes_over_reads_words_of_another_systems_people_as_an_agents(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    for turns, text in enumerate(("as 9 Ann Lee: How can I help?", "echo one"), 1):
        await visitor.say(text)
        await world.answered(turns)
    database = world.node.service._database
    assert database
    said = so_far(database.reader, world.rows("SELECT id FROM conversations")[0][0])

    assert [(each.author, each.text) for each in said if each.author != "visitor"] == [
        ("agent", "How can I help?"),
        ("bot", "one"),
    ]


async def test_who_takes_over_reads_what_was_chosen_by_number_by_words_and_by_a_press(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor = await world.visitor()
    for turns, text in enumerate(("menu", "1", "menu", "show A picture", "menu", "echo 1"), 1):
        await visitor.say(text)
        await world.answered(turns)
    message = await shown_by_bot(world, visitor)
    await press(world, visitor.rid, message, "button.1", "/support", as_visitor(visitor))
    await clicked(world)
    database = world.node.service._database
    assert database
    said = so_far(database.reader, world.rows("SELECT id FROM conversations")[0][0])

    assert [each.text for each in said if each.author == "visitor"] == [
        *("menu", "1 [chose: Show a picture]", "menu", "show A picture", "menu", "echo 1", "[chose: Support]")
    ]


async def test_s1_16_conversation_goes_on_after_a_restart(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    await visitor.say("echo one")
    await world.answered()
    await world.restart()
    await visitor.say("echo two")
    heard = await visitor.wait_for("bot", 2)
    await world.quiet()
    first, second = ToyAnalyser.toys["toy"]

    assert [each["text"] for each in heard] == ["one", "two"]
    assert [each.text for each in (*first.seen, *second.seen)] == ["echo one", "echo two"]
    assert first.seen[0].session_id == second.seen[0].session_id
    assert len(found(world, visitor.rid)) == 2


async def tell(world: World, workspace: str, body: bytes, request_id: str) -> None:
    headers = signed_headers(read_secrets(SECRET), request_id, world.node.service._clock.now_ms() // 1000, body)
    url = f"{world.node.url}/webhooks/rocketchat-app/{workspace}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


async def test_s1_18_same_room_in_two_workspaces_is_two_conversations(make_world: MakeWorld) -> None:
    second = f"""
workspace = "main"
[[workspace]]
name = "second"
url = "http://127.0.0.1:9"
user_id = "u"
auth_token = "t"
webhook_token = "long-enough"
app_secret = "{SECRET}"
http_timeout_s = 1
"""
    world = await make_world(connection=second + analyser() + analyser("home", workspace="second"), workspace=WORKSPACE)
    for name in ("main", "second"):
        words = message(text=f"hello from {name}", room=None)
        await tell(world, name, envelope("room.started"), f"{name}1")
        await tell(world, name, envelope("message.posted", message=words), f"{name}2")
    await until(lambda: len(toy().seen) == 2 and len(toy("home").seen) == 1)
    await until(lambda: len(world.rows("SELECT 1 FROM findings")) == 3)

    assert {(each.workspace, each.text) for each in toy().seen} == {
        ("main", "hello from main"),
        ("second", "hello from second"),
    }
    assert [each.workspace for each in toy("home").seen] == ["second"]
    assert len({each.session_id for each in toy().seen}) == 2
    rows = world.rows("SELECT workspace, items FROM findings WHERE analyser = 'toy' ORDER BY workspace")
    assert [(each[0], msgspec.json.decode(each[1])[0]["name"]) for each in rows] == [
        ("main", "about hello from main"),
        ("second", "about hello from second"),
    ]


def resident_kb() -> int:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text("utf-8"))[0])


async def test_s1_20_many_events_do_not_fill_the_memory_nor_the_log(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """10,000 events in 100 rooms, half of them by an analyser that fails: bounded, and no word of them in a line."""
    world = await make_world(connection=analyser() + analyser("broken", fails=True), workspace=WORKSPACE)
    service = world.node.service
    lanes, ids = service._lanes, service.operator()._ids
    assert lanes
    toy().seen = Forgetful()
    toy("broken").seen = Forgetful()

    async def events(begin: int, end: int) -> None:
        for chunk in range(begin, end, 250):
            rows = []
            for n in range(chunk, chunk + 250):
                rid = f"r{n % 100}"
                words = message(f"m{n}", "verysecretword", rid=rid)
                body = envelope("message.posted", rid=rid, room=room(rid), message=words)
                rows.append(Observation(ids.next(), "main", rid, "app", "message.posted", 1, body, f"app:{n}"))
            await asyncio.gather(*(lanes.take_in(each) for each in rows))

    await events(0, 5_000)
    await until(lambda: service.counters.value("events", "MessagePosted") == 5_000, 60)
    gc.collect()
    before = resident_kb()
    await events(5_000, 10_000)
    await until(lambda: service.counters.value("events", "MessagePosted") == 10_000, 60)
    gc.collect()
    lines = capsys.readouterr()

    assert resident_kb() - before < 40_000
    told = [line for line in (lines.out + lines.err).splitlines() if "delivery_retried" in line]
    assert told and all("room=" in line and "delivery=" in line for line in told)
    assert "verysecretword" not in lines.out + lines.err


class Forgetful(list):  # type: ignore[type-arg]
    """A toy's memory that is not the service's."""

    def append(self, _: object) -> None:
        return
