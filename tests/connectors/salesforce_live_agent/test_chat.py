"""Our client against the simulated Live Agent, over sockets: one chat, in every trouble, never two polls at a time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from connectors.salesforce_live_agent import messages as m
from connectors.salesforce_live_agent.chat import Chat, NotKept
from connectors.salesforce_live_agent.errors import NotYet, SessionGone, Switched
from connectors.salesforce_live_agent.poll import Post
from connectors.salesforce_live_agent.simulated.service import BUTTON_ID
from omnibridge.connector import (
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from tests.conftest import until
from tests.connectors.salesforce_live_agent.holders import VERA, Holder, api, holder
from tests.connectors.salesforce_live_agent.services import service


async def test_chat_both_ways_to_its_end() -> None:
    async with holder(accepted=False) as one, one.running() as chat:
        await until(lambda: one.told)
        with pytest.raises(NotYet):
            await chat.post(Post("0", "ChatMessage", {"text": "early"}))
        one.service.desk.accept(one.id)
        await one.say("hello")
        one.service.desk.say(one.id, "hi")
        one.service.desk.transfer(one.id, "005SM0000001Car", "Carla")
        one.service.desk.disconnect(one.id)
        one.service.desk.accept(one.id)
        one.service.desk.end(one.id)
        await until(lambda: chat.session.phase == "over")
        with pytest.raises(SessionGone):
            await chat.post(Post("9", "ChatMessage", {"text": "late"}))

    kinds = [type(each).__name__ for each in one.told]
    assert kinds == ["Requested", "Established", "Said", "Established", "Requeued", "Established", "Ended"]
    names = [each.agent.name for each in one.told if isinstance(each, m.Established)]
    assert names == ["Alex Agent", "Carla", "Alex Agent"]
    request = one.service.service.desk[0]
    assert (request["name"], request["details"][0]["transcriptFields"]) == ("Vera", ["Rocket_Room__c"])
    init = one.service.service.sessions[one.id].init
    assert init["prechatEntities"][0]["entityFieldsMaps"][0] == {
        "fieldName": "Email",
        "label": "E-mail",
        "doFind": True,
        "isExactMatch": False,
        "doCreate": False,
    }


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502, "after_effect": True},
        {"cut": True},
        {"cut": True, "after_effect": True},
        {"hang": True, "after_effect": True},
        {"hang": True},
        {"status": 429},
        {"status": 503},
        {"status": 503, "after_effect": True},
    ],
)
async def test_post_that_failed_arrives_once_and_before_the_next(fault: dict[str, Any]) -> None:
    async with holder(timeout_s=1.0 if "hang" in fault else 30.0, poll_s=30) as one, one.running() as chat:
        await one.say("one")
        one.service.faults.add([{"on": "post", **fault}])
        with pytest.raises(DeliveryRetryable if fault.get("status") == 429 else DeliveryUncertain):
            await chat.post(Post("two", "ChatMessage", {"text": "two"}))
        if fault.get("status") == 429:
            await one.say("two")
        await one.say("three")  # what was uncertain goes first
        await one.say("two")

    assert one.arrived == ["one", "two", "three"]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "count": 3},
        {"status": 200, "body": "<html>please sign in</html>"},
        {"cut": True, "count": 2},
        {"cut": True, "after_effect": True},
        {"status": 503},
        {"status": 503, "after_effect": True},
    ],
)
async def test_poll_that_failed_loses_nothing(fault: dict[str, Any]) -> None:
    async with holder(poll_s=0.1) as one, one.running():
        one.service.desk.say(one.id, "one")
        await until(lambda: one.said == ["one"])
        one.service.faults.add([{"on": "poll", **fault}])
        for n in range(3):
            one.service.desk.say(one.id, f"{n}")
            await asyncio.sleep(0.02)
        await one.say("answer")
        await until(lambda: len(one.said) == 4)

    assert one.said == ["one", "0", "1", "2"] and one.arrived == ["answer"]


async def test_move_while_everything_is_under_way() -> None:
    async with holder(timeout_s=2) as one, one.running():
        await one.say("before")
        one.service.faults.add([{"on": "post", "delay_ms": 100}])
        posting = asyncio.create_task(one.say("during"))
        await asyncio.sleep(0.03)
        one.service.desk.say(one.id, "missed")
        one.service.desk.move(one.id)
        await posting
        one.service.desk.move(one.id)
        one.service.faults.add([{"on": "reconnect", "status": 503}])
        await one.say("after")
        one.service.desk.say(one.id, "then")
        await until(lambda: one.said[-1:] == ["then"])

    assert one.said == ["missed", "then"] and one.arrived == ["before", "during", "after"]


async def test_session_expires_while_away() -> None:
    async with holder() as one, one.running() as chat:
        await until(lambda: one.told)
        one.service.desk.kill(one.id)
        await until(lambda: chat.session.phase == "over")

    assert one.told[-1] == m.Lost("expired")


async def test_restart_at_any_moment_goes_on_with_what_was_kept() -> None:
    """Killed while it polls, posts and keeps; the next one begins with the kept state."""
    async with holder(poll_s=0.2, timeout_s=1) as one:
        wanted = [f"w{n}" for n in range(12)]
        for n, text in enumerate(wanted):
            one.begin()
            async with one.running() as chat:
                if n:
                    one.service.faults.add([{"on": "post", "delay_ms": 20, "after_effect": bool(n % 2)}])
                one.service.desk.say(one.id, f"a{n}")
                posting = asyncio.create_task(chat.post(Post(text, "ChatMessage", {"text": text})))
                await asyncio.sleep(0.003 * n)
                posting.cancel()
                await asyncio.gather(posting, return_exceptions=True)
            one.begin()
            async with one.running():
                await one.say(text)
        async with one.running():
            await until(lambda: len(one.said) == 12)

    assert one.arrived == wanted and one.said == [f"a{n}" for n in range(12)]


async def test_number_that_a_killed_post_took_swallows_no_other() -> None:
    """The server drops a number that it knows, whatever comes under it."""
    async with holder() as one:
        async with one.running() as chat:
            await one.say("one")
            one.service.faults.add([{"on": "post", "hang": True, "after_effect": True}])
            typing = asyncio.create_task(chat.post(Post("t", "ChasitorTyping")))
            await until(lambda: one.service.service.desk[-1]["kind"] == "typing")
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)
        one.begin()
        async with one.running():
            await one.say("two")

    assert one.arrived == ["one", "two"]


async def test_state_that_could_not_be_kept_is_read_again() -> None:
    async with holder() as one:
        one.fail = 1
        with pytest.raises(NotKept):
            await asyncio.wait_for(one.chat.run(), 30)
        one.begin()
        async with one.running():
            await one.say("x")
        assert [type(each).__name__ for each in one.told] == ["Requested", "Established"]


@pytest.mark.parametrize("seed", range(6))
async def test_no_mixture_of_troubles_loses_doubles_or_polls_twice(seed: int) -> None:
    chance = random.Random(seed)
    replays = {"reconnect_replays": bool(seed % 2), "double": seed % 3 == 0}
    replays |= {"two_servers": seed % 3 == 1, "resets": seed % 4 < 2}
    async with holder(poll_s=0.05, timeout_s=0.4, **replays) as one, one.running():
        await until(lambda: one.told)  # before the first batch there is nothing to resume
        told, wanted = [f"a{n}" for n in range(25)], [f"w{n}" for n in range(15)]

        async def desk() -> None:
            for each in told:
                await asyncio.sleep(chance.random() * 0.03)
                one.service.desk.say(one.id, each)

        async def visitor() -> None:
            for each in wanted:
                await one.say(each)
                await asyncio.sleep(chance.random() * 0.03)

        async def trouble() -> None:
            for _ in range(12):
                await asyncio.sleep(chance.random() * 0.08)
                what = chance.choice(["move", "poll", "post", "reconnect"])
                fault: dict[str, Any] = chance.choice(
                    [{"cut": True}, {"status": 503}, {"status": 500}, {"cut": True, "after_effect": True}]
                )
                if what == "move":
                    one.service.desk.move(one.id)
                else:
                    one.service.faults.add([{"on": what, **fault}])

        await asyncio.gather(desk(), visitor(), trouble())
        one.service.wish({"clear_failures": True})
        await until(lambda: len(one.said) >= len(told))
        await one.say("last")

    assert one.said == told
    assert one.arrived == [*wanted, "last"]


async def test_no_poll_lasts_longer_than_the_session_is_held() -> None:
    """Nor does one begin before it is."""
    async with holder(poll_s=30) as one:
        asked, held = list[float](), asyncio.Event()

        async def hold() -> float:
            asked.append(asyncio.get_running_loop().time())
            await held.wait()
            return 0.1

        one.chat = Chat(one.api, one.kept, one._keep, lambda s: asyncio.sleep(min(s, 0.01)), hold)
        async with one.running():
            await until(lambda: asked)
            await asyncio.sleep(0.05)
            polls = [each for each in one.service.api.calls if each["path"].endswith("/Messages")]
            assert polls == []
            held.set()
            await until(lambda: one.service.service.sessions[one.id].poll)
            held.clear()
            await until(lambda: one.service.service.sessions[one.id].poll is None)
            held.set()
            one.service.desk.say(one.id, "hi")
            await until(lambda: one.said == ["hi"])


async def test_poll_goes_on_while_the_session_is_held_further() -> None:
    async with holder(poll_s=30) as one:
        asked, noticed = list[float](), list[bool]()

        async def hold() -> float:
            asked.append(asyncio.get_running_loop().time())
            return 0.1

        one.chat = Chat(one.api, one.kept, one._keep, held=hold, noticed=noticed.append)
        async with one.running():
            await until(lambda: len(asked) > 12)
            assert False not in noticed
            assert sum(each["path"].endswith("/Messages") for each in one.service.api.calls) <= 2
            one.service.desk.say(one.id, "hi")
            await until(lambda: one.said == ["hi"])


async def test_file_for_the_agent() -> None:
    async with holder() as one, one.running():
        token = one.service.desk.request_file(one.id)
        await until(lambda: any(isinstance(each, m.FileWanted) for each in one.told))
        wanted = next(each for each in one.told if isinstance(each, m.FileWanted))
        await one.api.upload(one.kept, wanted, "a.png", "image/png", b"png")
        await until(lambda: one.told[-1] == m.FileOutcome("Success", token))
        for url in ("http://169.254.169.254/", "https://evil.example/", "https://salesforce.com.evil.example/"):
            with pytest.raises(DeliveryRejected, match="none of Salesforce"):
                await one.api.upload(one.kept, m.FileWanted(url, "", "t"), "a", "", b"")

    assert one.service.service.files[token] == ("a.png", "image/png", b"png")


async def test_availability_settings_and_another_address() -> None:
    async with service() as found, api(found.url) as calls:
        online = await calls.availability(calls.base, [BUTTON_ID])
        found.wish({"options": {"online": False}})
        offline = await calls.availability(calls.base, [BUTTON_ID])
        assert (await calls.settings(calls.base))["buttons"][0]["id"] == BUTTON_ID
        found.wish({"options": {"switch_to": "https://d.la2-c1.salesforceliveagent.com/chat"}})
        with pytest.raises(Switched) as caught:
            await calls.availability(calls.base, [BUTTON_ID])
        for wrong in ("https://evil.example/chat", "http://d.la2.salesforceliveagent.com/chat", ""):
            found.wish({"options": {"switch_to": wrong or "x"}})
            with pytest.raises(DeliveryRejected):
                await calls.availability(calls.base, [BUTTON_ID])

    assert (online[BUTTON_ID], offline[BUTTON_ID]) == ((True, 30), (False, 30))
    assert caught.value.new_base == "https://d.la2-c1.salesforceliveagent.com/chat/rest/"


async def test_visitor_leaves_and_the_session_is_deleted() -> None:
    async with holder() as one, one.running() as chat:
        await until(lambda: len(one.told) == 2)
        await chat.post(Post("end", "ChatEnd", {"reason": "client"}))
        await until(lambda: chat.session.phase == "over")
        assert one.told[-1] == m.Ended("client")
    async with holder() as one:
        await one.api.delete(one.kept)
        await asyncio.wait_for(one.chat.run(), 30)
        assert one.told == [m.Lost("expired")]


async def test_uncertain_post_is_given_up_without_losing_the_next() -> None:
    async with holder(timeout_s=1.0) as one, one.running() as chat:
        await one.say("one")
        one.service.faults.add([{"on": "post", "hang": True}])
        with pytest.raises(DeliveryUncertain):
            await chat.post(Post("two", "ChatMessage", {"text": "two"}))
        await chat.give_up("two")
        await one.say("three")

    assert one.arrived == ["one", "three"]


async def test_two_that_read_one_session_end_it_and_are_counted() -> None:
    """What a lease is for: this is what the other tests look for."""
    async with service(poll_s=5) as found, api(found.url) as calls:
        one = Holder(found, calls, await calls.begin(calls.base))
        await one.chat.post(calls.init(one.kept, VERA))
        found.desk.accept(one.id)
        async with one.running():
            await until(lambda: len(one.told) == 2 and found.service.sessions[one.id].poll)
            other = Holder(found, calls, one.kept)
            await asyncio.wait_for(other.chat.run(), 30)
            await until(lambda: one.chat.session.phase == "over")

    assert (other.told, one.told[-1]) == ([m.Lost("duplicate-poll")], m.Lost("expired"))
    assert found.ledger()["duplicate_polls"] == 1
