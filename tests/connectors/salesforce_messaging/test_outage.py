"""An org that is down for half an hour, and visitors who write more than it takes: real sockets, engine and database,
and a clock that is moved."""

from __future__ import annotations

import pytest

from tests.connectors.salesforce_messaging.moved_time import MovedTime, most_in_a_minute
from tests.connectors.salesforce_messaging.orgs import RunningOrg
from tests.connectors.salesforce_messaging.relays import (
    MakeRelay,
    bot_kind,  # noqa: F401 - a fixture
    make_relay,  # noqa: F401 - a fixture
    sf,  # noqa: F401 - a fixture
)

TROUBLE = "The connection to the agent is interrupted. What you write will be delivered."
OVER = "The connection is back."
DELAYED = "One moment please, this is taking longer than usual."


@pytest.mark.parametrize("how", ["refuses", "503"])
async def test_org_that_is_down_for_half_an_hour(
    make_relay: MakeRelay,  # noqa: F811
    sf: RunningOrg,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """The visitor is told within 10 s; everything of both sides arrives after it, once, in order, below the limit."""
    time = MovedTime(monkeypatch, sf)
    relay = await make_relay()
    visitor = await relay.with_agent()
    if how == "refuses":
        await sf.go_away()
    else:
        sf.wish({"down": True})
    assert await time.until(lambda: TROUBLE in relay.words(visitor), 10, 0.25) <= 10
    await visitor.say("v0")
    assert await time.until(lambda: DELAYED in relay.words(visitor), 10, 0.25) <= 10
    for at in range(1, 60):
        await time.pass_by(29, 2.9)
        await visitor.say(f"v{at}")
        if at % 10 == 0:
            relay.desk.say(relay.cid, f"a{at}")
    await time.pass_by(60)
    assert relay.heard() == []

    if how == "refuses":
        await sf.listen()
    else:
        sf.wish({"down": False})
    shown = await time.until(lambda: "a50" in relay.words(visitor), 60)
    took_s = await time.until(lambda: "v59" in relay.heard(), 400)

    assert shown <= 31  # the longest pause between two attempts for a stream
    assert relay.heard() == [f"v{at}" for at in range(60)]
    assert relay.repeats() == 0
    assert most_in_a_minute(sf) <= 22
    assert sf.api.limited == []
    assert 2 * 61 <= shown + took_s <= 240  # as fast as the limit allows, and a pause before it
    words = relay.words(visitor)
    assert [each for each in words if each in ("a10", "a20", "a30", "a40", "a50")] == [
        "a10",
        "a20",
        "a30",
        "a40",
        "a50",
    ]
    assert words.count(TROUBLE) == words.count(OVER) == 1
    assert words.count(DELAYED) == 1
    assert relay.streams() == 1
    assert not relay.session().status == "Ended"
