"""Pure parts: messages, failures, silence, addresses."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import pytest

from connectors.salesforce.ids import long_id
from connectors.salesforce_live_agent import messages as m
from connectors.salesforce_live_agent.client import normalised
from connectors.salesforce_live_agent.errors import ServerMoved, SessionGone, from_exception, from_status
from connectors.salesforce_live_agent.idle import Silence
from connectors.salesforce_live_agent.messages import read_batch, read_reconnected
from connectors.salesforce_live_agent.poll import (
    Post,
    Session,
    answered,
    begun,
)
from connectors.salesforce_live_agent.rules import Rule
from omnibridge.connector import (
    ConfigError,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from tests.connectors.salesforce_live_agent.batches import BEGUN, WHO, batch

ALEX = m.Agent("Alex & Co", long_id("0053g000000usWa"))


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (
            "ChatRequestSuccess",
            {"queuePosition": 2, "estimatedWaitTime": -1, "connectionTimeout": 150000, "visitorId": "v"},
            m.Requested(2, None, 150.0, "v"),
        ),
        ("QueueUpdate", {"position": 0, "estimatedWaitTime": 9}, m.Queued(0, 9)),
        ("ChatRequestFail", {"reason": "Unavailable"}, m.Failed("Unavailable")),
        ("ChatEstablished", WHO | {"sneakPeekEnabled": True}, m.Established(ALEX, True)),
        (
            "ChatEstablished",
            WHO | {"chasitorIdletimeout": {"isEnabled": True, "warningTime": 5, "timeout": 9}},
            m.Established(ALEX, idle=m.Idle(5, 9)),
        ),
        (
            "ChatTransferred",
            WHO | {"chasitorIdleTimeout": {"isEnabled": False}},
            m.Established(ALEX, is_transfer=True),
        ),
        ("ChatMessage", WHO | {"text": "a &lt; b"}, m.Said("a < b", ALEX)),
        ("ChatMessage", {"text": "x", "name": "Bo", "agentId": "no id"}, m.Said("x", m.Agent("Bo"))),
        ("AgentTyping", {"name": "Bo", "agentId": "5f0c7d0e-8a4b"}, m.Typing(True, "Bo")),
        ("AgentNotTyping", {"name": "Bo"}, m.Typing(False, "Bo")),
        ("TransferToButtonInitiated", None, m.Requeued(False)),
        ("AgentDisconnect", {}, m.Requeued(True)),
        ("AgentJoinedConference", {"name": "Bo"}, m.Conference("Bo", True)),
        ("AgentLeftConference", {"name": "Bo"}, m.Conference("Bo", False)),
        ("ChatEnded", {"reason": "agent"}, m.Ended("agent")),
        ("ChatEnded", {}, m.Ended("unknown")),
        ("CustomEvent", {"type": "t", "data": "d"}, m.CustomEvent("t", "d")),
        (
            "FileTransfer",
            {"type": "Requested", "uploadServletUrl": "u", "cdmServletUrl": "c", "fileToken": "t"},
            m.FileWanted("u", "c", "t"),
        ),
        ("FileTransfer", {"type": "Canceled", "fileToken": "t"}, m.FileOutcome("Canceled", "t")),
        ("RichMessage", {"items": [{"text": "One"}, {"text": "Two"}]}, m.Said("One\nTwo", m.Agent(""), is_rich=True)),
        ("SensitiveDataRules", {"sensitiveDataRules": [{"id": "1"}]}, m.Rules((Rule("1"),))),
        ("SwitchServer", {"newUrl": "https://x"}, m.SwitchServer("https://x")),
        (
            "ChasitorSessionData",
            {"chatMessages": [{"type": "Agent", "name": "Bo", "content": "a &gt; b", "sequence": 1}]},
            m.Restored((m.Line("Agent", "Bo", "a > b"),)),
        ),
        ("ChatMessage", {}, m.Unreadable("ChatMessage", {})),
        ("ChatMessage", {"text": 7}, m.Unreadable("ChatMessage", {"text": 7})),
        ("FileTransfer", None, m.Unreadable("FileTransfer")),
    ],
)
def test_message_is_what_happened(kind: str, message: Any, expected: m.Event) -> None:
    assert read_batch(batch((kind, message))).events == (expected,)


def test_what_happened_and_the_state_can_be_kept_as_bytes() -> None:
    found = read_batch(batch(("ChatEstablished", WHO), ("ChatMessage", WHO | {"text": "hi"}), ("ChatEnded", {}))).events
    state = begun(BEGUN, Post("1", "ChatMessage", {"text": "x"}))

    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[m.Event, ...]) == found
    assert msgspec.json.decode(msgspec.json.encode(state), type=Session) == state
    assert (BEGUN.told_key, answered(BEGUN, "poll", 403, b"").session.told_key) == ("a.4", "a.4.over")


def test_batch_is_read_in_its_order_and_unknown_kinds_are_nothing() -> None:
    found = read_batch(batch(("ChatEstablished", WHO), ("Novel", 7 and {}), ("ChatMessage", WHO | {"text": "hi"})))

    assert [type(each) for each in found.events] == [m.Established, m.Said]
    for wrong in (b"", b"<html>", b"[]", b'{"messages": 7, "sequence": 1}', b'{"messages": []}'):
        with pytest.raises(ValueError):
            read_batch(wrong)


def test_reconnected() -> None:
    assert read_reconnected(batch(("ReconnectSession", {"affinityToken": "b"}))) == m.Reconnected("b", True)
    whole = batch(("ReconnectSession", {"affinityToken": "b", "resetSequence": False}))
    assert read_reconnected(whole) == m.Reconnected("b", False)
    with pytest.raises(ValueError):
        read_reconnected(batch(("ReconnectSession", {})))


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (302, DeliveryRejected, "redirect"),
        (400, DeliveryRejected, "bad-request"),
        (403, SessionGone, "expired"),
        (404, DeliveryRejected, "not-found"),
        (405, DeliveryRejected, "not-found"),
        (409, SessionGone, "duplicate-poll"),
        (429, DeliveryRetryable, "http-429"),
        (500, DeliveryUncertain, "http-500"),
        (502, DeliveryUncertain, "http-502"),
        (503, ServerMoved, "moved"),
    ],
)
def test_status_says_what_may_be_done(status: int, kind: type[DeliveryError], code: str) -> None:
    found = from_status(status)

    assert type(found) is kind and found.code == code


def test_failures_of_the_transport() -> None:
    assert isinstance(from_exception(httpx2.ConnectError("secret")), DeliveryRetryable)
    assert isinstance(from_exception(httpx2.ReadError("secret")), DeliveryUncertain)
    assert isinstance(from_exception(TimeoutError()), DeliveryUncertain)
    assert "secret" not in str(from_exception(httpx2.ReadError("secret")))


def test_silence_is_warned_once_and_ends() -> None:
    idle = m.Idle(10, 30)
    quiet = Silence().agent_said(1000)
    assert [quiet.due(idle, at) for at in (10_999, 11_000, 31_000)] == ["", "warn", "end"]
    warned = quiet.warned()
    assert [warned.due(idle, at) for at in (12_000, 31_000)] == ["", "end"]
    assert (quiet.next_ms(idle), warned.next_ms(idle), Silence().next_ms(idle)) == (11_000, 31_000, None)
    assert warned.visitor_said() == (Silence(), True) and quiet.visitor_said() == (Silence(), False)
    assert Silence().due(idle, 99_999) == "" and quiet.due(None, 99_999) == ""


@pytest.mark.parametrize("path", ["", "/", "/chat", "/chat/", "/chat/rest", "/chat/rest/"])
def test_endpoint_is_read_however_it_is_written(path: str) -> None:
    assert (
        normalised(f"https://d.la1.salesforceliveagent.com{path}") == "https://d.la1.salesforceliveagent.com/chat/rest/"
    )


@pytest.mark.parametrize("wrong", ["", "x", "http://d.la1.salesforceliveagent.com", "https://x/other"])
def test_endpoint_that_cannot_work(wrong: str) -> None:
    with pytest.raises(ConfigError):
        normalised(wrong)
