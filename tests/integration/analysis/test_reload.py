"""`omnibridge config reload`: connectors take over changed settings while they work."""

from __future__ import annotations

import asyncio

import pytest

from omnibridge.bootstrap_reload import Reloaded
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World, until
from tests.integration.analysis.conftest import found, toy
from tests.scripted import ScriptedConnector
from tests.toys import ToyAnalyser, ToySettings, analyser


def change(world: World, old: str, new: str) -> None:
    path = world.folder / "omnibridge.toml"
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


async def test_s1_03_and_08_changed_one_is_initialized_again_and_told_both_values(
    make_world: MakeWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the command; the other is left alone, and the secret is nowhere in what is printed or logged."""
    world = await make_world(connection=analyser("one", api_key="old-hidden") + analyser("two"))
    await world.quiet()
    change(world, '"old-hidden"', '"new-hidden"')
    done = await omnibridge(world.folder, "config", "reload")
    again = await omnibridge(world.folder, "config", "reload", "--json")
    logged = "".join(capfd.readouterr())

    assert (done.code, done.out) == (0, "taken over: [[analyser]] one: api_key\n")
    assert again.json == {"changed": [], "restart": [], "problems": []}
    assert (toy("one").initialized, toy("two").initialized) == (2, 1)
    assert toy("one").changes == [(ToySettings(api_key="old-hidden"), ToySettings(api_key="new-hidden"))]
    assert len(ToyAnalyser.toys["one"]) == 1
    assert "settings_changed" in logged and "hidden" not in logged + done.out + done.err


async def test_s1_03_no_message_is_lost_while_swapping(make_world: MakeWorld) -> None:
    """Twenty reloads under traffic, of the bot's connection and of an analyser; neither is asked while initialized."""
    world = await make_world(connection='url = "u0"' + analyser(hangs_s=0.0))
    ScriptedConnector.bot.delay_ms = 20
    await world.quiet()
    visitors = [await world.visitor(f"V{n}") for n in range(4)]
    reloads: list[Reloaded] = []

    async def talk(number: int) -> None:
        for n in range(15):
            await visitors[number].say(f"echo {n}")
            await asyncio.sleep(0.01)

    async def reload() -> None:
        for n in range(20):
            change(world, f'url = "u{n}"', f'url = "u{n + 1}"')
            change(world, f"hangs_s = {n / 1000}", f"hangs_s = {(n + 1) / 1000}")
            reloads.append(await world.node.service.reload())

    await asyncio.gather(reload(), *(talk(n) for n in range(4)))
    await world.answered(60)
    await world.quiet()

    assert [each.problems for each in reloads] == [[]] * 20
    assert [each.changed for each in reloads] == [
        ["[[connection]] helper: url", "[[analyser]] toy: hangs_s"],
    ] * 20
    assert len(ScriptedConnector.bot.contexts) == 21
    for number, visitor in enumerate(visitors):
        heard = await visitor.wait_for("bot", 15)
        assert [each["text"] for each in heard] == [str(n) for n in range(15)], number
        assert len(found(world, visitor.rid)) == 15
    assert len(toy().seen) == 60


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('kind = "toy"', 'kind = "toy"\nfails = 3', "[[analyser]] toy fails: Expected `bool`, got `int`"),
        ('kind = "toy"', 'kind = "toy"\nodd = 3', "[[analyser]] toy odd: unknown key"),
        ('kind = "toy"', "kind = ", "Invalid value"),
        ("port = 0", 'port = "high"', "[server] port: must be a valid integer"),
    ],
)
async def test_s1_22_wrong_file_changes_nothing_and_says_where(
    make_world: MakeWorld, installed: None, old: str, new: str, problem: str
) -> None:
    world = await make_world(connection=analyser(later=True))
    change(world, "later = true", "later = false")
    change(world, old, new)
    done = await world.node.service.reload()

    assert done.changed == []
    assert len(done.problems) == 1 and problem in done.problems[0] and "omnibridge.toml:" in done.problems[0]
    assert toy().initialized == 1


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnibridge.engine.plugins.installed_kinds", lambda: ["scripted", "toy"])


async def test_settings_that_are_refused_leave_the_old_ones(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser(later=True))
    await world.quiet()
    change(world, "later = true", "later = false\nrefuses_to_start = true")
    done = await world.node.service.reload()
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()

    assert (done.changed, len(done.problems)) == ([], 1)
    assert "[[analyser]] toy: refused its new settings, the old ones stay: RuntimeError" in done.problems[0]
    assert toy().settings == ToySettings(later=True)
    assert len(toy().seen) == 1
    change(world, "refuses_to_start = true", "")
    assert (await world.node.service.reload()).changed == ["[[analyser]] toy: later"]


async def test_analyser_that_did_not_start_comes_back(make_world: MakeWorld) -> None:
    world = await make_world(connection=analyser(refuses_to_start=True))
    await world.quiet()
    assert world.node.service._analysis.analysers.degraded()
    change(world, "refuses_to_start = true", "refuses_to_start = false")
    assert (await world.node.service.reload()).changed == ["[[analyser]] toy: refuses_to_start"]
    visitor = await world.visitor()
    await visitor.say("echo hi")
    await world.answered()

    assert world.node.service._analysis.analysers.degraded() == []
    assert len(found(world, visitor.rid)) == 1


async def test_what_takes_a_restart_is_named(make_world: MakeWorld) -> None:
    world = await make_world(connection="fallbacks = 2" + analyser())
    await world.quiet()
    change(world, "fallbacks = 2", "fallbacks = 4")
    change(world, "port = 0", "port = 1")
    change(world, 'name = "toy"', 'name = "other"')
    done = await omnibridge(world.folder, "config", "reload")

    assert (done.code, done.out.splitlines()) == (
        1,
        [
            "takes a restart: [[analyser]] other",
            "takes a restart: [[analyser]] toy",
            "takes a restart: [[connection]] helper fallbacks",
            "takes a restart: [server] port",
        ],
    )


async def test_reload_waits_for_what_is_under_way(make_world: MakeWorld) -> None:
    """It ends with the settings that it began with; what comes meanwhile waits, and gets the new ones."""
    world = await make_world(connection=analyser(later=True))
    visitor = await world.visitor()
    ToyAnalyser.hold = asyncio.Event()
    await visitor.say("echo hi")
    await until(lambda: len(toy().seen) == 1)
    change(world, "later = true", "later = false")
    reload = asyncio.create_task(world.node.service.reload())
    await visitor.say("echo ho")
    await world.bot_started(2)
    assert (reload.done(), toy().initialized) == (False, 1)
    ToyAnalyser.hold.set()
    await reload
    await world.quiet()

    assert toy().initialized == 2
    assert [each[2][0]["name"] for each in found(world, visitor.rid)] == ["about echo ho"]
