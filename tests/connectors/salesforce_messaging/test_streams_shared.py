"""Chats whose streams share connections over HTTP/2, against the simulated org behind TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import h2.events as told
import pytest
import pytest_asyncio

from connectors.salesforce_messaging.client import NewSession
from connectors.salesforce_messaging.stream import SHARED_SPREAD
from omnibridge.http import wire
from tests.conftest import until
from tests.connectors.salesforce.relays import MakeRelay
from tests.connectors.salesforce_messaging.listeners import Listener, client
from tests.connectors.salesforce_messaging.orgs import RunningOrg
from tests.http2_front import Fronted, fronted

CHATS = 25


@pytest_asyncio.fixture
async def behind_tls(sf: RunningOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fronted]:
    """The org at an address that speaks TLS, HTTP/1.1 and HTTP/2."""
    folder = tmp_path / "front"
    folder.mkdir()
    async with fronted(sf.app(), folder) as front:
        monkeypatch.setenv("SSL_CERT_FILE", str(front.trusted))
        for each in (wire.trusted, wire.trusted_for_streams):
            each.cache_clear()
        sf.url = front.url
        yield front
        sf.release()
    for each in (wire.trusted, wire.trusted_for_streams):
        each.cache_clear()


def cut(front: Fronted) -> None:
    for each in front.live:
        each.transport.abort()


def reset(front: Fronted) -> None:
    for served in front.live:
        for call in list(served.calls.values()):
            call.abort()


def leave(front: Fronted) -> None:
    """In good order, but with none of the streams."""
    for each in front.live:
        each.goes_away(0)


FAULTS: list[Callable[[Fronted], None]] = [cut, reset, leave]


async def test_chat_goes_on_whatever_happens_to_the_shared_stream(make_relay: MakeRelay, behind_tls: Fronted) -> None:
    relay = await make_relay(settings='streams = "http2"')
    visitor = await relay.with_agent()
    faults = iter(FAULTS)
    words = await relay.exchange(visitor, n=4, before=lambda: next(faults, lambda front: None)(behind_tls))
    relay.desk.end(relay.chat)
    await relay.until(lambda: relay.conversation().is_closed)

    assert relay.agents_words(visitor) == words
    assert relay.heard() == [f"v{n}" for n in range(4)]
    assert (len(relay.sf.org.conversations), relay.repeats()) == (1, 0)
    assert len(behind_tls.connections) >= 3
    requests = [each for served in behind_tls.connections for each in served.heard(told.StreamEnded)]
    (feed,) = relay.sf.org.feeds.by_subject.values()
    assert len(requests) == feed.opened, "streams alone go over HTTP/2"


async def test_many_chats_on_one_connection_lose_and_double_nothing(behind_tls: Fronted, sf: RunningOrg) -> None:
    wanted: list[str] = []
    async with client(behind_tls.url, streams="http2") as calls, asyncio.timeout(30):
        sf.org.options.tokens_per_minute = sf.org.options.starts_per_30_s = 0
        chats = [Listener(sf, calls, await calls.guest()) for _ in range(CHATS)]
        events = [each.listen() for each in chats]
        running = [asyncio.create_task(each.run()) for each in events]
        for each in chats:
            await calls.create(each.access, each.cid, NewSession({}))
            sf.desk.accept(each.cid)

        def all_heard() -> bool:
            return all(len(each.said) >= len(wanted) for each in chats)

        for fault in (*FAULTS, cut):
            for each in chats:
                sf.desk.say(each.cid, f"m{len(wanted)}")
            fault(behind_tls)
            for each in chats:
                sf.desk.say(each.cid, f"m{len(wanted) + 1}")
            wanted += [f"m{len(wanted)}", f"m{len(wanted) + 1}"]
            await until(all_heard)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    assert [each.said for each in chats] == [wanted] * CHATS
    assert all(each.counts["streams_shared"] > 1 for each in chats)
    assert {each._spread for each in events} == {SHARED_SPREAD}, "they do not come back all at once"
    assert len(behind_tls.connections) <= 2 + len(FAULTS)


async def test_org_that_speaks_http1_alone(behind_tls: Fronted, sf: RunningOrg) -> None:
    behind_tls.context.set_alpn_protocols(["http/1.1"])
    async with client(behind_tls.url, streams="http2") as calls:
        one = Listener(sf, calls, await calls.guest())
        await calls.create(one.access, one.cid, NewSession({}))
        sf.desk.accept(one.cid)
        async with one.listening():
            sf.desk.say(one.cid, "hi")
            await until(lambda: one.said == ["hi"])

    assert behind_tls.connections == [] and one.counts["streams_shared"] == 0
