"""Doctor asks the companion app for a sign of life, and says on which side something is wrong."""

from __future__ import annotations

import pytest

from omnibridge.clock import SystemClock
from omnibridge.config_reader import load
from omnibridge.doctor import companion_app
from omnibridge.doctor.finding import HUB, NETWORK, OURS, Finding
from omnibridge.doctor.probe import Probe
from omnibridge.doctor.view import HubView
from tests.conftest import MakeWorld, World
from tests.integration.interaction.clicking import with_app


async def looked_at(world: World, **changed: object) -> Finding | None:
    settings = load(world.folder / "omnibridge.toml", {}).workspace[0].model_copy(update=changed)
    return await companion_app.check(HubView(settings, Probe("GET /api/info"), 0), SystemClock())


async def test_doctor_tells_version_and_what_waits(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    found = await looked_at(world)
    assert found
    assert (found.status, found.found) == ("ok", "version 1.0.0, 0 events wait, 0 were given up")
    await world.hub.control(app_dropped=3)
    found = await looked_at(world)
    assert found
    assert (found.status, found.side, "3 were given up" in found.found) == ("warning", HUB, True)


@pytest.mark.parametrize(
    ("switch", "value", "says"),
    [
        ("app_secret", "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXItMzI=", "bridge_secret"),
        ("app_url", "", "install and enable"),
    ],
)
async def test_doctor_says_which_side_to_correct(make_world: MakeWorld, switch: str, value: str, says: str) -> None:
    world = await with_app(make_world)
    await world.hub.control(**{switch: value})
    found = await looked_at(world)
    assert found
    assert (found.status, found.side) == ("problem", HUB)
    assert says in found.do


async def test_doctor_tells_of_an_app_that_cannot_be_reached_and_of_none(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    found = await looked_at(world, url="http://127.0.0.1:9")
    assert found
    assert (found.status, found.side) == ("problem", NETWORK)
    await world.node.stop()
    config = world.folder / "omnibridge.toml"
    lines = [each for each in config.read_text("utf-8").splitlines() if not each.startswith("app_secret")]
    config.write_text("\n".join(lines), "utf-8")
    assert await looked_at(world) is None
    found = await looked_at(world, blocks=True)
    assert found
    assert (found.status, found.side) == ("problem", OURS)
