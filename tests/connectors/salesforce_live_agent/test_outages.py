"""Salesforce is away for half an hour, over sockets and with the whole engine; the hour is moved, the rest is real."""

from __future__ import annotations

import time
from typing import Any

import pytest

import connectors.salesforce_live_agent.chat as chat_module
from omnibridge import bootstrap
from omnibridge.clock import SystemClock
from omnibridge.domain.conversation import AGENTS
from omnibridge.engine import sessions
from omnibridge.sandbox.visitor import Visitor
from tests.conftest import until
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_live_agent.relays import Relay
from tests.integration.test_desks import control

HALF_AN_HOUR_S, STEPS = 1800, 5
WORDS = [f"echo v{n}" for n in range(STEPS)]
"""A bot that gets them understands them."""
TOLD = ("is interrupted", "taking longer")
UNSENT = "SELECT count(*) FROM deliveries WHERE command = 'SendToParty' AND connection = 'sales' AND state = 0"


class MovedClock(SystemClock):
    """The engine's."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + type(self).ahead_ms


@pytest.fixture(autouse=True)
def moved(monkeypatch: pytest.MonkeyPatch) -> type[MovedClock]:
    monkeypatch.setattr(MovedClock, "ahead_ms", 0)
    monkeypatch.setattr(bootstrap, "SystemClock", MovedClock)
    monkeypatch.setattr(sessions, "RENEW_S", 0.1)
    monkeypatch.setattr(chat_module, "LONGEST_PAUSE_S", 0.2)
    return MovedClock


async def go(relay: Relay, how: str) -> None:
    if how == "refused":
        await relay.sf.hang_up()
    else:
        relay.sf.wish({"down": True})
        for each in relay.sf.service.sessions.values():  # whoever polls is told as well
            relay.sf.service.move(each)


async def come_back(relay: Relay, how: str) -> None:
    if how == "refused":
        await relay.sf.listen()
    else:
        relay.sf.wish({"down": False})


def notices(relay: Relay, visitor: Visitor) -> list[str]:
    return [each for each in relay.words(visitor) if any(words in each for words in TOLD)]


async def away(relay: Relay, visitor: Visitor, how: str, clock: type[MovedClock]) -> float:
    """Half an hour without Salesforce, in which the visitor says WORDS. After how many seconds he was told."""
    await go(relay, how)
    said_at = time.monotonic()
    await visitor.say(WORDS[0])
    await until(lambda: notices(relay, visitor))
    took_s = time.monotonic() - said_at
    for step in range(1, STEPS):
        clock.ahead_ms += HALF_AN_HOUR_S * 1000 // (STEPS - 1)
        await visitor.say(WORDS[step])
        await until(lambda step=step: relay.world.rows(UNSENT) == [(step + 1,)])
    return took_s


@pytest.mark.parametrize("how", ["refused", "503"])
async def test_session_that_outlived_the_outage_gets_everything_once_and_in_order(
    make_relay: MakeRelay, moved: type[MovedClock], how: str
) -> None:
    """The server's clock stood still: it was the line that was cut. What agents said meanwhile comes too."""
    default_s = how == "refused"
    relay = await make_relay(settings="" if default_s else "trouble_s = 0.3", engine="breaker_open_s = 0.2")
    visitor = await relay.with_agent()
    took_s = await away(relay, visitor, how, moved)
    for n in range(3):
        relay.desk.say(relay.chat, f"a{n}")
    await come_back(relay, how)
    await relay.until(lambda: relay.heard() == WORDS and "a2" in relay.words(visitor))
    await relay.until(lambda: "The connection is back." in relay.words(visitor))

    assert took_s < 10
    assert [text for name, text in relay.seen(visitor) if name == "Alex Agent"][1:] == ["a0", "a1", "a2"]
    assert len(notices(relay, visitor)) == 1 and relay.words(visitor).count("The connection is back.") == 1
    assert control(relay.world) == "connection:sales" and len(relay.sf.service.sessions) == 1


@pytest.mark.parametrize(("how", "way"), [("refused", "bot"), ("503", "ladder")])
async def test_session_that_died_meanwhile_ends_with_its_reason_and_all_words_go_on(
    make_relay: MakeRelay, moved: type[MovedClock], how: str, way: str
) -> None:
    """403 after its time-out: `on_left` follows. Who is next gets what the visitor wrote, in order, once."""
    relay = await make_relay(settings=f'on_left = "{way}"\ntrouble_s = 0.3', engine="breaker_open_s = 0.2")
    visitor = await relay.with_agent()
    took_s = await away(relay, visitor, how, moved)
    relay.sf.wish({"advance_s": HALF_AN_HOUR_S})
    await come_back(relay, how)
    await relay.until(lambda: control(relay.world) == ("connection:helper" if way == "bot" else AGENTS))

    assert took_s < 10 and len(notices(relay, visitor)) == 1
    assert relay.heard() == []
    bot: Any = relay.world.bot
    if way == "bot":
        await until(lambda: [each["message"] for each in bot.entries if each["message"] in WORDS] == WORDS)
    assert [each for each in relay.words(visitor) if each in WORDS] == WORDS  # people read them in the room
    closed = relay.world.rows("SELECT body FROM deliveries WHERE command = 'CloseSession' AND connection = 'sales'")
    assert any("expired" in str(row[0]) for row in closed)
    assert relay.world.rows("SELECT count(*) FROM desk_sessions") == [(0,)]


@pytest.mark.parametrize("how", ["refused", "503"])
async def test_next_conversation_after_the_outage_is_a_new_chat(
    make_relay: MakeRelay, moved: type[MovedClock], how: str
) -> None:
    """Offered before, nobody had accepted: what was queued is begun anew when the line is back."""
    relay = await make_relay(settings="offer_s = 7200", engine="breaker_open_s = 0.2")
    visitor = await relay.handed_over()
    await go(relay, how)
    await visitor.say("v0")
    moved.ahead_ms += HALF_AN_HOUR_S * 1000
    relay.sf.wish({"advance_s": HALF_AN_HOUR_S})
    await come_back(relay, how)
    await until(lambda: len(relay.sf.service.sessions) == 2 and relay.desk.waiting())
    relay.desk.accept(relay.chat)
    await relay.until(lambda: relay.heard() == ["v0"])

    assert control(relay.world) == "connection:sales"
