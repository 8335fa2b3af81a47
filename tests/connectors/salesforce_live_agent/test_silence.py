"""A visitor's silence is one only while he could be heard: no chat is ended by us that he had answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import connectors.salesforce_live_agent.chat as chat_module
from connectors.salesforce_live_agent.live import LATE_S, LiveChat
from omnibridge.connector import DeliveryError
from omnibridge.connector.analysis import Said
from omnibridge.connector.testing import turn
from tests.conftest import until
from tests.connectors.salesforce_live_agent.alone import Alone, alone
from tests.connectors.salesforce_live_agent.test_events import passed

IDLE = {"isEnabled": True, "warningTime": 60, "timeout": 90}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "FIRST_PAUSE_S", 0.02)


def chat(one: Alone) -> LiveChat:
    return one.connector._chats["s1"]


async def silent(one: Alone, seconds: float) -> None:
    """So long; and what is due then is done."""
    passed(one, seconds)
    live = chat(one)
    live._silence_due()
    if live._acting is not None:
        await live._acting


async def asked(one: Alone) -> None:
    await one.begin()
    await one.accepted()
    await until(lambda: chat(one).ready.is_set())
    one.desk.say(one.sid, "a0")
    await until(lambda: one.words())


def done(one: Alone) -> list[Any]:
    return [
        each.get("event") or each["reason"] for each in one.sf.service.desk if each["kind"] in ("idle_warning", "end")
    ]


async def test_visitor_who_waits_for_another_agent_is_not_ended() -> None:
    async with alone(options={"idle": IDLE}) as one:
        await asked(one)
        one.desk.disconnect(one.sid)
        await until(lambda: len(one.words()) == 2)
        await silent(one, 60)
        await silent(one, 30)
        one.desk.accept(one.sid)
        await until(lambda: one.kept.session and one.kept.session.has_agent)
        await silent(one, 90)
        assert done(one) == []
        one.desk.say(one.sid, "a1")  # … and it begins anew
        await until(lambda: one.kept.silence.since_ms)
        await silent(one, 60)
        await silent(one, 30)

    assert done(one) == ["triggered", "clientIdleTimeout"]


@pytest.mark.parametrize("is_warned", [False, True])
async def test_restart_counts_no_silence_in_which_nobody_listened(is_warned: bool) -> None:
    async with alone(options={"idle": IDLE}) as one:
        await asked(one)
        if is_warned:
            await silent(one, 60)
            await until(lambda: one.kept.silence.is_warned)
        passed(one, 100)
        before = done(one)
        await one.restart()
        await silent(one, 0)
        await silent(one, 59)
        assert done(one) == before
        await one.say("v0")

    assert done(one) == before + ["cleared"] * is_warned and one.heard() == ["v0"]


async def test_process_that_was_stopped_listens_first() -> None:
    async with alone(options={"idle": IDLE}) as one:
        await asked(one)
        await silent(one, 60 + LATE_S + 1)
        assert done(one) == []
        await silent(one, 60)
        assert done(one) == ["triggered"]
        await silent(one, 30 + LATE_S + 1)
        assert done(one) == ["triggered"]
        await silent(one, 90)

    assert done(one) == ["triggered", "clientIdleTimeout"]


async def test_nobody_is_ended_when_the_service_is_back() -> None:
    async with alone(options={"idle": IDLE}) as one:
        await asked(one)
        one.sf.wish({"fail_next": [{"on": "poll", "status": 500, "count": 1000}]})
        await until(lambda: not chat(one).is_heard)
        await silent(one, 60)
        await silent(one, 30)
        assert done(one) == []
        one.sf.wish({"clear_failures": True})
        await until(lambda: chat(one).is_heard)
        await silent(one, 59)
        assert done(one) == []
        await silent(one, 1)

    assert done(one) == ["triggered"]


async def test_end_that_did_not_arrive_is_not_told_once_he_speaks() -> None:
    async with alone(options={"idle": IDLE}) as one:
        await asked(one)
        await silent(one, 60)
        one.sf.wish({"fail_next": [{"on": "post", "cut": True}]})
        await silent(one, 30)
        await one.say("v0")
        await one.say("v1")

    assert done(one) == ["triggered", "cleared"] and one.heard() == ["v0", "v1"]


async def test_words_that_wait_or_are_withheld_are_no_silence() -> None:
    rule = {"id": "1", "name": "n", "pattern": "(", "actionType": "Remove"}
    async with alone(options={"idle": IDLE, "rules": [rule]}) as one:
        await asked(one)
        await one.say("v0")
        await silent(one, 60)
        assert (one.heard(), done(one)) == ([], [])


async def test_nobody_is_warned_while_the_agent_is_told_what_was_said_before() -> None:
    async with alone(options={"idle": IDLE}) as one:
        one.sf.wish({"fail_next": [{"on": "post", "status": 500, "skip": 1, "count": 1000}]})
        await one.begin(said=(Said("m", "visitor", "hello"),))
        await one.accepted()
        one.desk.say(one.sid, "a0")
        await until(lambda: one.words())
        with pytest.raises(DeliveryError):
            await one.connector.on_message(turn("v0"))
        one.sf.wish({"clear_failures": True})
        await silent(one, 60)
        assert done(one) == []


async def test_timer_that_rings_too_early_rings_again() -> None:
    async with alone(options={"idle": {"isEnabled": True, "warningTime": 0.05, "timeout": 0.1}}) as one:
        await asked(one)
        live = chat(one)
        rung, ring = [0], live._silence_due
        live._silence_due = lambda: (rung.append(1), ring())  # type: ignore[method-assign, assignment]
        live._arm()
        await until(lambda: len(rung) > 3)  # the clock stands still
        passed(one, 0.06)
        await until(lambda: done(one))
        await asyncio.sleep(0)

    assert done(one)[0] == "triggered"
