"""The connector and its simulator over a socket: folding, welcome, close, signatures, health, settings."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.webhook_bot.connector import WebhookBotConnector
from connectors.webhook_bot.settings import WebhookBotSettings
from connectors.webhook_bot.simulator import SECRET, Simulator
from omnibridge.connector import (
    ConfigError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    Handover,
    Reply,
    Text,
)
from omnibridge.connector.testing import FakeContext, turn
from tests.connectors.webhook_bot.bots import bot, connected


async def test_turn_is_folded_by_its_id() -> None:
    simulator = Simulator()
    async with bot(simulator.app(), secret=SECRET) as connector:
        first = await connector.on_message(turn("echo one", message_id="m1"))
        simulator.fail_next = [{"status": 500, "after_effect": True}]
        with pytest.raises(DeliveryUncertain):
            await connector.on_message(turn("echo two", delivery_id="2", message_id="m2"))
        resolved = await connector.resolve(turn("echo two", delivery_id="2", message_id="m2"))
        never_arrived = await connector.resolve(turn("echo three", delivery_id="3", message_id="m3"))

    assert (first, resolved, never_arrived) == tuple(Reply((Text(each),)) for each in ("one", "two", "three"))
    assert [(each["message"], each["repeats"]) for each in simulator.ledger] == [
        ("echo one", 0),
        ("echo two", 1),
        ("echo three", 0),
    ]


async def test_repeat_waits_for_the_turn_that_is_still_worked_on() -> None:
    simulator = Simulator()
    simulator.delay_ms = 200
    async with bot(simulator.app(), secret=SECRET) as connector:
        replies = await asyncio.gather(*(connector.on_message(turn("echo one")) for _ in range(3)))

    assert replies == [Reply((Text("one"),))] * 3
    assert [(each["message"], each["repeats"]) for each in simulator.ledger] == [("echo one", 2)]


async def test_welcome_and_its_repeat() -> None:
    simulator = Simulator()
    begun = turn("")
    async with bot(simulator.app(), secret=SECRET, welcome="hello") as connector:
        first, again = await connector.on_start(begun), await connector.resolve(begun)
    async with bot(simulator.app(), secret=SECRET) as connector:
        assert await connector.on_start(begun) == await connector.resolve(begun) == Reply()

    assert first == again != Reply()
    assert [(each["event"], each["message"], each["repeats"]) for each in simulator.ledger] == [("welcome", "hello", 1)]


async def test_close_is_told_each_time() -> None:
    """A conversation may come back and end again: another id."""
    simulator = Simulator()
    async with bot(simulator.app(), secret=SECRET) as connector:
        for _ in range(2):
            began = time.time_ns() // 1_000_000
            await connector.on_close("s1", "visitor left")
            while time.time_ns() // 1_000_000 == began:
                await asyncio.sleep(0)

    assert [each["outcome"] for each in simulator.ledger] == ["closed", "closed"]


async def test_signature_is_asked_for_and_named() -> None:
    simulator = Simulator()
    fake = FakeContext()
    other = "whsec_" + "A" * 43 + "="
    async with bot(simulator.app(), fake=fake) as connector:
        with pytest.raises(DeliveryRejected, match="set secret"):
            await connector.on_message(turn())
    async with bot(simulator.app(), secret=other) as connector:
        with pytest.raises(DeliveryRejected) as caught:
            await connector.on_message(turn())
    async with bot(simulator.app(), secret=f"{other} {SECRET}") as connector:
        assert (await connector.on_message(turn("human"))).handover == Handover()

    assert simulator.refused == ["a webhook header is missing", "no signature fits"]
    assert fake.lines == [("requests_not_signed", {"connection": "test"})]
    assert other not in str(caught.value)


async def test_health() -> None:
    simulator = Simulator()
    async with bot(simulator.app()) as connector:
        assert await connector.check() == "answers (HTTP 405)"  # only POST there: somebody is there
        url = connector._bot._settings.url
        async with connected(url, health_url=f"{url}health") as asked:
            assert await asked.check() == "answers (HTTP 200)"
            simulator.down = True
            with pytest.raises(DeliveryRetryable, match="503"):
                await asked.check()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "bot.example.com"}, "url must begin with"),
        ({"url": "http://x", "health_url": "x"}, "health_url must begin with"),
        ({"url": "http://x", "secret": "hunter2"}, "secret number 1"),
    ],
)
async def test_settings_that_cannot_work(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        await WebhookBotConnector().initialize(FakeContext().make(msgspec.convert(settings, WebhookBotSettings)))

    assert "hunter2" not in str(caught.value)


async def test_typing_is_told_only_who_asked_for_it() -> None:
    bodies: list[dict[str, object]] = []

    async def take(request: Request) -> Response:
        bodies.append(msgspec.json.decode(await request.body()))
        return Response(status_code=204)

    app = Starlette(routes=[Route("/", take, methods=["POST"])])
    async with bot(app) as quiet:
        await quiet.on_typing("s1", True)
    async with bot(app, typing=True) as curious:
        await curious.on_typing("s1", True)
        await curious.on_typing("s1", False)

    assert bodies == [{"event": "typing", "session": "s1", "typing": each} for each in (True, False)]
