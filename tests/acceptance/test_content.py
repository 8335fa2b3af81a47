"""Rich content through the whole relay: what the hub is given, what is counted, what trace tells."""

from __future__ import annotations

import json
from typing import Any

from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World

BUTTONS = 'choices = "blocks"'


def said(world: World, rid: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """(text, blocks) of what the bot posted in a room."""
    hub = world.sandbox.hub
    found = sorted((each for each in hub.messages.values() if each.rid == rid), key=lambda each: each.ts)
    return [(each.text, each.extras.get("blocks") or []) for each in found if each.author.username == "bot"]


async def test_s3_01_choices_are_buttons_where_the_app_is(make_world: MakeWorld) -> None:
    world = await make_world(workspace="blocks = true", connection=BUTTONS)
    visitor = await world.visitor()
    await visitor.say("menu")
    await world.answered()

    ((text, blocks),) = [each for each in said(world, visitor.rid) if each[1]]
    assert text == "Pick one of these:"
    (actions,) = [each for each in blocks if each["type"] == "actions"]
    assert actions["appId"] == "c6a1b8f0-5d0e-4c57-9b1e-2f3a7d84e9b1"
    assert [each["value"] for each in actions["elements"]] == ["/ask_picture", "/sales"]

    await visitor.say("1")  # no number was shown, yet it is understood

    await world.answered(2)
    assert [each["message"] for each in await world.bot.turns()] == ["menu", "/ask_picture"]


async def test_what_got_lost_is_counted_by_intent_and_told(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("rich")
    await world.answered()
    counters = world.node.service.counters

    assert ("Pick one of these:\n1. Show a picture\n2. Talk to sales", []) in said(world, visitor.rid)
    for kind in ("table", "custom", "choices"):
        assert counters.value("content_losses", "helper", kind, "menu.rich") == 1
    metrics = counters.exposition().decode()
    assert 'omnibridge_content_losses_total{connection="helper",intent="menu.rich",loss="choices"} 1.0' in metrics
    items = json.loads((await omnibridge(world.folder, "trace", visitor.rid, "--json")).out)
    told = [line for each in items for line in each.get("detail", ()) if "not shown" in line or "intent" in line]
    assert told == [
        "intent: menu.rich",
        "not shown as the bot meant it: table, custom",
        "not shown as the bot meant it: choices",
    ]


async def test_who_speaks_for_a_desk_shows_blocks_too(make_world: MakeWorld) -> None:
    """Under an alias, because he has no user of his own."""
    world = await make_world(workspace="blocks = true", connection=BUTTONS)
    visitor = await world.visitor()
    await visitor.say("menu as 7 Maria Fox")
    await world.answered()

    ((text, blocks),) = [
        (each.text, each.extras.get("blocks"))
        for each in world.sandbox.hub.messages.values()
        if each.rid == visitor.rid and "Pick one" in each.text
    ]
    assert text == "Maria Fox: Pick one of these:" and blocks
