"""A fault at each request of a whole chat, one after the other; which requests there are tells a chat without any.

The connector with its follower over sockets, without the engine: so that a hundred chats take seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import connectors.salesforce_live_agent.chat as chat_module
import connectors.salesforce_live_agent.follow as follow_module
import connectors.salesforce_live_agent.sending as sending_module
from omnibridge.connector import DeliveryRejected, Said
from omnibridge.connector.desks import Accepted, Declined, Left, Queued
from tests.connectors.salesforce.relays import ALEX, BEA
from tests.connectors.salesforce_live_agent.alone import Alone, alone

HISTORY = "Conversation so far:\nVisitor: hello"
HEARD = [HISTORY, "v0", "v1", "v2", "v3"]
WORDS = [("Alex Agent", "a0"), ("Alex Agent", "a1"), ("Bea Boss", "b0"), ("Bea Boss", "b1"), ("Alex Agent", "a2")]
AT_A_TIME = 10


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(follow_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(sending_module, "SOON_S", 0.01)


class Stopped(Exception):
    """The chat was over before its end."""


async def reach(one: Alone, holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            if one.kept.is_over:
                raise Stopped
            await asyncio.sleep(0.003)


def accepts(one: Alone) -> int:
    return sum(isinstance(each, Accepted) for each in one.session.events)


async def accept(one: Alone, who: tuple[str, str], times: int) -> None:
    """The newest chat that waits, again if that was one that nobody follows any more."""

    def accepted() -> bool:
        if one.desk.waiting():
            one.desk.accept(one.desk.waiting()[-1], *who)
        return accepts(one) >= times

    await reach(one, accepted)


async def says(one: Alone, text: str) -> None:
    n = len(one.words())
    one.desk.say(one.sid, text)
    await reach(one, lambda: len(one.words()) > n)


async def hears(one: Alone, text: str) -> None:
    await one.say(text)
    await reach(one, lambda: text in one.heard())


async def whole_chat(one: Alone) -> None:
    """Queue, history, words both ways, typing, a transfer, a move, an agent who drops and another one, the end."""
    await one.begin(said=(Said("m", "visitor", "hello"),))
    await reach(one, one.desk.waiting)
    early = asyncio.create_task(one.say("v0"))  # before anybody is there
    try:
        await reach(one, lambda: any(isinstance(each, Queued) for each in one.session.events))
        one.desk.queue_position(one.desk.waiting()[-1], 7)
        await reach(one, lambda: Queued(7) in one.session.events or len(one.sf.service.sessions) > 1)
        await accept(one, (ALEX, "Alex Agent"), 1)
        await early
    finally:
        early.cancel()
        await asyncio.gather(early, return_exceptions=True)
    await says(one, "a0")
    await one.type(True)
    await hears(one, "v1")
    one.desk.typing(one.sid)
    await reach(one, lambda: one.session.typed)
    await says(one, "a1")
    one.desk.transfer(one.sid, BEA, "Bea Boss")
    await reach(one, lambda: accepts(one) == 2)
    await says(one, "b0")
    one.desk.confer(one.sid, "Carla Clerk")
    await reach(one, lambda: ("", "Carla Clerk has joined the conversation.") in one.words())
    one.desk.move(one.sid)
    await hears(one, "v2")
    await says(one, "b1")
    one.desk.disconnect(one.sid)
    await reach(one, lambda: not one.kept.session or not one.kept.session.has_agent)
    await accept(one, (ALEX, "Alex Agent"), 3)
    await hears(one, "v3")
    await says(one, "a2")
    one.desk.end(one.sid)
    try:
        await reach(one, lambda: False)
    except Stopped:
        return


def agents_words(one: Alone) -> list[tuple[str, str]]:
    return [each for each in one.words() if each[0]]


ENDPOINTS = {
    "SessionId": "session",
    "Messages": "poll",
    "ReconnectSession": "reconnect",
    "Availability": "visitor",
}


async def steps() -> Counter[str]:
    """How often a chat without faults asks which endpoint."""
    async with alone(options={"poll_s": 30}) as one:
        await whole_chat(one)
        assert (one.heard(), agents_words(one)) == (HEARD, WORDS)
        assert one.session.events[-1] == Left("agent")
        nouns = [each["path"].rsplit("/", 1)[1] for each in one.sf.service_calls()]
    found = Counter(ENDPOINTS.get(each, "post") for each in nouns)
    assert {"ChasitorInit", "ChasitorResyncState", "ChatMessage", "ChasitorTyping"} <= set(nouns)
    assert set(found) == {*ENDPOINTS.values(), "post"} and found["poll"] >= 10 and found["post"] >= 8
    return found


async def at_each_step(fault: dict[str, Any], check: Callable[[str, Alone, bool], None]) -> None:
    """check: of (endpoint, chat, whether it went to its end). All failures are told together."""
    places = [(on, at) for on, n in (await steps()).items() for at in range(n)]
    gate, wrong = asyncio.Semaphore(AT_A_TIME), list[str]()

    async def case(on: str, at: int) -> None:
        async with gate:
            try:
                async with alone(options={"poll_s": 30}) as one:
                    one.sf.wish({"fail_next": [{"on": on, "skip": at, **fault}]})
                    try:
                        await whole_chat(one)
                        is_whole = True
                    except (Stopped, DeliveryRejected):
                        is_whole = False
                    check(on, one, is_whole)
                    assert not one.sf.faults.waiting, "the fault did not happen"
            except Exception as exc:  # told below, with its place
                wrong.append(f"{on} {at}: {type(exc).__name__} {exc}")

    await asyncio.gather(*(case(on, at) for on, at in places))
    assert wrong == []
    assert len(places) >= 25


@pytest.mark.parametrize(
    "fault",
    [{"cut": True}, {"cut": True, "after_effect": True}, {"status": 500}, {"status": 500, "after_effect": True}],
    ids=["cut", "cut-after-effect", "500", "500-after-effect"],
)
async def test_request_that_fails_anywhere_loses_doubles_and_reorders_nothing(fault: dict[str, Any]) -> None:
    def check(on: str, one: Alone, is_whole: bool) -> None:
        assert is_whole
        assert (one.heard(), agents_words(one)) == (HEARD, WORDS)
        assert one.session.events[-1] == Left("agent")

    await at_each_step(fault, check)


@pytest.mark.parametrize("after_effect", [False, True])
async def test_move_anywhere_is_reconnected_or_begun_anew(after_effect: bool) -> None:
    """503, also in the middle of a message. Before the first batch there is nothing to resume: a new session."""

    def check(on: str, one: Alone, is_whole: bool) -> None:
        assert is_whole
        assert (one.heard(), agents_words(one)) == (HEARD, WORDS)
        assert one.session.events[-1] == Left("agent")

    await at_each_step({"status": 503, "after_effect": after_effect}, check)


async def test_key_that_expires_anywhere_ends_the_chat_or_begins_it_anew() -> None:
    """403. Nothing is posted after it, the reason is told, and what was told or heard is what comes first."""

    def check(on: str, one: Alone, is_whole: bool) -> None:
        if on in ("session", "visitor"):
            assert not is_whole  # refused: the engine declines for it
            return
        heard, words = one.heard(), agents_words(one)
        assert heard == HEARD[: len(heard)] and words == WORDS[: len(words)]
        last = one.session.events[-1]
        if (
            is_whole
        ):  # before anybody accepted; or a move was faster than this answer, and what was posted is posted again
            assert (heard, words) == (HEARD, WORDS) and isinstance(last, Left)
        else:
            assert last in (Left("expired"), Left("agent"))
            assert sum(isinstance(each, Left | Declined) for each in one.session.events) == 1
            assert len(one.sf.service.sessions) == 1

    await at_each_step({"status": 403}, check)
