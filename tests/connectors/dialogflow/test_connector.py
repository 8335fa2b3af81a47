"""The connector against the simulator, over gRPC on a real socket: ES and CX."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

from connectors.dialogflow import client
from connectors.dialogflow.dialogue import FALLBACK, GREETING
from connectors.dialogflow.draft import CLOSE, HANDOVER, Event, event_option
from omnibridge.clock import SystemClock
from omnibridge.connector import (
    Choices,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    Handover,
    Reply,
    Text,
)
from omnibridge.connector.testing import turn
from tests.conftest import until
from tests.connectors.dialogflow.bots import CX, bot, but_facts, settings

EDITIONS = pytest.mark.parametrize("edition", [{}, CX], ids=["es", "cx"])


@EDITIONS
async def test_turn_with_everything_that_goes_along(edition: dict[str, Any]) -> None:
    facts = {"visitor.language": "de-AT", "visitor_name": "Vera", "room.vip": True}
    async with bot(languages=["en", "de"], fields={"ticket": "case"}, sentiment_field="mood", **edition) as agent:
        reply = await agent.connector.on_message(turn("note A17", facts=facts, delivery_id="d1", late=True))
        again = await agent.connector.on_message(turn("note A17", facts=facts, delivery_id="d2"))
        asked = (await agent.turns())[0]

    assert but_facts(reply) == Reply((Text("Noted."),), fields={"case": "A17", "mood": "-0.50"})
    told = {"intent": "note", "intent_confidence": 1.0, "sentiment_score": -0.5, "sentiment_magnitude": 0.5}
    assert reply.facts == again.facts == told
    assert reply.intent == "note"
    assert again.fields == {}  # the agent repeats its parameters; they are written when they change
    assert (asked["language"], asked["delivery_id"], asked["late"]) == ("de", "d1", True)
    assert asked["contexts"] == ([] if edition else ["omnibridge_turn", "omnibridge"])


@EDITIONS
async def test_choices_events_and_what_sends_nothing(edition: dict[str, Any]) -> None:
    async with bot(welcome="Welcome", **edition) as agent:
        said = agent.connector.on_message
        assert but_facts(await agent.connector.on_start(turn(""))) == Reply((Text(GREETING),))
        menu = await said(turn("menu"))
        event = event_option("x", Event("order_status", {"order": "B2"})).value
        order = await said(turn("x", choice_value=event))
        assert but_facts(await said(turn("x", choice_value=HANDOVER + "sales"))) == Reply(
            handover=Handover("sales", "chosen by the visitor")
        )
        assert but_facts(await said(turn("x", choice_value=CLOSE))) == Reply(close=True)
        assert but_facts(await said(turn("  "))) == Reply()
        turns = await agent.turns()

    assert isinstance(menu.parts[0], Choices)
    assert [each.label for each in menu.parts[0].options] == [
        "Show a picture",
        "Talk to sales",
        "Talk to a person",
        "Finish",
    ]
    assert but_facts(order) == Reply((Text("Order B2 is on its way."),))
    assert [each["event"] or each["message"] for each in turns] == ["Welcome", "menu", "order_status"]


@EDITIONS
async def test_signals(edition: dict[str, Any]) -> None:
    async with bot(silent_text="Pardon?", **edition) as agent:
        said = agent.connector.on_message
        sales, bye, unclear, silent = [
            await said(turn(each)) for each in ("talk to sales", "close", "qwe", "be silent")
        ]

    assert sales.handover
    assert (sales.handover.department, sales.close) == ("sales", True)  # the core lets the handover win
    assert (bye.close, bye.handover) == (True, None)
    assert but_facts(unclear) == Reply((Text(FALLBACK),), fallback=True)
    assert but_facts(silent) == Reply((Text("Pardon?"),), fallback=True)


@EDITIONS
async def test_failure_of_the_agents_webhook_is_no_misunderstanding(edition: dict[str, Any]) -> None:
    async with bot(**edition) as agent:
        reply = await agent.connector.on_message(turn("price"))

    assert but_facts(reply) == Reply((Text("It was 7 yesterday."),))
    assert agent.fake.counts["agent_webhook_failed"] == 1
    assert agent.fake.lines == [("agent_webhook_failed", {"delivery": "1", "codes": [4]})]


@EDITIONS
async def test_what_is_lost_is_counted_and_told_with_its_intent(edition: dict[str, Any]) -> None:
    async with bot(**edition) as agent:
        await agent.connector.on_message(turn("cannot be shown"))

    assert agent.fake.counts["degraded_payload-unknown"] == 1
    assert [name for name, _ in agent.fake.lines] == ["content_degraded"]
    assert agent.fake.lines[0][1]["intent"] == "unknown"


async def test_long_text_reaches_the_agent_in_pieces() -> None:
    sentence = "Please tell me about order A10023 and all that belongs to it. "
    text = (sentence * 8).strip()
    async with bot() as agent:
        reply = await agent.connector.on_message(turn(text))
        turns = await agent.turns()

    assert len(turns) == 2
    assert " ".join(each["message"] for each in turns) == text
    assert but_facts(reply) == Reply((Text("Order A10023 is on its way."),) * 2)
    assert agent.fake.counts["long_texts"] == 1
    assert agent.fake.counts["long_texts_cut"] == 0


async def test_piece_that_was_understood_speaks_for_all() -> None:
    async with bot() as agent:
        reply = await agent.connector.on_message(turn("blah. " * 50 + "echo that is it"))
        nothing = await agent.connector.on_message(turn("blah. " * 80))

    assert (reply.parts, reply.fallback) == ((Text(FALLBACK),), True)  # `echo` is in the middle of a piece
    assert but_facts(nothing) == Reply((Text(FALLBACK),), fallback=True)  # said once, not once for each piece


async def test_long_text_in_other_ways() -> None:
    text = "x " * 300
    async with bot(long_text="cut") as agent:
        await agent.connector.on_message(turn(text))
        assert [len(each["message"]) for each in await agent.turns()] == [255]
        assert agent.fake.counts["long_texts_cut"] == 1
    async with bot(long_text="tell", long_text_answer="Too long.") as agent:
        assert but_facts(await agent.connector.on_message(turn(text))) == Reply((Text("Too long."),))
        assert await agent.turns() == []
    async with bot(**CX) as agent:
        await agent.connector.on_message(turn(text))
        assert [len(each["message"]) for each in await agent.turns()] == [599]


async def test_contexts_are_given_back_after_a_person_talked() -> None:
    async with bot() as agent:
        await agent.connector.on_message(turn("remember A7"))
        await agent.connector.on_close("s1", "handed over")
        await agent.control(forget=True)
        told = await agent.connector.on_message(turn("recall"))
        await agent.control(forget=True)
        later = await agent.connector.on_message(turn("recall"))
        other = await agent.connector.on_message(turn("recall", session_id="s2"))

    assert but_facts(told) == Reply((Text("You said A7."),))
    # It surely knows them itself, right after a turn.
    assert but_facts(later) == but_facts(other) == Reply((Text("I do not remember."),))
    assert agent.fake.counts["contexts_given_back"] == 1


async def test_contexts_are_not_kept_for_ever_nor_after_the_end() -> None:
    async with bot(keep_contexts_s=0) as agent:
        await agent.connector.on_message(turn("remember A7"))
        await agent.connector.on_close("s1", "handed over")
        await agent.control(forget=True)
        assert but_facts(await agent.connector.on_message(turn("recall"))) == Reply((Text("I do not remember."),))
    async with bot(close_event="bye") as agent:
        await agent.connector.on_message(turn("remember A7"))
        await agent.connector.on_close("s1", "closed")
        await agent.control(forget=True)
        assert but_facts(await agent.connector.on_message(turn("recall"))) == Reply((Text("I do not remember."),))
        assert [each["event"] for each in await agent.turns()] == ["", "bye", ""]


async def test_session_is_kept_alive_while_a_person_talks_and_no_longer() -> None:
    async with bot(keep_alive_event="ping", keep_alive_every_s=0.05, keep_contexts_s=1) as agent:
        await agent.connector.on_message(turn("remember A7"))
        await agent.connector.on_close("s1", "a person serves")
        await until(lambda: agent.fake.counts["keep_alive"] >= 3)
        await agent.connector.on_message(turn("recall"))
        alive = agent.fake.counts["keep_alive"]
        await agent.connector.on_close("s1", "handed over")
        await until(lambda: agent.fake.counts["keep_alive"] > alive)
        sessions = agent.connector._sessions
        await until(lambda: not sessions.due(SystemClock().now_ms(), 0))  # the cap
        last = agent.fake.counts["keep_alive"]
        events = [each["event"] for each in await agent.turns()]

    assert last <= events.count("ping") <= last + 1 <= 30
    assert events.index("ping") == 1


@EDITIONS
@pytest.mark.parametrize(
    ("switches", "kind", "code", "worked_on"),
    [
        ({"down": True}, DeliveryRetryable, "not-sent", 0),
        ({"fail_next": [{"code": "RESOURCE_EXHAUSTED"}]}, DeliveryRetryable, "quota", 0),
        ({"fail_next": [{"code": "UNAVAILABLE"}]}, DeliveryUncertain, "unavailable", 0),
        ({"fail_next": [{"code": "cut", "after_effect": True}]}, DeliveryUncertain, "unavailable", 1),
        ({"fail_next": [{"code": "hang", "after_effect": True}]}, DeliveryUncertain, "no-answer", 1),
        ({"fail_next": [{"code": "INTERNAL", "after_effect": True}]}, DeliveryUncertain, "internal", 1),
        ({"dead": True}, DeliveryUncertain, "no-answer", 0),
        ({"fail_next": [{"code": "UNAUTHENTICATED", "count": 2}]}, DeliveryRejected, "unauthorized", 0),
        ({"fail_next": [{"code": "PERMISSION_DENIED"}]}, DeliveryRejected, "forbidden", 0),
        ({"fail_next": [{"code": "NOT_FOUND"}]}, DeliveryRejected, "not-found", 0),
    ],
)
async def test_failures_by_class_within_the_time(
    edition: dict[str, Any], switches: dict[str, Any], kind: type[DeliveryError], code: str, worked_on: int
) -> None:
    async with bot(turn_timeout_s=1.0 if code == "no-answer" else 30.0, **edition) as agent:
        await agent.connector.on_message(turn("echo before"))
        await agent.control(**switches)
        if "down" in switches:  # a call on a connection that is not known to be gone would be uncertain
            await until(lambda: not agent.is_connected)
        began = time.monotonic()
        with pytest.raises(kind) as failed:
            await agent.connector.on_message(turn("echo secret words"))
        took_s = time.monotonic() - began
        if any(each["code"] == "cut" for each in switches.get("fail_next", ())):
            await until(lambda: not agent.is_connected)  # as above: the call may fail a moment before
        await agent.control(down=False, dead=False, clear_failures=True)
        async with asyncio.timeout(30):  # the channel comes back by itself
            while True:
                try:
                    after = await agent.connector.on_message(turn("echo after"))
                    break
                except DeliveryRetryable:
                    await asyncio.sleep(0.05)
                except DeliveryUncertain:
                    assert "dead" in switches  # the old connection does not know yet that it is dead
        turns = await agent.turns()

    assert failed.value.code == code
    assert "secret" not in str(failed.value)
    assert took_s < 10
    assert but_facts(after) == Reply((Text("after"),))
    assert sum(bool(each.get("side_effects")) for each in turns if "secret" in each["message"]) == worked_on


async def test_connection_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake over a long way is no failure; without an end it is one, and nothing was sent."""
    async with bot() as agent:
        await agent.control(connect_ms=1300)
        assert but_facts(await agent.connector.on_message(turn("echo far away"))) == Reply((Text("far away"),))
    async with bot() as agent:
        await agent.control(connect_ms=60_000)
        monkeypatch.setattr(client, "CONNECT_S", 0.5)
        began = time.monotonic()
        with pytest.raises(DeliveryRetryable) as told:
            await agent.connector.on_message(turn("echo nowhere"))

    assert told.value.code == "not-sent"
    assert 0.4 < time.monotonic() - began < 2


@EDITIONS
async def test_event_that_the_agent_asks_for_is_part_of_the_turn(edition: dict[str, Any]) -> None:
    async with bot(**edition) as agent:
        both = await agent.connector.on_message(turn("forward"))
        turns = await agent.turns()

    assert but_facts(both) == Reply((Text("Let me see."), Text("Order C3 is on its way.")))
    assert [each["message"] or each["event"] for each in turns] == ["forward", "order_status"]


async def test_close_under_a_call_is_uncertain_and_no_cancellation() -> None:
    async with bot() as agent:
        await agent.control(fail_next=[{"code": "hang", "after_effect": True}])
        asked = asyncio.create_task(agent.connector.on_message(turn("echo one")))
        async with asyncio.timeout(30):
            while not await agent.turns():
                await asyncio.sleep(0.005)
        await agent.connector.aclose()
        with pytest.raises(DeliveryUncertain) as told:
            await asked

    assert told.value.code == "cut"


async def test_close_event_that_may_have_arrived_is_not_sent_again() -> None:
    async with bot(close_event="bye", languages=["en", "de"]) as agent:
        await agent.connector.on_message(turn("echo one", facts={"visitor.language": "de"}))
        await agent.control(fail_next=[{"code": "INTERNAL", "after_effect": True}])
        await agent.connector.on_close("s1", "closed")
        await agent.control(down=True)
        await until(lambda: not agent.is_connected)
        with pytest.raises(DeliveryRetryable):  # this one is: it was certainly not sent
            await agent.connector.on_close("s2", "closed")
        turns = await agent.turns()

    assert [(each["event"], each["language"]) for each in turns] == [("", "de"), ("bye", "de")]
    assert agent.fake.counts["close_event_uncertain"] == 1


async def test_s2_01_refused_token_is_renewed_and_the_turn_given_once_more() -> None:
    async with bot() as agent:
        await agent.control(fail_next=[{"code": "UNAUTHENTICATED", "count": 3}])
        replies = await asyncio.gather(
            *(agent.connector.on_message(turn(f"echo {n}", session_id=f"s{n}")) for n in range(5))
        )
        turns = await agent.turns()

    assert [but_facts(each) for each in replies] == [Reply((Text(str(n)),)) for n in range(5)]
    assert agent.fake.counts["tokens_renewed"] == 3
    assert sorted(each["message"] for each in turns if each.get("side_effects")) == [f"echo {n}" for n in range(5)]


async def test_end_waits_for_nobody() -> None:
    """Neither for a call that hangs on the channel in use, nor for one on a channel whose token was refused."""
    async with bot() as agent:
        hangs = {"code": "hang", "after_effect": True}
        await agent.control(fail_next=[hangs, {"code": "UNAUTHENTICATED"}, hangs])
        asked = []
        for number in range(2):
            asked.append(
                asyncio.create_task(agent.connector.on_message(turn(f"echo {number}", session_id=f"s{number}")))
            )
            async with asyncio.timeout(30):
                while len([each for each in await agent.turns() if each.get("side_effects")]) <= number:
                    await asyncio.sleep(0.005)
        began = time.monotonic()
        await agent.connector.aclose()
        took_s = time.monotonic() - began
        ended = await asyncio.gather(*asked, return_exceptions=True)

    assert took_s < 1
    assert [getattr(each, "code", each) for each in ended] == ["cut", "cut"]


async def test_tokens_are_signed_with_the_key() -> None:
    """On the loopback too, so that what signs them is what signs them for Google."""
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
    pem = keys[0].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = [
        each.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
        for each in keys
    ]
    key = {"type": "service_account", "client_email": "a@b.test", "private_key": pem.decode().replace("\n", "\\n")}
    async with bot(credentials=json.dumps(key)) as agent:
        await agent.control(public_key=public[0])
        assert but_facts(await agent.connector.on_message(turn("echo in"))) == Reply((Text("in"),))
        await agent.control(public_key=public[1])
        with pytest.raises(DeliveryRejected, match="make a new key"):
            await agent.connector.on_message(turn("echo out"))
    async with bot(credentials=json.dumps(key)) as agent:
        await agent.control(public_key=public[0])
        await agent.connector.on_message(turn("echo in"))
        assert agent.connector._client and agent.connector._client._line
        old = agent.connector._client._line._token_of
        hour_ago = int(time.time()) - 3600
        claims = {"iss": "a@b.test", "sub": "a@b.test", "iat": hour_ago - 3600, "exp": hour_ago}
        signer: Any = jwt
        old.token = signer.encode(crypt.RSASigner.from_string(pem), claims)  # its own clock says that it lives
        old.expiry = datetime.datetime.max
        assert but_facts(await agent.connector.on_message(turn("echo again"))) == Reply((Text("again"),))
        assert agent.fake.counts["tokens_renewed"] == 1
    async with bot() as agent:
        await agent.control(public_key=public[0])
        with pytest.raises(DeliveryRejected) as told:
            await agent.connector.on_message(turn("echo out"))

    assert told.value.code == "unauthorized"


async def test_second_piece_that_failed_makes_the_turn_uncertain() -> None:
    """The first one was worked on: the turn must not be given again as if it had not been."""
    async with bot() as agent:
        await agent.control(fail_next=[{"code": "RESOURCE_EXHAUSTED", "count": 0}])
        began = asyncio.create_task(agent.connector.on_message(turn("order A10023. " * 40)))
        await agent.control(delay_ms=100)
        async with asyncio.timeout(30):
            while not await agent.turns():
                await asyncio.sleep(0.005)
        await agent.control(fail_next=[{"code": "RESOURCE_EXHAUSTED"}])
        with pytest.raises(DeliveryUncertain) as told:
            await began

    assert told.value.code == "partly-given"


@EDITIONS
async def test_check_says_who_answers_and_what_is_wrong(edition: dict[str, Any]) -> None:
    async with bot(**edition) as agent:
        told = await agent.connector.check()
        await agent.control(fail_next=[{"code": "PERMISSION_DENIED"}])
        with pytest.raises(DeliveryRejected, match="Dialogflow API Client") as denied:
            await agent.connector.check()
        await agent.control(down=True)
        await until(lambda: not agent.is_connected)
        with pytest.raises(DeliveryRetryable, match="cannot be reached"):
            await agent.connector.check()
        asked = (await agent.turns())[0]

    assert told.startswith(f"Dialogflow {'CX' if edition else 'ES'}, project p, global, ")
    assert denied.value.code == "forbidden"
    assert asked["session"].endswith("/sessions/omnibridge-check")


async def test_new_settings_take_the_place_of_the_old_ones() -> None:
    async with bot(languages=["en"]) as agent:
        await agent.connector.on_message(turn("echo one"))
        changed = replace(agent.fake.make(settings(url=agent.url, languages=["fr"])), clock=SystemClock())
        await agent.connector.initialize(changed)
        await agent.connector.on_message(turn("echo two"))
        assert [each["language"] for each in await agent.turns()] == ["en", "fr"]
        await agent.connector.aclose()
        with pytest.raises(DeliveryRetryable, match="closed"):
            await agent.connector.on_message(turn("echo three"))
