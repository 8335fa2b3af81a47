"""An org that is down for half an hour, and visitors who write more than it takes: real sockets, engine and database,
and a clock that is moved."""

from __future__ import annotations

import pytest

from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_messaging.moved_time import MovedTime, most_in_a_minute
from tests.connectors.salesforce_messaging.orgs import RunningOrg

TROUBLE = "The connection to the agent is interrupted. What you write will be delivered."
OVER = "The connection is back."
DELAYED = "One moment please, this is taking longer than usual."


@pytest.mark.parametrize("how", ["refuses", "503"])
async def test_org_that_is_down_for_half_an_hour(
    make_relay: MakeRelay, sf: RunningOrg, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The visitor is told within 10 s; everything of both sides arrives after it, once, in order, below the limit."""
    time = MovedTime(monkeypatch, sf)
    relay = await make_relay()
    visitor = await relay.with_agent()
    if how == "refuses":
        await sf.hang_up()
    else:
        sf.wish({"down": True})
    assert await time.until(lambda: TROUBLE in relay.words(visitor), 10, 0.25) <= 10
    await visitor.say("v0")
    await time.pass_by(10, 0.25)
    for at in range(1, 60):
        await time.pass_by(29, 4.9)
        await visitor.say(f"v{at}")
        await (
            relay.world.hub.settled()
        )  # else time that passes is a bridge that does not answer, and the hub says it later
        if at % 10 == 0:
            relay.desk.say(relay.chat, f"a{at}")
    await time.pass_by(60)
    assert relay.heard() == []
    assert DELAYED not in relay.words(visitor)

    if how == "refuses":
        await sf.listen()
    else:
        sf.wish({"down": False})
    shown = await time.until(lambda: "a50" in relay.words(visitor), 60, 0.9)
    took_s = await time.until(lambda: "v59" in relay.heard(), 400)

    assert shown <= 35  # the longest pause between two attempts for a stream, and a little
    assert relay.heard() == [f"v{at}" for at in range(60)]
    assert relay.repeats() == 0
    assert most_in_a_minute(sf) <= 22
    assert sf.api.limited == []
    assert shown + took_s >= 2 * 61  # no faster than the limit allows; the slowest is bounded above
    words = relay.words(visitor)
    assert [each for each in words if each in ("a10", "a20", "a30", "a40", "a50")] == [
        "a10",
        "a20",
        "a30",
        "a40",
        "a50",
    ]
    assert words.count(TROUBLE) == words.count(OVER) == 1
    assert words.count(DELAYED) <= 1
    assert DELAYED not in words[: words.index(OVER)]  # he knows; after it, that the limit makes words wait
    assert relay.streams() == 1
    assert not relay.session().status == "Ended"


async def test_more_than_the_limit_arrives_in_order_and_the_close_waits_for_it(
    make_relay: MakeRelay, sf: RunningOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 lines within a minute, and the visitor leaves at once: nothing is joined, nothing is lost."""
    time = MovedTime(monkeypatch, sf)
    relay = await make_relay()
    visitor = await relay.with_agent()
    for at in range(60):
        await visitor.say(f"v{at}")
        await relay.world.hub.settled()
        await time.pass_by(0.5, 0.5)
    await visitor.close()
    took_s = await time.until(lambda: relay.session().status == "Ended", 400)

    assert relay.heard() == [f"v{at}" for at in range(60)]
    assert relay.repeats() == 0
    assert most_in_a_minute(sf) == 22
    assert sf.api.limited == []
    assert took_s <= 180


async def test_visitor_who_leaves_while_the_org_is_down_is_heard_first_and_then_closed(
    make_relay: MakeRelay, sf: RunningOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: else the agent would look at a chat that is over."""
    time = MovedTime(monkeypatch, sf)
    relay = await make_relay()
    visitor = await relay.with_agent()
    await sf.hang_up()
    for at in range(3):
        await visitor.say(f"v{at}")
        await relay.world.hub.settled()  # else the close may overtake it
    await visitor.close()
    await time.pass_by(15 * 60, 5)
    await sf.listen()
    await time.until(lambda: relay.session().status == "Ended", 90)

    assert relay.heard() == ["v0", "v1", "v2"]
    assert relay.repeats() == 0
    await time.until(lambda: relay.world.rows("SELECT count(*) FROM desk_sessions") == [(0,)], 10)


async def test_what_waits_for_an_agent_who_ended_it_too_is_given_to_nobody(
    make_relay: MakeRelay, sf: RunningOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have left: it is over when the next is due, and no new session is begun for words that nobody would read."""
    time = MovedTime(monkeypatch, sf)
    relay = await make_relay()
    visitor = await relay.with_agent()
    for at in range(30):
        await visitor.say(f"v{at}")
        await relay.world.hub.settled()  # else the close may overtake it
    await visitor.close()
    await time.until(lambda: len(relay.heard()) >= 20, 30, 0.05)
    relay.desk.end(relay.chat)
    await time.until(lambda: relay.world.rows("SELECT count(*) FROM desk_sessions") == [(0,)], 90)

    heard = relay.heard()
    assert heard == [f"v{at}" for at in range(len(heard))]
    assert len(heard) < 22  # the history was the first of them
    assert len(relay.conversation().sessions) == 1
