"""What a service tells that is not as it was agreed on ends nothing, keeps nothing back and is told once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import connectors.salesforce_live_agent.chat as chat_module
import connectors.salesforce_live_agent.client as client_module
from connectors.salesforce_live_agent import messages as m
from connectors.salesforce_live_agent.client import LiveAgent, normalised
from connectors.salesforce_live_agent.poll import Post, answered, begun, moved
from omnibridge.connector.desks import Left
from tests.conftest import until
from tests.connectors.salesforce_live_agent.alone import alone
from tests.connectors.salesforce_live_agent.batches import BEGUN, WHO, batch, record
from tests.connectors.salesforce_live_agent.holders import holder
from tests.connectors.salesforce_live_agent.services import at_other_address
from tests.connectors.salesforce_live_agent.test_silence import chat


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "FIRST_PAUSE_S", 0.02)


HI = {"type": "ChatMessage", "message": WHO | {"text": "hi"}}


def told(*rows: Any, **changes: Any) -> bytes:
    return json.dumps({"messages": rows, "sequence": 7, "offset": 3, **changes}).encode()


@pytest.mark.parametrize(
    "row", [None, 7, {}, {"type": 7}, {"type": "ChatMessage", "message": []}, {"type": "AgentTyping", "message": "x"}]
)
def test_row_that_is_none_keeps_no_other_back(row: Any) -> None:
    step = answered(BEGUN, "poll", 200, told(row, HI))

    assert (step.session.ack, step.pauses) == (7, False)
    assert [each.text for each in step.events if isinstance(each, m.Said)] == ["hi"]


def test_words_that_cannot_be_read_are_kept_to_be_read_later() -> None:
    step = answered(BEGUN, "poll", 200, told({"type": "ChatMessage", "message": ["x"]}))

    (event,) = step.events
    assert isinstance(event, m.Unreadable) and event.kind == "ChatMessage"
    with pytest.raises(ValueError, match="cannot be read"):
        m.read_again(event)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sequence": "7"}, (7, 3)),
        ({"sequence": 7.0}, (7, 3)),
        ({"offset": "11"}, (7, 11)),
        ({"offset": "x"}, (7, 9)),
        ({"offset": None}, (7, 9)),
        ({"messages": HI}, (7, 3)),
    ],
)
def test_numbers_may_be_texts(changes: dict[str, Any], expected: tuple[int, int]) -> None:
    step = answered(BEGUN, "poll", 200, told(HI, **changes))

    assert (step.session.ack, step.session.offset) == expected
    assert [each.text for each in step.events if isinstance(each, m.Said)] == ["hi"]


@pytest.mark.parametrize("given", [{"sequence": None}, {"sequence": "x"}, {"sequence": True}, {"sequence": 1.5}])
def test_batch_without_a_number_comes_again(given: dict[str, Any]) -> None:
    assert answered(BEGUN, "poll", 200, told(HI, **given)) == (BEGUN, (), True)


def test_nesting_without_end_is_no_answer() -> None:
    body = b'{"sequence":7,"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert answered(BEGUN, "poll", 200, body) == (BEGUN, (), True)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (rb'"cut \ud83d"', "cut \N{REPLACEMENT CHARACTER}"),
        (rb'"\ude00 whole \ud83d\ude00"', "\N{REPLACEMENT CHARACTER} whole \N{GRINNING FACE}"),
        (rb'"\\ud83d \ud83d"', "\\ud83d \N{REPLACEMENT CHARACTER}"),
        (b'"latin \xe9"', "latin \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_text_that_was_cut_within_a_character_is_told(raw: bytes, text: str) -> None:
    body = b'{"messages":[{"type":"ChatMessage","message":{"text":%b}}],"sequence":7}' % raw
    (said,) = answered(BEGUN, "poll", 200, body).events

    assert isinstance(said, m.Said) and said.text == text


@pytest.mark.parametrize("idle", [{}, {"warningTime": "nan", "timeout": "x"}, {"warningTime": 0, "timeout": 0}, "x", 7])
@pytest.mark.parametrize("name", ["Bo", 7, None, ["x"]])
def test_agent_is_there_whatever_else_is_told_of_him(idle: Any, name: Any) -> None:
    given = {"isEnabled": True, **idle} if isinstance(idle, dict) else idle
    established = {"type": "ChatEstablished", "message": {"name": name, "chasitorIdleTimeout": given}}
    step = answered(BEGUN, "poll", 200, told(established))

    assert step.session.has_agent
    assert step.events == (m.Established(m.Agent("Bo" if name == "Bo" else ""), idle=None),)


def test_numbers_of_the_queue_are_never_more_than_somebody_can_read() -> None:
    for given in (b"1e308", b"1e400", b"-5", b'"x"', b"NaN", b"[]", b"9" * 400):
        rows = b'{"type":"QueueUpdate","message":{"position":%b,"estimatedWaitTime":%b}}' % (given, given)
        success = b'{"type":"ChatRequestSuccess","message":{"queuePosition":%b,"connectionTimeout":%b}}' % (
            given,
            given,
        )
        step = answered(BEGUN, "poll", 200, b'{"sequence":7,"messages":[%b,%b]}' % (rows, success))
        queued, requested = step.events
        assert isinstance(queued, m.Queued) and 0 <= queued.position <= m.MOST
        assert isinstance(requested, m.Requested) and 0 <= requested.position <= m.MOST
        assert requested.timeout_s > 0


async def test_batch_with_odd_rows_over_a_socket() -> None:
    async with alone() as one:
        await one.begin()
        await one.accepted()
        one.sf.wish({"options": {"paused": True}})
        one.sf.service.sessions[one.sid].fresh += [None, {"type": 7}]  # type: ignore[list-item]
        one.desk.say(one.sid, "a0 \ud83d")
        one.sf.wish({"options": {"paused": False}})
        await until(lambda: one.words() == [("Alex Agent", "a0 \N{REPLACEMENT CHARACTER}")])


async def test_batch_that_is_too_large_ends_the_chat_and_not_the_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 5_000)
    async with alone() as one:
        await one.begin()
        await one.accepted()
        one.desk.say(one.sid, "a" * 6_000)
        await until(lambda: one.session.events[-1] == Left("too-large"))


async def test_service_that_tells_nothing_at_once_is_not_asked_without_a_pause() -> None:
    async with alone(options={"poll_s": 0}) as one:
        await one.begin()
        await one.accepted()
        pauses: list[float] = []
        running = chat(one).chat
        assert running is not None

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(0.01)

        running._sleep = sleep
        await until(lambda: len(pauses) > 3)
        one.desk.say(one.sid, "a0")
        await until(lambda: one.words() == [("Alex Agent", "a0")])


@pytest.mark.parametrize("noun", ["ChasitorTyping", "SensitiveDataRuleTriggered", "CustomEvent"])
async def test_post_that_is_never_taken_keeps_no_words_back(noun: str) -> None:
    rule = {"id": "1", "name": "n", "pattern": "secret", "actionType": "Remove"}
    async with alone(options={"fails": [noun], "rules": [rule]}, event_on_accept="facts") as one:
        await one.begin(facts={"room": "r"})
        await one.accepted()
        await one.say("secret v0")
        await one.type(True)
        await one.say("v1")

    assert one.heard() == ["v0", "v1"] and not one.refused


async def test_org_that_moves_may_say_so_instead_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = LiveAgent.judged
    is_evil = "evil.example"
    monkeypatch.setattr(LiveAgent, "judged", lambda self, to: judged(self, to) if is_evil in to else normalised(to))
    async with alone() as one:
        await one.begin()
        await one.accepted()
        async with at_other_address(one.sf) as url:
            for new in ("https://evil.example", url):
                switch = {"messages": [{"type": "SwitchServer", "message": {"newUrl": f"{new}/chat"}}]}
                one.sf.wish({"fail_next": [{"on": "poll", "status": 200, "body": json.dumps(switch)}]})
                await until(lambda: not one.sf.faults.waiting)
            await until(lambda: one.kept.session and one.kept.session.base == f"{url}/chat/rest/")
            one.desk.say(one.sid, "a0")
            await one.say("v0")
            await until(lambda: one.words() == [("Alex Agent", "a0")])

    assert one.context.counts["foreign_hosts"] == 1


# -- moves ---------------------------------------------------------------------------------------------------


async def test_servers_between_which_a_session_goes_back_and_forth_each_count_by_themselves() -> None:
    """The same affinity and the same sequence name another batch then."""
    async with alone(options={"two_servers": True}) as one:
        await one.begin()
        await one.accepted()
        expected = []
        for at in range(6):
            one.desk.move(one.sid)
            await until(lambda: one.kept.session and one.kept.session.phase == "polling")
            await one.say(f"v{at}")
            one.desk.say(one.sid, f"a{at}")
            expected.append(("Alex Agent", f"a{at}"))
            await until(lambda at=at: len(one.words()) > at)

    assert one.words() == expected
    assert one.heard() == [f"v{at}" for at in range(6)]


async def test_numbers_that_go_on_after_a_move_swallow_no_words() -> None:
    async with holder(resets=False, timeout_s=2) as one, one.running():
        await one.say("one")
        for at in range(3):
            one.service.faults.add([{"on": "post", "status": 503, "after_effect": bool(at % 2)}])
            await one.say(f"during {at}")
            await one.say(f"after {at}")

    assert one.arrived == ["one", *(f"{when} {at}" for at in range(3) for when in ("during", "after"))]


@pytest.mark.parametrize("text", ["a &lt;b&gt; c", "a <b> c", "&amp;lt;"])
@pytest.mark.parametrize("escapes", [True, False])
def test_words_with_entities_are_known_again_in_the_record(text: str, escapes: bool) -> None:
    session = begun(BEGUN, Post("1", "ChatMessage", {"text": text}))
    line = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") if escapes else text
    away = answered(moved(session).session, "reconnect", 200, batch(("ReconnectSession", {"affinityToken": "b"})))
    step = answered(away.session, "poll", 200, batch(record(f"v:{line}")))

    assert step.session.done == ("1",)


@pytest.mark.parametrize("lines", [None, 7, {}, [None, {}, {"type": "Agent"}, {"type": "Agent", "content": {"a": 1}}]])
def test_record_with_lines_that_cannot_be_read_is_one(lines: Any) -> None:
    away = answered(moved(BEGUN).session, "reconnect", 200, batch(("ReconnectSession", {"affinityToken": "b"})))
    step = answered(away.session, "poll", 200, batch(("ChasitorSessionData", {"chatMessages": lines})))

    assert step.session.phase == "resyncing"
    n_lost = sum(isinstance(each, m.Unreadable) for each in step.events)
    assert n_lost == (1 if isinstance(lines, list) else 0)


def test_end_stays_one_whatever_follows_in_its_batch() -> None:
    step = answered(
        BEGUN, "poll", 200, batch(("ChatEnded", {"reason": "agent"}), record("a:x"), ("ChatEstablished", WHO))
    )

    assert (step.session.phase, step.session.has_agent) == ("over", False)
