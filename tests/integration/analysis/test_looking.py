"""Analysers look at what is said: in order, each by itself, beside the relay, and say nothing."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from omnibridge.config_reader import load
from omnibridge.errors import ConfigError
from omnibridge.server import Node
from tests.conftest import MakeWorld, until
from tests.integration.analysis.conftest import found, toy
from tests.toys import ToyAnalyser, analyser


async def test_s1_01_several_analysers_get_the_same_messages(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser("one") + analyser("two"))
    visitor = await world.visitor()
    for n in range(5):
        await visitor.say(f"echo hello {n}")
    await world.answered(5)

    assert [each.text for each in toy("one").seen] == [f"echo hello {n}" for n in range(5)]
    assert [each.text for each in toy("two").seen] == [each.text for each in toy("one").seen]
    assert {(each.author, each.control) for each in toy("one").seen} == {("visitor", "bot")}
    assert len(found(world, visitor.rid)) == 10


@pytest.mark.parametrize(
    ("kind", "problem"),
    [("nothing", "connector 'nothing' is not installed"), ("scripted", "connector 'scripted' does not analyse")],
)
async def test_s1_01_unknown_analyser_stops_the_start(make_world: MakeWorld, kind: str, problem: str) -> None:
    world = await make_world(connection=analyser("one"))
    await world.node.stop()
    path = world.folder / "omnibridge.toml"
    right = path.read_text("utf-8")
    path.write_text(right.replace('kind = "toy"', f'kind = "{kind}"'), "utf-8")
    node = Node(load(path, {}))
    with pytest.raises(ConfigError, match=problem):
        await node.start()
    await node.stop()
    path.write_text(right, "utf-8")
    await world.begin()  # what the fixture stops


async def test_s1_02_initialized_once_before_anything_and_failure_is_its_own(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser("good") + analyser("bad", refuses_to_start=True))
    visitor = await world.visitor()
    await visitor.say("echo hi")
    heard = await visitor.wait_for("bot", 1)
    await world.quiet()

    assert heard[0]["text"] == "hi"
    assert (toy("good").initialized, toy("bad").initialized) == (1, 1)
    assert len(ToyAnalyser.toys["good"]) == 1
    assert [each.text for each in toy("good").seen] == ["echo hi"]
    assert toy("bad").seen == []
    async with aiohttp.ClientSession() as session, session.get(f"{world.node.url}/readyz") as answer:
        assert answer.status == 200
        assert "degraded\nanalyser bad: could not be initialized" in await answer.text()


async def test_s1_04_answer_does_not_wait_for_the_analysis(make_world: MakeWorld) -> None:
    """The hub's webhook is answered, and the visitor too, while the analyser sleeps; its finding comes afterwards."""
    ToyAnalyser.hold = asyncio.Event()
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await visitor.wait_for("bot", 1)

    assert found(world, visitor.rid) == []
    ToyAnalyser.hold.set()
    await world.quiet()
    assert len(found(world, visitor.rid)) == 1


async def test_one_that_raises_and_one_that_hangs_do_not_touch_the_others(make_world: MakeWorld) -> None:
    three = (
        analyser("fails", fails=True)
        + analyser("garbage", garbage=True)
        + analyser("hangs", hangs_s=60, timeout_s=0.2)
        + analyser("good")
    )
    world = await make_world(connection=three)
    visitor = await world.visitor()
    for n in range(3):
        await visitor.say(f"echo {n}")
    heard = await visitor.wait_for("bot", 3)
    await until(lambda: len(toy("good").seen) == 3)

    assert [each["text"] for each in heard] == ["0", "1", "2"]
    assert [each[1] for each in found(world, visitor.rid)] == ["good"] * 3
    await until(lambda: world.node.service.counters.value("analysis_failures", "hangs") >= 1)
    for each in ("fails", "garbage"):
        await until(lambda name=each: world.node.service.counters.value("analysis_failures", name) >= 1)


async def test_agents_words_are_looked_at_and_control_is_told(make_world: MakeWorld) -> None:
    """Whoever leads: a change of control refuses nothing of it."""
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await world.quiet()
    await world.alice.say(visitor.rid, "How can I help?")
    await visitor.say("My order is late")
    await until(lambda: len(toy().seen) == 3)

    seen = [(each.author, each.text, each.control) for each in toy().seen]
    assert seen[1:] == [("agent", "How can I help?", "people"), ("visitor", "My order is late", "people")]
    assert len({each.session_id for each in toy().seen}) == 1
    assert world.node.service.counters.value("deliveries_refused", "ObserveMessage") == 0


async def test_s1_23_nothing_is_said_to_the_visitor(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()

    assert [each["kind"] for each in found(world, visitor.rid)[0][2]] == ["intent", "reply", "note"]
    told = " ".join(str(each.get("msg", "")) for each in await visitor.history())
    assert "Of course." not in told
    assert "about" not in told


async def test_s1_06_edit_makes_a_new_finding_and_deletion_takes_it_away(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser(), workspace="realtime = true")
    await world.live()
    visitor = await world.visitor()
    first, second = await visitor.say("echo one"), await visitor.say("echo two")
    await world.answered(2)
    assert [each[0] for each in found(world, visitor.rid)] == [first, second]

    await visitor.edit(first, "echo three")
    await until(lambda: [each.text for each in toy().seen if each.change == "edited"] == ["echo three"])
    await world.quiet()
    texts = {each[0]: each[2][0]["name"] for each in found(world, visitor.rid)}
    assert texts == {first: "about echo three", second: "about echo two"}

    wish = {"token": visitor.token, "rid": visitor.rid}
    await world.hub.call("DELETE", f"/api/v1/livechat/message/{second}", wish)
    await until(lambda: [each.change for each in toy().seen][-1] == "deleted")
    assert [each[0] for each in found(world, visitor.rid)] == [first]


async def test_s1_06_result_of_an_older_text_is_dropped(make_world: MakeWorld) -> None:
    """The edit comes while the first text is looked at."""
    world = await make_world(connection=analyser())
    visitor = await world.visitor()
    ToyAnalyser.hold = asyncio.Event()
    message = await visitor.say("echo one")
    await until(lambda: len(toy().seen) == 1)
    await visitor.edit(message, "echo two")
    await until(lambda: bool(world.rows("SELECT 1 FROM message_changes")))
    ToyAnalyser.hold.set()
    await world.quiet()

    assert [each.text for each in toy().seen] == ["echo one", "echo two"]
    assert [each[2][0]["name"] for each in found(world, visitor.rid)] == ["about echo two"]


async def test_s1_05_transcript_is_given_once_and_in_order(make_world: MakeWorld) -> None:
    """Thirty messages; every webhook comes twice, that of the close too."""
    world = await make_world(connection=analyser("one") + analyser("two"), duplicate_rate=1.0)
    visitor = await world.visitor()
    for n in range(15):
        await visitor.say(f"echo {n}")
    await visitor.wait_for("bot", 15)
    await world.quiet()
    await visitor.close()
    await until(lambda: len(toy("one").transcripts) == 1 and len(toy("two").transcripts) == 1)
    await world.hub.settled()
    await world.restart()
    await world.quiet()

    given = ToyAnalyser.toys["one"][0].transcripts[0]
    assert given.complete
    assert [each.text for each in given.said if each.author == "visitor"] == [f"echo {n}" for n in range(15)]
    assert [each.text for each in given.said if each.author == "bot"] == [str(n) for n in range(15)]
    assert [each.ts for each in given.said] == sorted(each.ts for each in given.said)
    assert [len(each.transcripts) for each in ToyAnalyser.toys["one"]] == [1, 0]
