"""Our client against the simulated org, over sockets: calls, tokens, the event stream in every trouble."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.salesforce_messaging.client import NewSession, OrgClient
from connectors.salesforce_messaging.entries import Echo, Event, Joined, Left, Said, SessionIs, Unreadable
from connectors.salesforce_messaging.errors import NoSession, NotVerified, TokenDead
from connectors.salesforce_messaging.pacing import Pacer
from connectors.salesforce_messaging.simulated.org import DEVELOPER_NAME, ORG_ID
from connectors.salesforce_messaging.stream import Events, NotTaken, Position
from connectors.salesforce_messaging.tokens import Access, Identity
from omnibridge.connector import (
    ConfigError,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from omnibridge.http import create_client
from tests.connectors.salesforce.running import eventually
from tests.connectors.salesforce_messaging.orgs import RunningOrg, key_pair, new_id, org


def text(words: str, message_id: str = "") -> dict[str, Any]:
    content = {"formatType": "Text", "text": words}
    return {"id": message_id or new_id(), "messageType": "StaticContentMessage", "staticContent": content}


@asynccontextmanager
async def client(url: str, timeout_s: float = 5.0) -> AsyncIterator[OrgClient]:
    found = OrgClient(
        create_client, time.time, scrt_url=url, org_id=ORG_ID, developer_name=DEVELOPER_NAME, timeout_s=timeout_s
    )
    try:
        yield found
    finally:
        await found.aclose()


class Listener:
    """A visitor with a conversation, and what his stream told. events: with the position after each."""

    def __init__(self, found: RunningOrg, calls: OrgClient, access: Access) -> None:
        self.org, self.calls, self.access = found, calls, access
        self.cid = new_id()
        self.told: list[tuple[Position, Event]] = []
        self.counts: Counter[str] = Counter()
        self.fail = 0

    def listen(self, position: Position | None = None) -> Events:
        return Events(
            self.calls,
            self.access,
            position,
            lambda: (self.cid,),
            self._take,
            lambda name, n: self.counts.update({name: n}),
            lambda _: asyncio.sleep(0.005),
        )

    async def _take(self, position: Position, found: tuple[Event, ...]) -> None:
        if self.fail:
            self.fail -= 1
            raise OSError("disk full")
        self.told += [(position, each) for each in found]

    @property
    def said(self) -> list[str]:
        return [each.abstract["staticContent"]["text"] for _, each in self.told if isinstance(each, Said)]

    @asynccontextmanager
    async def listening(self, position: Position | None = None) -> AsyncIterator[Events]:
        events = self.listen(position)
        task = asyncio.create_task(events.run())
        try:
            async with asyncio.timeout(10):
                await events.opened.wait()
                yield events
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def visitor() -> AsyncIterator[Listener]:
    async with org() as found, client(found.url) as calls:
        listener = Listener(found, calls, await calls.guest())
        await calls.create(listener.access, listener.cid, NewSession({"topic": "shoes"}))
        found.desk.accept(listener.cid)
        yield listener


async def test_every_call() -> None:
    async with visitor() as one:
        calls, access, cid = one.calls, one.access, one.cid
        await calls.create(access, cid, NewSession())
        await calls.send(access, cid, text("hello"))
        said = {"id": new_id(), "fileId": new_id(), "text": "look"}
        await calls.send_file(access, cid, said, b"\0\r\npng", 'a"b.png', "image/png")
        await calls.typing(access, cid, True)
        assert await calls.acknowledge(access, cid, ["e1", "e2"], is_read=True) is True
        one.org.org.options.receipts = False
        assert await calls.acknowledge(access, cid, ["e1"], is_read=False) is False
        assert await calls.routing_status(access, cid) == "ROUTED"
        assert await calls.conversations(access) == [cid]
        assert await calls.is_open(0) is True
        one.org.desk.send_file(cid, "a.txt", "text/plain", content="of an agent")
        rows = await calls.entries(access, cid, 0)
        shown = rows[-1].entry_payload
        assert isinstance(shown, dict)
        url = shown["abstractMessage"]["staticContent"]["attachments"][0]["url"]
        assert await calls.download(access, url) == b"of an agent"
        await calls.end_session(access, cid)
        await calls.send(access, cid, text("again"), NewSession({"topic": "hats"}, "de"))
        await calls.close(access, cid)
        assert await calls.conversations(access) == [] and await calls.conversations(access, closed_too=True) == [cid]

    kinds = [(each["kind"], each.get("text") or each.get("of") or each.get("typing")) for each in one.org.org.desk]
    assert kinds == [
        ("message", "hello"),
        ("file", "look"),
        ("typing", True),
        ("receipt", "e1"),
        ("receipt", "e2"),
        ("message", "again"),
    ]
    shown = one.org.org.desk[1]["said"]["staticContent"]["attachments"][0]
    assert (shown["name"], one.org.org.files[said["fileId"]][2]) == ("a_b.png", b"\0\r\npng")
    assert one.org.org.conversations[cid].sessions[-1].attributes == {"topic": "hats"}


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "https://evil.example/salesforce.com",
        "https://salesforce.com.evil.example/",
        "https://user@x.my.salesforce.com/",
        "file:///etc/passwd",
        "http://x.my.salesforce.com/a",
    ],
)
async def test_files_come_from_salesforce_only(url: str) -> None:
    async with client("https://acme.my.salesforce-scrt.com") as calls:
        with pytest.raises(DeliveryRejected, match="not fetched"):
            await calls.download(Access("t", "", "0", 0, ORG_ID), url)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 400}, DeliveryRejected),
        ({"status": 401}, TokenDead),
        ({"status": 404}, DeliveryRejected),
        ({"status": 417}, NoSession),
        ({"status": 429, "headers": {"Retry-After": "9"}}, DeliveryRetryable),
        ({"status": 500}, DeliveryUncertain),
        ({"status": 503}, DeliveryUncertain),
        ({"cut": True}, DeliveryUncertain),
        ({"cut": True, "after_effect": True}, DeliveryUncertain),
        ({"status": 500, "after_effect": True}, DeliveryUncertain),
        ({"hang": True}, DeliveryUncertain),
    ],
)
async def test_message_that_failed_is_sent_again_with_its_id_and_arrives_once(
    fault: dict[str, Any], kind: type[DeliveryError]
) -> None:
    async with visitor() as one:
        said = text("hello")
        async with client(one.org.url, timeout_s=0.3) as calls:
            one.org.faults.add([{"on": "message", **fault}])
            with pytest.raises(kind) as caught:
                await calls.send(one.access, one.cid, said)
            await calls.send(one.access, one.cid, said)

    assert type(caught.value) is kind and one.access.token not in str(caught.value)
    assert [each["text"] for each in one.org.org.desk] == ["hello"]


async def test_nobody_listens_is_certainly_not_processed() -> None:
    async with client("http://127.0.0.1:9") as calls:
        with pytest.raises(DeliveryRetryable) as caught:
            await calls.guest()

    assert caught.value.code == "not-sent"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"org_id": "00D"}, "org_id"),
        ({"scrt_url": "http://acme.my.salesforce-scrt.com"}, "https"),
        ({"scrt_url": "acme"}, "https"),
        ({"developer_name": ""}, "es_developer_name"),
    ],
)
async def test_settings_that_cannot_work(change: dict[str, str], words: str) -> None:
    right = {"scrt_url": "https://x", "org_id": ORG_ID, "developer_name": "x"}
    with pytest.raises(ConfigError, match=words):
        OrgClient(create_client, time.time, **{**right, **change})  # type: ignore[arg-type]


async def test_verified_user_comes_back_as_the_same_one_or_not_at_all() -> None:
    private, public = key_pair()
    async with org() as found, client(found.url) as calls:
        found.wish({"keysets": [{"issuer": "shop", "kid": "k1", "public_pem": public}]})

        async def come(kid: str = "k1") -> Access:
            return await calls.verified(Identity(private, kid, "shop").token("v7", int(time.time())), "v7")

        first, cid = await come(), new_id()
        await calls.create(first, cid, NewSession())
        await calls.revoke(first)
        with pytest.raises(TokenDead):
            await calls.send(first, cid, text("x"))
        again = await come()
        await calls.send(again, cid, text("x"))
        renewed = await calls.continuation(again)
        assert renewed.subject == again.subject == first.subject and renewed.expires_s <= again.expires_s
        with pytest.raises(NotVerified):
            await come("k2")
        found.wish({"all_are_guests": True})
        with pytest.raises(NotVerified):
            await come()
        assert first.is_verified and not (await calls.guest()).is_verified


async def test_no_session_and_pre_chat_per_session() -> None:
    async with visitor() as one:
        one.org.org.options.prechat_per_session = True
        one.org.desk.end(one.cid)
        said = text("hello")
        with pytest.raises(NoSession):
            await one.calls.send(one.access, one.cid, said)
        await one.calls.send(one.access, one.cid, said, NewSession({"a": "b"}))
        assert (await one.calls.guest()).needs_prechat

    assert [each["text"] for each in one.org.org.desk] == ["hello"]


# -- the stream ---------------------------------------------------------------------------------------------


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
            await eventually(lambda: any(isinstance(e, SessionIs) and e.status == "Ended" for _, e in one.told))
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
            await eventually(lambda: len(one.said) >= len(words))
            one.org.wish({"stream": {"cut_every": None}})
            one.org.desk.say(one.cid, "last")
            await eventually(lambda: one.said[-1:] == ["last"])
        streams = one.org.ledger()["streams"][one.access.subject]

    assert one.said == [*words, "last"]
    assert len([1 for _, each in one.told if isinstance(each, Echo)]) == 3
    assert streams["most_open"] == 1 or "cut" in trouble  # a reset connection is seen a little later by the other side


async def test_events_that_the_stream_lost_are_found_at_the_next_reconnect() -> None:
    async with visitor() as one:
        async with one.listening():
            one.org.desk.say(one.cid, "one")
            await eventually(lambda: one.said == ["one"])
            one.org.wish({"stream": {"lose": 2}})
            one.org.desk.say(one.cid, "two")
            one.org.desk.say(one.cid, "three")
            one.org.desk.say(one.cid, "four")
            await eventually(lambda: one.said == ["one", "four"])
            one.org.wish({"cut": True})
            await eventually(lambda: len(one.said) == 4)

    assert one.said == ["one", "four", "two", "three"]
    assert one.counts["events_caught_up"] == 2


async def test_more_than_is_remembered_in_one_absence() -> None:
    async with visitor() as one:
        async with one.listening() as events:
            one.org.desk.say(one.cid, "before")
            await eventually(lambda: one.said == ["before"])
            position = events.position
        for n in range(200):
            one.org.org.clock.ahead_s += 0.002
            one.org.desk.say(one.cid, f"m{n}")
        async with one.listening(position):
            one.org.desk.say(one.cid, "after")
            await eventually(lambda: one.said[-1:] == ["after"])

    assert one.said == ["before", *(f"m{n}" for n in range(200)), "after"]


async def test_restart_from_every_position_that_was_kept() -> None:
    async with visitor() as one:
        async with one.listening():
            words = await talk(one)
            await eventually(lambda: len(one.said) == len(words))
        whole = list(one.told)
        for n in range(0, len(whole), 4):
            one.told = whole[: n + 1]
            async with one.listening(whole[n][0]):
                await eventually(lambda: len(one.told) >= len(whole))
            assert [each for _, each in one.told] == [each for _, each in whole]


async def test_position_stays_when_what_happened_could_not_be_kept() -> None:
    async with visitor() as one:
        events = one.listen()
        one.org.desk.say(one.cid, "hi")
        one.fail = 1
        with pytest.raises(NotTaken) as caught:
            await asyncio.wait_for(events.run(), 5)
        assert isinstance(caught.value.__cause__, OSError) and one.told == []
        async with one.listening(events.position):
            await eventually(lambda: one.said == ["hi"])


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
        await eventually(lambda: one.said == ["one"])
        found.wish({"advance_s": 101})
        with pytest.raises(TokenDead):
            await asyncio.wait_for(running, 5)
        found.desk.say(one.cid, "two")
        one.access = await come()
        async with one.listening(events.position):
            await eventually(lambda: one.said == ["one", "two"])


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429}, {"cut": True}, {"status": 200, "body": "<html>please sign in</html>"}]
)
async def test_stream_is_opened_again(fault: dict[str, Any]) -> None:
    async with visitor() as one:
        one.org.faults.add([{"on": "stream", "count": 3, **fault}])
        async with one.listening():
            one.org.desk.say(one.cid, "hi")
            await eventually(lambda: one.said == ["hi"])

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
            await asyncio.wait_for(events.run(), 5)

    assert 7 < pauses[0] <= 8 and pauses[1] <= 1.5


async def test_stream_that_never_works_says_so() -> None:
    async with visitor() as one:
        one.org.faults.add([{"on": "stream", "status": 403}])
        with pytest.raises(DeliveryRejected):
            await asyncio.wait_for(one.listen().run(), 5)


async def test_silent_stream_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.salesforce_messaging.client.SILENCE_S", 0.15)
    async with visitor() as one:
        one.org.wish({"stream": {"ping_s": 0.02}})
        async with one.listening():
            await asyncio.sleep(0.3)
            assert one.counts["stream_broken"] == 0  # pings
            one.org.wish({"stream": {"stalled": True}})
            one.org.desk.say(one.cid, "hi")
            await eventually(lambda: one.counts["stream_broken"])
            one.org.wish({"stream": {"stalled": False}})
            await eventually(lambda: one.said == ["hi"])


async def test_stream_lives_only_while_the_user_is_held() -> None:
    async with visitor() as one:
        one.org.wish({"stream": {"ping_s": 0.02}})
        asked, may = 0, asyncio.Event()
        may.set()

        async def held() -> float:
            nonlocal asked
            asked += 1
            await may.wait()
            return 0.2

        events = one.listen()
        events._held = held
        running = asyncio.create_task(events.run())
        await eventually(lambda: asked > 3)
        assert one.counts["stream_broken"] == 0  # asked again in time
        may.clear()
        await eventually(lambda: not events.opened.is_set())
        one.org.desk.say(one.cid, "hi")
        await eventually(lambda: one.org.ledger()["streams"][one.access.subject]["open"] == 0)
        may.set()
        await eventually(lambda: one.said == ["hi"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_event_that_cannot_be_read_is_told_as_such() -> None:
    async with visitor() as one:
        async with one.listening():
            await eventually(lambda: len(one.told) == 6)
            one.org.org.feeds.push(one.access.subject, "CONVERSATION_MESSAGE", {"novel": True})
            one.org.desk.say(one.cid, "hi")
            await eventually(lambda: one.said == ["hi"])

    assert [each.kind for _, each in one.told if isinstance(each, Unreadable)] == ["CONVERSATION_MESSAGE"]


async def test_burst_is_paced_below_the_limit_of_the_org() -> None:
    """60 messages at once, on the org's clock: nothing is refused, nothing changes places."""
    async with visitor() as one:
        clock = one.org.org.clock

        async def sleep(seconds: float) -> None:
            clock.ahead_s += seconds

        pacer = Pacer(clock.now_s, sleep)

        async def send(n: int) -> None:
            async with pacer.turn(one.cid):
                await one.calls.send(one.access, one.cid, text(str(n)))

        await asyncio.gather(*(send(n) for n in range(60)))

    assert [each["text"] for each in one.org.org.desk] == [str(n) for n in range(60)]
    assert 120 < clock.ahead_s < 130


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

        async with asyncio.timeout(20):
            listening = asyncio.create_task(listen())
            await asyncio.gather(desk(), say(), trouble())
            one.org.faults.clear()
            is_over = True
            await listening

    assert one.said == told
    assert [each["text"] for each in one.org.org.desk] == wanted
