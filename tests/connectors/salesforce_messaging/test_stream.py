"""The event stream against the simulated org, over sockets, in every trouble."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from connectors.salesforce_messaging.client import SILENCE_S, NewSession
from connectors.salesforce_messaging.entries import Echo, Joined, Left, SessionIs, Unreadable
from connectors.salesforce_messaging.errors import TokenDead
from connectors.salesforce_messaging.stream import Events, Frame, Frames, NotTaken
from connectors.salesforce_messaging.tokens import Access, Identity
from omnibridge.connector import (
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from tests.conftest import until
from tests.connectors.salesforce_messaging.listeners import Listener, client, text, visitor
from tests.connectors.salesforce_messaging.orgs import key_pair, new_id, org
from tests.loop_time import pass_by


async def talk(one: Listener, count: int = 12) -> list[str]:
    """The agent says so many things, the visitor something in between."""
    words = [f"m{n}" for n in range(count)]
    for n, each in enumerate(words):
        one.org.desk.say(one.cid, each)
        if n % 4 == 0:
            await one.calls.send(one.access, one.cid, text(f"visitor {n}"))
        await asyncio.sleep(0)
    return words


async def test_stream_tells_who_joined_what_was_said_and_the_end() -> None:
    async with visitor() as one:
        async with one.listening():
            sent = new_id()
            await one.calls.send(one.access, one.cid, text("hello", sent))
            one.org.desk.say(one.cid, "hi")
            one.org.desk.transfer(one.cid, "005SM0000001CarIAE", "Carla")
            one.org.desk.end(one.cid)
            await until(lambda: any(isinstance(e, SessionIs) and e.status == "Ended" for _, e in one.told))
        found = [each for _, each in one.told]

    people = [(type(each).__name__, each.sender.name) for each in found if isinstance(each, Joined | Left)]
    assert people == [
        ("Joined", "Guest"),
        ("Joined", "Alex Agent"),
        ("Left", "Alex Agent"),
        ("Joined", "Carla"),
        ("Left", "Carla"),
    ]
    assert [each.id for each in found if isinstance(each, Echo)] == [sent]
    assert one.said == ["hi"]
    assert one.counts["events_repeated"] == one.counts["events_caught_up"] == 0


TROUBLES: dict[str, dict[str, Any]] = {
    "cut at each event": {"cut_every": 1},
    "cut within each event": {"cut_every": 1, "within": True},
    "cut at every third": {"cut_every": 3},
    "double": {"double": True},
    "unknown": {"unknown": True},
    "no replay": {"cut_every": 2, "replay": 0},
    "one is replayed, and all are double": {"cut_every": 2, "replay": 1, "double": True, "unknown": True},
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_nothing_is_lost_doubled_or_swapped_whatever_the_stream_does(trouble: str) -> None:
    async with visitor() as one:
        one.org.wish({"stream": TROUBLES[trouble]})
        async with one.listening():
            words = await talk(one)
            await until(lambda: len(one.said) >= len(words))
            one.org.wish({"stream": {"cut_every": None}})
            one.org.desk.say(one.cid, "last")
            await until(lambda: one.said[-1:] == ["last"])
        streams = one.org.ledger()["streams"][one.access.subject]

    assert one.said == [*words, "last"]
    assert len([1 for _, each in one.told if isinstance(each, Echo)]) == 3
    assert streams["most_open"] == 1 or "cut" in trouble  # a reset connection is seen a little later by the other side


async def test_events_that_the_stream_lost_are_found_at_the_next_reconnect() -> None:
    async with visitor() as one:
        async with one.listening():
            one.org.desk.say(one.cid, "one")
            await until(lambda: one.said == ["one"])
            one.org.wish({"stream": {"lose": 2}})
            one.org.desk.say(one.cid, "two")
            one.org.desk.say(one.cid, "three")
            one.org.desk.say(one.cid, "four")
            await until(lambda: one.said == ["one", "four"])
            one.org.wish({"cut": True})
            await until(lambda: len(one.said) == 4)

    assert one.said == ["one", "four", "two", "three"]
    assert one.counts["events_caught_up"] == 2


async def test_more_than_is_remembered_in_one_absence() -> None:
    async with visitor() as one:
        async with one.listening() as events:
            one.org.desk.say(one.cid, "before")
            await until(lambda: one.said == ["before"])
            position = events.position
        for n in range(200):
            one.org.org.clock.ahead_s += 0.002
            one.org.desk.say(one.cid, f"m{n}")
        async with one.listening(position):
            one.org.desk.say(one.cid, "after")
            await until(lambda: one.said[-1:] == ["after"])

    assert one.said == ["before", *(f"m{n}" for n in range(200)), "after"]


async def test_restart_from_every_position_that_was_kept() -> None:
    async with visitor() as one:
        async with one.listening():
            words = await talk(one)
            await until(lambda: len(one.said) == len(words))
        whole = list(one.told)
        for n in range(0, len(whole), 4):
            one.told = whole[: n + 1]
            async with one.listening(whole[n][0]):
                await until(lambda: len(one.told) >= len(whole))
            assert [each for _, each in one.told] == [each for _, each in whole]


async def test_position_stays_when_what_happened_could_not_be_kept() -> None:
    async with visitor() as one:
        events = one.listen()
        one.org.desk.say(one.cid, "hi")
        one.fail = 1
        with pytest.raises(NotTaken) as caught:
            await asyncio.wait_for(events.run(), 30)
        assert isinstance(caught.value.__cause__, OSError) and one.told == []
        async with one.listening(events.position):
            await until(lambda: one.said == ["hi"])


async def test_dead_token_ends_the_stream_and_a_new_one_goes_on_where_it_was() -> None:
    private, public = key_pair()
    async with org() as found, client(found.url) as calls:
        found.wish({"keysets": [{"issuer": "shop", "kid": "k1", "public_pem": public}], "verified_ttl_s": 100})

        async def come() -> Access:
            token = Identity(private, "k1", "shop").token("v7", int(found.org.clock.now_s()))
            return await calls.verified(token, "v7")

        one = Listener(found, calls, await come())
        await calls.create(one.access, one.cid, NewSession())
        found.desk.accept(one.cid)
        events = one.listen()
        running = asyncio.create_task(events.run())
        found.desk.say(one.cid, "one")
        await until(lambda: one.said == ["one"])
        found.wish({"advance_s": 101})
        with pytest.raises(TokenDead):
            await asyncio.wait_for(running, 30)
        found.desk.say(one.cid, "two")
        one.access = await come()
        async with one.listening(events.position):
            await until(lambda: one.said == ["one", "two"])


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429}, {"cut": True}, {"status": 200, "body": "<html>please sign in</html>"}]
)
async def test_stream_is_opened_again(fault: dict[str, Any]) -> None:
    async with visitor() as one:
        one.org.faults.add([{"on": "stream", "count": 3, **fault}])
        async with one.listening():
            one.org.desk.say(one.cid, "hi")
            await until(lambda: one.said == ["hi"])

    assert one.counts["stream_broken"] == 3


async def test_stream_waits_as_long_as_salesforce_asks() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with visitor() as one:
        one.org.faults.add([{"on": "stream", "status": 429, "headers": {"Retry-After": "7"}}])
        one.org.faults.add([{"on": "stream", "status": 503}])
        one.org.faults.add([{"on": "stream", "status": 401}])
        events = Events(one.calls, one.access, None, lambda: (), one._take, lambda name, n: None, sleep)
        with pytest.raises(TokenDead):
            await asyncio.wait_for(events.run(), 30)

    assert 7 < pauses[0] <= 8 and pauses[1] <= 1.5


async def test_stream_that_never_works_says_so() -> None:
    async with visitor() as one:
        one.org.faults.add([{"on": "stream", "status": 403}])
        with pytest.raises(DeliveryRejected):
            await asyncio.wait_for(one.listen().run(), 30)


async def test_silent_stream_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    n_frames = 0

    class Counted(Frames):
        def feed(self, line: bytes) -> Frame | None:
            nonlocal n_frames
            found = super().feed(line)
            n_frames += found is not None
            return found

    monkeypatch.setattr("connectors.salesforce_messaging.stream.Frames", Counted)
    async with visitor() as one:
        one.org.wish({"stream": {"ping_s": 0.02}})
        async with one.listening():
            for _ in range(5):
                before = n_frames
                pass_by(SILENCE_S * 2 / 3)
                await until(lambda before=before: n_frames > before)  # pings
            assert one.counts["stream_broken"] == 0
            one.org.wish({"stream": {"stalled": True}})
            one.org.desk.say(one.cid, "hi")
            pass_by(SILENCE_S)
            await until(lambda: one.counts["stream_broken"])
            one.org.wish({"stream": {"stalled": False}})
            await until(lambda: one.said == ["hi"])


async def test_stream_lives_only_while_the_user_is_held() -> None:
    async with visitor() as one:
        one.org.wish({"stream": {"ping_s": 0.02}})
        asked, may = 0, asyncio.Event()
        may.set()

        async def held() -> float:
            nonlocal asked
            asked += 1
            await may.wait()
            return 60.0

        events = one.listen()
        events._held = held
        running = asyncio.create_task(events.run())
        await events.opened.wait()
        for _ in range(4):
            before = asked
            pass_by(40)
            await until(lambda before=before: asked > before)
        assert one.counts["stream_broken"] == 0  # asked again in time
        may.clear()
        before = asked
        pass_by(40)
        await until(lambda: asked > before)
        pass_by(60)
        await until(lambda: not events.opened.is_set())
        one.org.desk.say(one.cid, "hi")
        await until(lambda: one.org.ledger()["streams"][one.access.subject]["open"] == 0)
        may.set()
        await until(lambda: one.said == ["hi"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_event_that_cannot_be_read_is_told_as_such() -> None:
    async with visitor() as one:
        async with one.listening():
            await until(lambda: len(one.told) == 6)
            one.org.org.feeds.push(one.access.subject, "CONVERSATION_MESSAGE", {"novel": True})
            one.org.desk.say(one.cid, "hi")
            await until(lambda: one.said == ["hi"])

    assert [each.kind for _, each in one.told if isinstance(each, Unreadable)] == ["CONVERSATION_MESSAGE"]


@pytest.mark.parametrize("seed", range(6))
async def test_no_mixture_of_troubles_loses_doubles_or_swaps(seed: int) -> None:
    """Streams and calls fail by chance, and the listener is killed and begins again from what was kept."""
    chance = random.Random(seed)
    async with visitor() as one:
        one.org.org.options.messages_per_minute = 0
        one.org.wish({"stream": {"double": seed % 2 == 0, "unknown": seed % 3 == 0, "replay": None if seed % 2 else 1}})
        told, wanted, is_over = [f"a{n}" for n in range(40)], [f"w{n}" for n in range(15)], False

        async def listen() -> None:
            kept = one.listen().position
            while not is_over or len(one.said) < len(told):
                events = one.listen(kept)
                running = asyncio.create_task(events.run())
                await asyncio.sleep(0.05 + chance.random() * 0.1)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                kept = one.told[-1][0] if one.told else kept

        async def desk() -> None:
            for each in told:
                await asyncio.sleep(chance.random() * 0.03)
                one.org.desk.say(one.cid, each)

        async def say() -> None:
            for each in wanted:
                said = text(each)
                while True:
                    try:
                        await one.calls.send(one.access, one.cid, said)
                        break
                    except (DeliveryRetryable, DeliveryUncertain):
                        await asyncio.sleep(0.01)
                await asyncio.sleep(chance.random() * 0.03)

        async def trouble() -> None:
            for _ in range(15):
                await asyncio.sleep(chance.random() * 0.08)
                fault: dict[str, Any] = chance.choice(
                    [{"cut": True}, {"status": 503}, {"status": 429}, {"cut": True, "after_effect": True}]
                )
                what = chance.choice(["cut", "stream", "message", "entries"])
                one.org.wish({"cut": True} if what == "cut" else {"fail_next": [{"on": what, **fault}]})

        async with asyncio.timeout(30):
            listening = asyncio.create_task(listen())
            await asyncio.gather(desk(), say(), trouble())
            one.org.faults.clear()
            is_over = True
            await listening

    assert one.said == told
    assert [each["text"] for each in one.org.org.desk] == wanted
