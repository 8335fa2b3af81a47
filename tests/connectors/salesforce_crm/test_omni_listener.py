"""The listener against a real gRPC server: streams that are cut, refused or silent, tokens that end, flow control."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from connectors.salesforce_crm.omni.events import line, listener
from connectors.salesforce_crm.omni.events.address import TOPICS
from connectors.salesforce_crm.omni.events.simulator import CHANNEL
from connectors.salesforce_crm.simulator import CLIENT_SECRET
from omnibridge.connector import DeliveryRejected
from tests.certificates import self_signed
from tests.connectors.salesforce_crm.ears import Ears, hurry
from tests.connectors.salesforce_crm.omnis import Omni
from tests.ports import free_port
from tests.stream_server import stream_server

ANSWERS, WORK, BOTH = (True, False), (False, True), (True, True)


@pytest_asyncio.fixture
async def ears(omni: Omni, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ears]:
    hurry(monkeypatch)
    made = Ears(omni)
    await made.events.start(free_port())
    yield made


async def test_each_change_rings_for_what_may_have_come_of_it(ears: Ears) -> None:
    alice = ears.omni.person("alice", then="wait")
    async with ears.listening():
        ears.case()
        await ears.rung(WORK)
        (work,) = await ears.connector.waiting(10)
        await ears.omni.until(lambda: not ears.bell.work._is_late)
        ears.bell.rings.clear(), ears.bell.work.rung.clear()
        await ears.connector.push(work, alice)
        await ears.rung(ANSWERS)
        await ears.omni.until(lambda: ears.context.counts["events"] == 3)
        assert not ears.bell.work.rung.is_set()  # its routing is pushed, and capacity is of no use: nothing waits
        ears.bell.rings.clear()
        ears.omni.org.answer(ears.omni.all("AgentWork")[0]["Id"], "accept")
        await ears.omni.until(lambda: ears.context.counts["events"] == 5)
        assert set(ears.bell.rings) == {ANSWERS}  # it is taken, and its routing is gone


async def test_work_of_other_queues_does_not_ring(ears: Ears) -> None:
    others = ears.omni.org.queue("others", "ExternalRouting")
    async with ears.listening():
        ears.case(others)
        await ears.omni.until(lambda: ears.context.counts["events"] == 1)
        assert set(ears.bell.rings) <= {(False, False)}
        ears.case()
        await ears.rung(WORK)


async def test_cut_stream_is_looked_for_by_the_clock_until_it_stands_again(ears: Ears) -> None:
    async with ears.listening():
        was_live: list[bool] = []
        stands = ears.bell.set_live
        ears.bell.set_live = lambda is_live: (was_live.append(is_live), stands(is_live))[1]  # type: ignore[method-assign]
        ears.events.cut()
        await ears.omni.until(lambda: False in was_live and was_live[-1] and ears.bell.is_live)
        assert len(ears.events.subscribed) == 4
        assert BOTH in ears.bell.rings
        ears.bell.rings.clear()
        ears.case()
        await ears.rung(WORK)

    assert [each.split()[0] for each in ears.codes] == ["UNAVAILABLE"] * 2
    assert not ears.bell.is_live


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"])
async def test_what_may_pass_is_tried_again(ears: Ears, code: str) -> None:
    ears.events.fail_next = [{"code": code, "match": "Subscribe", "count": 2}]
    async with ears.listening((TOPICS[0],)):
        pass

    names = {code, "cut"} if code == "CANCELLED" else {code}  # gRPC tells that as it tells of a channel that is closed
    assert len(ears.codes) == 2 and {each.split()[0] for each in ears.codes} <= names


async def test_pauses_grow_until_it_stands(ears: Ears) -> None:
    ears.events.fail_next = [{"code": "UNAVAILABLE", "match": "Subscribe", "count": 4}]
    async with ears.listening((TOPICS[0],)):
        ears.events.cut()
        await ears.omni.until(lambda: len(ears.codes) == 5)
    waits = [fields["next_try_in_s"] for action, fields in ears.context.lines if action == "omni_events_lost"]

    assert waits[3] >= 0.1 > waits[4]  # jitter halves at most; 0.02 doubled three times, then from the beginning


async def test_stream_that_the_server_ends_is_taken_up_again(ears: Ears) -> None:
    async with ears.listening((TOPICS[0],)):
        ears.events.cut("")
        await ears.omni.until(lambda: len(ears.events.subscribed) == 2)

    assert ears.codes == ["ended-by-server"]


async def test_token_that_ends_is_renewed_at_once(ears: Ears) -> None:
    async with ears.listening():
        ears.omni.simulator.tokens.clear()
        ears.events.cut("UNAUTHENTICATED")
        await ears.omni.until(lambda: len(ears.events.subscribed) == 4)
        ears.bell.rings.clear()
        ears.case()
        await ears.rung(WORK)

    assert len(ears.omni.simulator.logins) == 2
    assert {each.split()[0] for each in ears.codes} == {"UNAUTHENTICATED"}


async def test_new_token_that_is_refused_as_well_is_a_matter_of_pauses(ears: Ears) -> None:
    ears.events.fail_next = [{"code": "UNAUTHENTICATED", "count": 4}]
    async with ears.listening((TOPICS[0],)):
        pass
    waits = [fields["next_try_in_s"] for action, fields in ears.context.lines if action == "omni_events_lost"]

    assert len(waits) == 4 and waits[0] == 0 and sum(waits[1:]) > 0.05
    assert len(ears.omni.simulator.logins) == 5


async def test_login_that_is_refused_is_not_tried_all_the_time(ears: Ears) -> None:
    ears.omni.simulator.revoked = True
    await ears.use()
    task = asyncio.create_task(ears.connector.listen(ears.bell))
    await ears.omni.until(lambda: len(ears.codes) == 3)  # one, and both once more: they hear of the pause
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ears.connector.aclose()
    waits = [fields["next_try_in_s"] for action, fields in ears.context.lines if action == "omni_events_lost"]

    assert ears.codes == ["login-invalid_grant"] * 3 and len([each for each in waits if each > 10]) == 2
    assert not ears.bell.is_live and len(ears.omni.simulator.logins) == 1


async def test_silence_is_the_end_of_a_stream_and_an_empty_answer_is_none(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "SILENCE_S", 0.3)
    ears.events.keepalive_s = 0.1
    async with ears.listening((TOPICS[0],)):
        await ears.omni.until(lambda: ears.events.n_keepalives >= 5)
        assert len(ears.events.subscribed) == 1
        ears.events.is_mute = True
        await ears.omni.until(lambda: "silent" in ears.codes)
        ears.events.is_mute = False
        await ears.omni.until(lambda: len(ears.events.subscribed) > 1 and ears.bell.is_live)


async def test_never_more_is_asked_for_than_the_server_allows_and_never_nothing(ears: Ears) -> None:
    ears.events.idle_s = 0.05  # a stream without anything asked for is closed
    async with ears.listening((TOPICS[0],)):
        for n in range(1, 6):
            for _ in range(70):
                ears.case()
            await ears.omni.until(lambda n=n: ears.context.counts["events"] == 70 * n)

        assert ears.events.n_sent == 350 and ears.events.n_over == 0
        assert sum(ears.events.asked) >= 350 and ears.events.asked[0] == 100
        assert len(ears.events.subscribed) == 1 and ears.events.schemas == 1


async def test_server_that_counts_otherwise_is_asked_for_more(ears: Ears) -> None:
    async with ears.listening((TOPICS[0],)):
        ears.events.keepalive_s = 0.05
        ears.events._streams[0].left = 0  # it counted what we did not get
        await ears.omni.until(lambda: ears.events.asked[1:])
        ears.case()
        await ears.rung(WORK)

    assert ears.events.asked == [100, 100]


async def test_schema_that_cannot_be_had_ends_the_stream_and_the_next_one_has_it(ears: Ears) -> None:
    ears.events.fail_next = [{"code": "UNAVAILABLE", "match": "GetSchema"}]
    async with ears.listening((TOPICS[0],)):
        ears.case()
        await ears.omni.until(lambda: len(ears.events.subscribed) == 2 and ears.bell.is_live)
        await ears.omni.until(lambda: len(ears.events.listening) == 1)  # not the one before as well
        ears.bell.rings.clear()
        ears.case()
        await ears.rung(WORK)

    assert ears.events.schemas == 2


async def test_topic_that_is_not_selected_is_left_alone_and_named(ears: Ears) -> None:
    ears.events.selected = {"AgentWork"}
    await ears.use()
    task = asyncio.create_task(ears.connector.listen(ears.bell))
    await ears.omni.until(lambda: ears.codes and ears.events.listening == [TOPICS[1]])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (lost,) = [fields for action, fields in ears.context.lines if action == "omni_events_lost"]

    assert not ears.bell.is_live
    assert lost["topic"] == TOPICS[0] and lost["code"].startswith("NOT_FOUND") and lost["next_try_in_s"] > 100
    with pytest.raises(DeliveryRejected, match=f"{TOPICS[0]}: NOT_FOUND.*Change Data Capture"):
        await ears.connector.check()
    await ears.connector.aclose()


async def test_check_says_whether_the_topics_can_be_subscribed(ears: Ears) -> None:
    made = await ears.use()
    assert (await made.check()).endswith("; events of 2 topics can be subscribed")
    ears.events.may_subscribe = False
    with pytest.raises(DeliveryRejected, match=f"{TOPICS[1]}: the integration user may not subscribe.*View All"):
        await made.check()
    await ears.events.stop()
    with pytest.raises(DeliveryRejected, match=f"polled: {TOPICS[0]}: UNAVAILABLE; look at pubsub_address"):
        await made.check()
    await made.aclose()

    assert len(ears.events.subscribed) == 0


async def test_ends_at_once_and_leaves_nothing_behind(ears: Ears) -> None:
    before = asyncio.all_tasks()
    async with ears.listening():
        during = asyncio.all_tasks() - before
        ours = {each for each in during if "Listener" in repr(each.get_coro())}
        assert len(ours) == 2
        channel = ears.lines[-1]._channel
        assert channel.get_state() is grpc.ChannelConnectivity.READY
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    await ears.omni.until(lambda: not ears.events.listening)
    await ears.omni.until(lambda: not [each for each in asyncio.all_tasks() - before if "connectors" in repr(each)])

    assert not ears.bell.is_live


async def test_nothing_secret_or_private_is_logged(ears: Ears) -> None:
    async with ears.listening((CHANNEL,)):
        tokens = list(ears.omni.simulator.tokens)
        ears.case()
        await ears.rung(WORK)
        ears.events.cut("UNAUTHENTICATED")
        await ears.omni.until(lambda: len(ears.events.subscribed) == 2)
    told = repr(ears.context.lines)

    assert tokens and "UNAUTHENTICATED" in told
    for each in (*tokens, *ears.omni.simulator.tokens, CLIENT_SECRET, "vera@", "simulated:"):
        assert each not in told


async def test_token_goes_over_tls_alone_and_to_a_server_that_is_who_it_says(
    omni: Omni, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    ears = Ears(omni)
    certificate, key = self_signed("localhost", is_authority=True)
    await ears.events.start(free_port(), grpc.ssl_server_credentials([(key, certificate)]))
    address = f"localhost:{ears.events.port}"
    made = await ears.use(pubsub_address=address)
    with pytest.raises(DeliveryRejected, match="UNAVAILABLE"):
        await made.check()
    assert ears.events.topics == 0
    trusting = functools.partial(grpc.ssl_channel_credentials, root_certificates=certificate)
    monkeypatch.setattr(grpc, "ssl_channel_credentials", trusting)
    async with ears.listening(pubsub_address=address):
        ears.case()
        await ears.rung(WORK)


async def test_proxy_of_the_org_is_the_way_to_its_events(ears: Ears) -> None:
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def proxy(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await asked.put(await reader.readline())

    async with stream_server(proxy) as server:
        made = line.Line(line.Address("api.pubsub.salesforce.com:7443"), f"http://127.0.0.1:{server.port}")
        access: Any = listener.Access("token", "https://acme.my.salesforce.com", "00D")
        with pytest.raises(line.Failed):
            await made.topic(TOPICS[0], access)
        await made.aclose()

    assert asked.get_nowait().startswith(b"CONNECT api.pubsub.salesforce.com:7443 ")
