"""trace and replay, in processes of their own, on what a mixed run left."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from omnibridge.errors import ConfigError
from omnibridge.operator.reading import find_conversation, open_reader
from tests.conftest import MakeWorld, World

RULES = """
default = "bot:helper"

[[rule]]
name = "billing to people"
on = "message"
when = { text = { contains = "invoice" } }
target = "queue"
"""


async def run(world: World, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", *words, "--config", str(world.folder / "omnibridge.toml"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def replayed(world: World, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await run(world, "replay", "--json", *words))[1])
    return found


async def mixed_run(make_world: MakeWorld) -> tuple[World, str]:
    """Answers, a rule that calls people, a close."""
    world = await make_world(rules=RULES)
    visitor = await world.visitor()
    for n, text in enumerate(("echo one", "echo two", "echo three")):
        await visitor.say(text)
        await visitor.wait_for("bot", n + 1)
    await visitor.say("where is my invoice \x1b[31m")
    await world.quiet()
    await visitor.close()
    await world.hub.settled()
    await world.quiet()
    return world, visitor.rid


async def test_replay_needs_only_what_was_recorded(make_world: MakeWorld) -> None:
    world, _ = await mixed_run(make_world)
    config = world.folder / "omnibridge.toml"
    text = config.read_text()
    (world.folder / "rules.toml").write_text("default = 'queue'\n")
    config.write_text(re.sub(r'name = "helper"', 'name = "another"', text))

    report = await replayed(world, "--all")

    assert report["decisions"] >= 4
    assert {name: value for name, value in report.items() if name not in ("decisions", "differences")} == {
        "differing": 0, "missing_snapshots": 0, "incomplete": 0, "unreadable": 0, "states": 0,
    }  # fmt: skip


async def test_one_flipped_fact_changes_one_decision_and_is_named(make_world: MakeWorld) -> None:
    world, rid = await mixed_run(make_world)
    rows = world.rows("SELECT id FROM events WHERE kind = 'MessagePosted' AND reason LIKE 'the visitor wrote%'")
    report = await replayed(world, "--room", rid, "--flip", "text=an invoice please", "--event", str(rows[1][0]))

    assert report["differing"] == 1
    (difference,) = report["differences"]
    assert difference["event_id"] == rows[1][0]
    assert list(difference["facts"]) == ["text"]
    assert difference["facts"]["text"][1] == "an invoice please"


async def test_tampered_decision_is_found(make_world: MakeWorld) -> None:
    world, _ = await mixed_run(make_world)
    database = world.node.service._database
    assert database
    row = world.rows("SELECT id, decision FROM events WHERE kind = 'MessagePosted' ORDER BY id")[0]
    tampered = row[1].replace(b"echo one", b"echo two")
    assert tampered != row[1]
    sql = "UPDATE events SET decision = ? WHERE id = ?"
    await database.writer.submit(lambda cursor: cursor.execute(sql, (tampered, row[0])))
    code, out, _ = await run(world, "replay", "--all")

    assert code == 1
    assert f"event {row[0]}" in out


async def test_trace_tells_the_story_and_obeys_no_visitor(make_world: MakeWorld) -> None:
    world, rid = await mixed_run(make_world)
    code, out, _ = await run(world, "trace", rid)
    items = json.loads((await run(world, "trace", rid, "--json"))[1])

    assert code == 0
    assert "\x1b" not in out
    for told in ("webhook Message", "the visitor wrote", "rule: billing to people", "SendToParty", "done after"):
        assert told in out
    assert "connection:helper -> queue, epoch 2" in out
    assert [each["at"] for each in items] == sorted(each["at"] for each in items)


async def test_s2_06_a_conversation_is_found_by_its_custom_fields_also_after_a_restart(make_world: MakeWorld) -> None:
    """By what it began with, and by the id that a bot wrote there, as an external system knows it."""
    world = await make_world()
    await world.hub.control(custom_fields={"ticket": "room", "customer": "visitor"})
    visitor = await world.visitor(customFields=[{"key": "customer", "value": "47'11", "overwrite": True}])
    await visitor.say("note A17")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    hub_room = (await world.relay.get("rooms.info", roomId=visitor.rid))["room"]
    await world.restart()
    database = world.folder / "test.db"
    found = [
        find_conversation(open_reader(database), each)[2]
        for each in ("room.ticket=A17", "visitor.customer=47'11", visitor.rid)
    ]
    code, out, _ = await run(world, "trace", "room.ticket=A17")

    assert hub_room["livechatData"] == {"ticket": "A17"}
    assert found == [visitor.rid] * 3
    assert code == 0 and f"room {visitor.rid}" in out
    for wrong in ("room.ticket=A1", "visitor.ticket=A17", "room.customer=47'11"):
        with pytest.raises(ConfigError, match="no conversation"):
            find_conversation(open_reader(database), wrong)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("trace", "nowhere"), "no conversation in room 'nowhere'"),
        (("replay",), "--all, or --room ROOM"),
        (("replay", "--all", "--flip", "x"), "FACT=VALUE"),
    ],
)
async def test_wrong_use_says_what_to_do(make_world: MakeWorld, words: tuple[str, ...], told: str) -> None:
    world = await make_world()
    code, _, err = await run(world, *words)

    assert code == 2
    assert told in err


async def test_no_database_yet(tmp_path: Path, make_world: MakeWorld) -> None:
    world = await make_world()
    config = world.folder / "omnibridge.toml"
    config.write_text(config.read_text().replace("test.db", "other.db"))
    code, _, err = await run(world, "replay", "--all")

    assert code == 2
    assert "there is no database" in err
