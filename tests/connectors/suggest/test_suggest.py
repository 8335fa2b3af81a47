"""The bot of a connection suggests; people alone see it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from connectors.suggest.connector import SuggestConnector, SuggestSettings
from omnibridge.connector import (
    ConfigError,
    DeliveryRejected,
    Findings,
    Intent,
    SuggestedReply,
    Suggestion,
)
from omnibridge.connector.testing import FakeContext, observed
from omnibridge.engine import plugins
from omnibridge.storage import findings
from tests.conftest import MakeWorld, World

ANALYSER = """
[[analyser]]
name = "suggestions"
kind = "suggest"
connection = "helper"
"""


class Bot:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def suggest(self, text: str, session_id: str) -> Suggestion:
        self.asked.append((text, session_id))
        return Suggestion("refund", 0.4, "You get it back.")


async def made(bot: object, **settings: Any) -> SuggestConnector:
    context = FakeContext().make(SuggestSettings("helper", **settings))
    connector = SuggestConnector()
    await connector.initialize(replace(context, connector={"helper": bot}.get))
    return connector


async def test_s1_23_only_what_a_visitor_says_to_people_is_asked() -> None:
    bot = Bot()
    connector = await made(bot)
    for each in (
        observed(control="bot"),
        observed(control="nobody"),
        observed(author="agent"),
        observed(author="bot"),
        observed("", change="deleted"),
        observed("  "),
    ):
        assert await connector.on_observed(each) is None
    found = await connector.on_observed(observed("my money", session_id="s9"))

    assert found == Findings((Intent("refund", 0.4), SuggestedReply("You get it back.")))
    assert bot.asked == [("my money", "s9")]


async def test_doubtful_intents_and_replies_can_be_left_out() -> None:
    connector = await made(Bot(), min_confidence=0.5, replies=False)

    assert await connector.on_observed(observed()) == Findings()


async def test_bot_that_cannot_be_asked_is_named() -> None:
    for each in (None, object()):
        connector = await made(each)
        with pytest.raises(DeliveryRejected, match="'helper' is not there, or its bot cannot be asked"):
            await connector.on_observed(observed())
    with pytest.raises(ConfigError, match="must name a bot"):
        await SuggestConnector().initialize(FakeContext("same").make(SuggestSettings("same")))


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (
            "webhook_bot",
            "",
            [
                {"kind": "intent", "name": "order_status", "confidence": 0.75},
                {"kind": "reply", "text": "Order A12345 is on its way."},
            ],
        ),
        ("rasa", "", [{"kind": "intent", "name": "track_order", "confidence": 0.9}]),
        (
            "rasa",
            "suggest_replies = true",
            [
                {"kind": "intent", "name": "track_order", "confidence": 0.9},
                {"kind": "reply", "text": "Order A12345 is on its way."},
            ],
        ),
        (
            "dialogflow",
            "",
            [
                {"kind": "intent", "name": "order", "confidence": 1.0},
                {"kind": "reply", "text": "Order A12345 is on its way."},
            ],
        ),
    ],
    ids=["webhook_bot", "rasa", "rasa_replies", "dialogflow"],
)
async def test_s1_23_and_24_suggestion_of_a_real_bot_is_for_people_only(
    make_world: MakeWorld, kind: str, options: str, expected: list[dict[str, Any]]
) -> None:
    """Each bot's simulator: asked in a session of its own, while people talk; the visitor reads nothing of it."""
    world = await make_world(connection=f"{options}\n{ANALYSER}")
    visitor = await world.visitor()
    await visitor.say("human please")
    await visitor.wait_event("assigned", "alice")
    await world.quiet()
    before = len(await visitor.history())
    assert rows(world, visitor.rid) == []
    message = await visitor.say("where is my order A12345")
    await until_found(world, visitor.rid)
    await world.quiet()

    assert rows(world, visitor.rid) == [(message, expected)]
    assert len(await visitor.history()) == before + 1


@pytest.fixture
def bot_kind(request: pytest.FixtureRequest) -> str:
    assert "suggest" in plugins.installed_kinds()
    return str(request.node.callspec.params["kind"]) if hasattr(request.node, "callspec") else "webhook_bot"


def rows(world: World, rid: str) -> list[tuple[str, list[dict[str, Any]]]]:
    database = world.node.service._database
    assert database
    found = findings.of_room(database.reader, "main", rid, world.node.service._clock.now_ms())
    return [(each.message_id, msgspec.json.decode(each.items)) for each in found]


async def until_found(world: World, rid: str) -> None:
    async with asyncio.timeout(30):
        while not rows(world, rid):
            await asyncio.sleep(0.02)
