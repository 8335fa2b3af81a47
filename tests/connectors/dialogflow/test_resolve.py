"""What became of a turn whose call broke: read back from the session where that can be done."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest

from connectors.dialogflow.marker import MARKER
from omnibridge.connector import (
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    MemoryNotes,
    Reply,
    ResolvesTurns,
    Text,
)
from omnibridge.connector.testing import turn
from tests.conftest import until
from tests.connectors.dialogflow.bots import CX, Bot, bot, but_facts

BROKEN = {"code": "UNAVAILABLE", "after_effect": False}
ANSWER_LOST = {"code": "UNAVAILABLE", "after_effect": True}


async def broken(agent: Bot, text: str, delivery_id: str, **failure: Any) -> None:
    await agent.control(fail_next=[failure])
    with pytest.raises(DeliveryUncertain):
        await agent.connector.on_message(turn(text, delivery_id=delivery_id))


async def settled(agent: Bot, delivery_id: str) -> Reply | None:
    """What it says when it is known; the pause it asks for is kept."""
    asked = turn("echo", delivery_id=delivery_id)
    with pytest.raises(DeliveryRetryable) as early:
        await agent.connector.resolve(asked)
    assert (early.value.code, early.value.retry_after_s) == ("not-known-yet", pytest.approx(0.2, abs=0.1))
    agent.at(early.value.retry_after_s or 0)
    with pytest.raises(DeliveryRetryable) as cleared:
        await agent.connector.resolve(asked)
    assert (cleared.value.code, cleared.value.retry_after_s, cleared.value.answered) == ("not-known-yet", 0, True)
    return await agent.connector.resolve(asked)


async def test_turn_that_never_arrived_is_told_so_after_the_pause() -> None:
    async with bot(settle_s=0.2) as agent:
        await agent.connector.on_message(turn("echo before", delivery_id="d0"))
        await broken(agent, "echo one", "d1", **BROKEN)

        assert isinstance(agent.connector, ResolvesTurns)
        assert await settled(agent, "d1") is None
        assert agent.fake.counts["turns_not_arrived"] == 1
        assert await agent.reads() == 3
        assert [each["message"] for each in await agent.turns() if each.get("side_effects")] == ["echo before"]


async def test_first_turn_of_a_conversation_is_believed_only_when_markers_can_be_read_here() -> None:
    async with bot(settle_s=0.2) as agent:
        await broken(agent, "echo one", "d1", **BROKEN)
        assert await settled(agent, "d1") is None
        await broken(agent, "echo two", "d2", **BROKEN)
        assert await settled(agent, "d2") is None
        events = [each["event"] for each in await agent.turns()]
    async with bot(settle_s=0.2) as agent:
        await agent.control(unreadable=True)
        await agent.connector.on_message(turn("echo before", delivery_id="d0"))
        await broken(agent, "echo one", "d1", **ANSWER_LOST)
        with pytest.raises(DeliveryRejected) as told:
            await settled(agent, "d1")

    assert events == ["", "omnibridge_check", ""]  # tried out once
    assert told.value.code == "uncertain"


PLACES = [
    ({"environment": "live"}, "projects/simulated/agent/environments/live/users/-/sessions/s1"),
    ({"location": "europe-west1"}, "projects/simulated/locations/europe-west1/agent/sessions/s1"),
    (
        {"location": "europe-west1", "environment": "live"},
        "projects/simulated/locations/europe-west1/agent/environments/live/users/-/sessions/s1",
    ),
    (
        {**CX, "location": "europe-west3", "environment": "live", "flow_versions": ["f1/3"]},
        f"projects/simulated/locations/europe-west3/agents/{CX['agent']}/environments/live/sessions/s1",
    ),
]


@pytest.mark.parametrize(("given", "path"), PLACES)
async def test_agent_of_a_region_and_environment_is_asked_there_and_read_back_there(
    given: dict[str, Any], path: str
) -> None:
    async with bot(project="simulated", **given) as agent:
        assert but_facts(await agent.connector.on_message(turn("echo one"))) == Reply((Text("one"),))
        assert (await agent.turns())[0]["session"] == path
        if "edition" not in given:
            await broken(agent, "echo two", "d2", **ANSWER_LOST)
            with pytest.raises(DeliveryRejected, match="its answer is lost"):
                await agent.connector.resolve(turn("echo two", delivery_id="d2"))


async def test_pause_goes_on_over_a_restart_and_begins_anew_for_a_turn_that_was_given_again() -> None:
    """A process that dies before it can give the turn again has waited; one that died in doing so must wait anew."""
    notes, asked = MemoryNotes(), turn("echo one", delivery_id="d1")

    async def told(agent: Bot) -> float | None:
        with pytest.raises(DeliveryRetryable) as found:
            await agent.connector.resolve(asked)
        return found.value.retry_after_s

    async with bot(notes=notes, settle_s=60) as agent:
        await broken(agent, "echo one", "d1", **BROKEN)
        assert await told(agent) == 60
    async with bot(notes=notes, settle_s=60) as agent:
        agent.at(50)
        assert await told(agent) == pytest.approx(10, abs=5)
        agent.at(20)
        assert await told(agent) == 0
    async with bot(notes=notes, settle_s=60) as agent:
        assert await told(agent) == 60


@pytest.mark.parametrize("code", ["UNAVAILABLE", "cut", "INTERNAL"])
async def test_turn_that_was_worked_on_is_known_at_once_and_not_given_again(code: str) -> None:
    async with bot(settle_s=60) as agent:
        await broken(agent, "echo one", "d1", code=code, after_effect=True)
        with pytest.raises(DeliveryRejected) as told:
            for _ in range(3):  # a connection that was cut may break the look as well, and the engine looks again
                with contextlib.suppress(DeliveryRetryable):
                    await agent.connector.resolve(turn("echo one", delivery_id="d1"))

    assert told.value.code == "answer-lost"
    assert agent.fake.counts["answers_lost"] == 1


async def test_lost_answer_may_be_told_in_words() -> None:
    async with bot(lost_text="Pardon? Say it again, please.") as agent:
        await broken(agent, "echo one", "d1", **ANSWER_LOST)
        reply = await agent.connector.resolve(turn("echo one", delivery_id="d1"))

    assert reply == Reply((Text("Pardon? Say it again, please."),), fallback=True)


async def test_turn_that_is_still_worked_on_comes_to_light() -> None:
    """Its call is over, the agent is not: right afterwards nothing shows it."""
    async with bot(settle_s=30, turn_timeout_s=0.2) as agent:
        await agent.control(delay_ms=500)
        with pytest.raises(DeliveryUncertain):
            await agent.connector.on_message(turn("echo slow", delivery_id="d1"))
        codes = []
        while "answer-lost" not in codes:
            with pytest.raises(DeliveryError) as told:
                await agent.connector.resolve(turn("echo slow", delivery_id="d1"))
            codes.append(told.value.code)

    assert codes[0] == "not-known-yet"


async def test_half_of_a_long_text_counts_as_worked_on() -> None:
    async with bot() as agent:
        text = "echo one. " * 40
        await agent.control(fail_next=[{**BROKEN, "after": 1}])
        with pytest.raises(DeliveryUncertain):
            await agent.connector.on_message(turn(text, delivery_id="d1"))
        with pytest.raises(DeliveryRejected) as told:
            await agent.connector.resolve(turn(text, delivery_id="d1"))

    assert told.value.code == "answer-lost"


@pytest.mark.parametrize("given", [CX, {"settle_s": 0}], ids=["cx", "switched-off"])
async def test_where_nobody_can_tell_nothing_is_asked(given: dict[str, Any]) -> None:
    async with bot(**given) as agent:
        await broken(agent, "echo one", "d1", **BROKEN)
        with pytest.raises(DeliveryRejected) as told:
            await agent.connector.resolve(turn("echo one", delivery_id="d1"))
        turns, reads = await agent.turns(), await agent.reads()

    assert told.value.code == "uncertain"
    assert reads == 0
    assert all(MARKER not in each["contexts"] for each in turns)


async def test_reading_back_that_fails_is_tried_later_and_a_refused_one_is_renewed() -> None:
    async with bot() as agent:
        await broken(agent, "echo one", "d1", **BROKEN)
        await agent.control(down=True)
        await until(lambda: not agent.is_connected)
        with pytest.raises(DeliveryRetryable) as told:
            await agent.connector.resolve(turn("echo one", delivery_id="d1"))
        await agent.control(down=False, public_key="no token fits this")
        with pytest.raises(DeliveryError) as refused:
            while True:
                try:
                    await agent.connector.resolve(turn("echo one", delivery_id="d1"))
                except DeliveryRetryable as exc:
                    assert exc.code == "not-sent"  # it connects again
                    await asyncio.sleep(0.01)

    assert told.value.code == "not-sent"
    assert refused.value.code == "unauthorized"
    assert agent.fake.counts["tokens_renewed"] == 1


@pytest.mark.parametrize("given", [{}, CX], ids=["es", "cx"])
async def test_call_that_a_leaving_server_did_not_look_at_is_made_again_by_grpc(given: dict[str, Any]) -> None:
    async with bot(**given) as agent:
        await agent.control(goaway=1)
        reply = await agent.connector.on_message(turn("echo one"))

        assert but_facts(reply) == Reply((Text("one"),))
        assert [each["message"] for each in await agent.turns()] == ["echo one"]


async def test_over_quota_waits_as_long_as_it_is_asked_to() -> None:
    async with bot() as agent:
        for wish, pause_s in ((2.5, 2.5), (0.1, 1.0), (3600, 60.0)):
            await agent.control(fail_next=[{"code": "RESOURCE_EXHAUSTED", "retry_s": wish}])
            with pytest.raises(DeliveryRetryable) as told:
                await agent.connector.on_message(turn("echo one"))
            assert told.value.retry_after_s == pause_s


async def test_wrong_project_is_named_and_not_tried_again() -> None:
    async with bot(project="other") as agent:
        await agent.control(project="simulated")
        began = time.monotonic()
        with pytest.raises(DeliveryRejected, match="projects/other/agent") as told:
            await agent.connector.on_message(turn("echo one"))

    assert told.value.code == "forbidden"
    assert time.monotonic() - began < 2
