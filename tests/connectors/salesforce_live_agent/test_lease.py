"""A process that slept for longer than its sessions are held asks for them again before it asks Salesforce anything.

In one process, with the clock moved; test_kill.py stops a real one.
"""

from __future__ import annotations

import pytest

from omnibridge import bootstrap
from omnibridge.engine import sessions
from tests.conftest import until
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_live_agent.test_outages import MovedClock


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is renewed by itself."""
    monkeypatch.setattr(MovedClock, "ahead_ms", 0)
    monkeypatch.setattr(bootstrap, "SystemClock", MovedClock)
    monkeypatch.setattr(sessions, "RENEW_S", 3600)


async def test_nothing_is_asked_before_the_session_is_held_again(make_relay: MakeRelay) -> None:
    relay = await make_relay(engine="breaker_open_s = 0.2")
    relay.sf.wish({"options": {"poll_s": 0.2}})
    visitor = await relay.with_agent()
    keeper = relay.world.node.service._sessions
    assert keeper is not None

    MovedClock.ahead_ms += 60_000
    await until(lambda: relay.session().poll is None)  # the one that was under way ends
    asked = len(relay.sf.service_calls())
    relay.desk.say(relay.chat, "a0")
    await visitor.say("v0")
    other = await relay.world.visitor("Vito")  # real time passes, and the process is well
    for at in range(5):
        await other.say(f"echo {at}")
        await until(lambda other=other, at=at: f"{at}" in relay.words(other))
    assert len(relay.sf.service_calls()) == asked

    await keeper._hold(lambda cursor, until: None)
    await relay.until(lambda: "a0" in relay.words(visitor) and relay.heard() == ["v0"])
    assert relay.counts["duplicate_polls"] == 0
