"""Pure parts: messages, failures, the session as a state machine against a model of the server, silence, addresses."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce.ids import long_id
from connectors.salesforce_live_agent import messages as m
from connectors.salesforce_live_agent.client import normalised
from connectors.salesforce_live_agent.errors import NotYet, ServerMoved, SessionGone, from_exception, from_status
from connectors.salesforce_live_agent.idle import Silence
from connectors.salesforce_live_agent.messages import read_batch, read_reconnected
from connectors.salesforce_live_agent.poll import (
    Post,
    Session,
    answered,
    begun,
    given_up,
    moved,
    next_request,
    posted,
)
from connectors.salesforce_live_agent.rules import Rule
from omnibridge.connector import (
    ConfigError,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)

ALEX = m.Agent("Alex & Co", long_id("0053g000000usWa"))


def test_ids_are_those_of_the_other_connectors() -> None:
    assert long_id("00DgL0000044OAP") == "00DgL0000044OAPUA2"
    with pytest.raises(ValueError):
        long_id("00dgL0000044OAPUA2")


def batch(*found: tuple[str, Any], sequence: int = 7, offset: int | None = 3) -> bytes:
    rows = [{"type": kind, "message": message} for kind, message in found]
    body = {"messages": rows, "sequence": sequence} | ({} if offset is None else {"offset": offset})
    return json.dumps(body).encode()


WHO = {"name": "Alex &amp; Co", "userId": "0053g000000usWa", "agentId": "0053g000000usWa"}


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
    assert read_batch(batch((kind, message)))[1] == (expected,)


def test_what_happened_and_the_state_can_be_kept_as_bytes() -> None:
    found = read_batch(batch(("ChatEstablished", WHO), ("ChatMessage", WHO | {"text": "hi"}), ("ChatEnded", {})))[1]
    state = begun(BEGUN, Post("1", "ChatMessage", {"text": "x"}))

    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[m.Event, ...]) == found
    assert msgspec.json.decode(msgspec.json.encode(state), type=Session) == state
    assert (BEGUN.told_key, answered(BEGUN, "poll", 403, b"").session.told_key) == ("a.4", "a.4.over")


def test_batch_is_read_in_its_order_and_unknown_kinds_are_nothing() -> None:
    found = read_batch(batch(("ChatEstablished", WHO), ("Novel", 7 and {}), ("ChatMessage", WHO | {"text": "hi"})))

    assert [type(each) for each in found[1]] == [m.Established, m.Said]
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


BEGUN = Session("https://x/chat/rest/", "id", "key!1!secret", "a", ack=4, offset=9, has_agent=True)


def test_secret_is_not_shown() -> None:
    assert "secret" not in repr(BEGUN) and "secret" not in str(BEGUN)


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "expired"), (409, "duplicate-poll"), (404, "http-404"), (400, "http-400")]
)
def test_session_is_lost(status: int, reason: str) -> None:
    step = answered(BEGUN, "poll", status, b"")

    assert (step.session.phase, step.events, next_request(step.session)) == ("over", (m.Lost(reason),), None)


@pytest.mark.parametrize(("status", "body"), [(500, b""), (502, b""), (429, b""), (200, b"<html>"), (200, b"{}")])
def test_poll_that_failed_is_repeated_with_its_ack(status: int, body: bytes) -> None:
    step = answered(BEGUN, "poll", status, body)

    assert step == (BEGUN, (), True)


def test_poll_of_nothing_goes_on_at_once_and_a_repeat_is_nothing() -> None:
    assert answered(BEGUN, "poll", 204, b"") == (BEGUN, (), False)
    assert answered(BEGUN, "poll", 200, batch(("ChatMessage", WHO | {"text": "x"}), sequence=4)) == (BEGUN, (), False)


def test_way_back_after_a_move() -> None:
    step = answered(BEGUN, "poll", 503, b"")
    request = next_request(step.session)
    assert request is not None
    assert (request.path, request.affinity) == ("System/ReconnectSession", "null")
    assert request.query == {"ReconnectSession.offset": "9"}
    assert answered(step.session, "reconnect", 503, b"") == (step.session, (), True)
    step = answered(step.session, "reconnect", 200, batch(("ReconnectSession", {"affinityToken": "b"})))
    assert (step.session.affinity, step.session.sequence, step.session.ack) == ("b", 1, -1)
    with pytest.raises(NotYet):
        begun(step.session, Post("1", "ChatMessage", {"text": "x"}))
    assert answered(step.session, "poll", 204, b"").session == step.session
    step = answered(step.session, "poll", 200, batch(("ChasitorSessionData", {"chatMessages": []})))
    request = next_request(step.session)
    assert request is not None and (request.method, request.path) == ("POST", "Chasitor/ChasitorResyncState")
    assert answered(step.session, "resync", 503, b"").session.phase == "moved"
    assert answered(step.session, "resync", 200, b"OK").session.is_ready


def test_nothing_to_resume() -> None:
    step = moved(Session("https://x/chat/rest/", "id", "key", "a"))

    assert (step.session.phase, step.events) == ("over", (m.Lost("nothing-to-resume"),))


def record(*lines: str) -> tuple[str, Any]:
    """`a:` the agent's, `v:` the visitor's."""
    kinds = {"a": "Agent", "v": "Chasitor", "t": "OperatorTransferred"}
    rows = [{"type": kinds[each[0]], "name": "Bo", "content": each[2:]} for each in lines]
    return "ChasitorSessionData", {"chatMessages": rows}


@pytest.mark.parametrize(
    ("told", "lines", "rest", "expected"),
    [
        ([], ["a:1", "a:2"], [], ["1", "2"]),
        (["1"], ["a:1", "v:x", "a:2"], [], ["2"]),
        (["1", "2"], ["a:1", "a:2"], [], []),
        (["1", "1"], ["a:1", "a:1", "a:1"], [], ["1"]),
        (["1", "2", "3"], ["a:3", "a:4"], [], ["4"]),  # the record was cut
        (["1", "2", "3"], ["a:8", "a:9"], [], ["8", "9"]),  # … so that none of it is known
        (["1"], ["a:1", "a:2", "a:3"], ["2", "3"], ["2", "3"]),  # told again in the same batch
        (["1"], ["a:1", "a:2", "a:3"], ["2", "3", "3"], ["2", "3", "3"]),
        (["1"], ["a:1", "a:2"], ["4"], ["2", "4"]),
        (["1"], ["a:1", "a:2", "a:3"], ["2"], ["2", "3", "2"]),  # not all of it: said anew
    ],
)
def test_record_tells_what_was_missed_once(
    told: list[str], lines: list[str], rest: list[str], expected: list[str]
) -> None:
    session = BEGUN
    for n, each in enumerate(told):
        session = answered(session, "poll", 200, batch(("ChatMessage", WHO | {"text": each}), sequence=10 + n)).session
    session = answered(
        moved(session).session, "reconnect", 200, batch(("ReconnectSession", {"affinityToken": "b"}))
    ).session
    again = [("ChatMessage", WHO | {"text": each}) for each in rest]
    step = answered(session, "poll", 200, batch(record(*lines), *again))

    assert [each.text for each in step.events if isinstance(each, m.Said)] == expected


def test_pending_post_is_in_the_record_or_posted_again() -> None:
    post = Post("1", "ChatMessage", {"text": "my  words"})
    session = begun(BEGUN, post)
    assert session.pending == post and begun(session, post) == session
    for line, is_done in (("v:my words", True), ("v:other", False)):
        away = answered(moved(session).session, "reconnect", 200, batch(("ReconnectSession", {"affinityToken": "b"})))
        step = answered(away.session, "poll", 200, batch(record(line)))
        assert (step.session.done, step.session.pending) == ((("1",), None) if is_done else ((), post))


def test_number_moves_only_when_a_post_was_taken() -> None:
    post = Post("1", "ChatMessage", {"text": "x"})
    session = begun(BEGUN, post)
    taken, error = posted(session, 200)
    assert (taken.session.sequence, taken.session.pending, taken.session.done, error) == (2, None, ("1",), None)
    for status, stays in ((500, True), (502, True), (400, False), (429, False)):
        step, error = posted(session, status)
        assert error is not None and (step.session.sequence, step.session.pending is not None) == (1, stays)
    assert posted(session, 429, again=True)[0].session.pending == post
    step, error = posted(session, 503)
    assert isinstance(error, ServerMoved) and step.session.phase == "moved" and step.session.pending == post
    step, error = posted(session, 403)
    assert isinstance(error, SessionGone) and step.session.phase == "over"
    with pytest.raises(SessionGone) as caught:
        begun(step.session, post)
    assert caught.value.may_be_sent


def test_post_that_needs_an_agent_waits_for_him() -> None:
    alone = answered(BEGUN, "poll", 200, batch(("AgentDisconnect", {}))).session
    with pytest.raises(NotYet):
        begun(alone, Post("1", "ChatMessage", {"text": "x"}))
    assert begun(alone, Post("1", "ChatEnd", {"reason": "client"})).pending
    back = answered(alone, "poll", 200, batch(("ChatEstablished", WHO), sequence=8)).session
    assert begun(back, Post("1", "ChatMessage", {"text": "x"})).pending


def test_post_that_is_wanted_no_more_fills_its_number() -> None:
    session = given_up(begun(BEGUN, Post("1", "ChatMessage", {"text": "x"})), "1")

    assert session.pending == Post("1-none", "ChasitorNotTyping") and given_up(BEGUN, "1") is BEGUN


# -- a model of the server --------------------------------------------------------------------------------


class Server:
    """The least that behaves as the reference says: batches until acknowledged, moves, numbers, the record."""

    def __init__(self) -> None:
        self.fresh: list[tuple[str, Any]] = []
        self.last: tuple[int, list[tuple[str, Any]]] | None = None
        self.lines: list[str] = []
        self.affinity, self.sequence, self.expected, self.needs = "a", 4, 1, ""

    def say(self, text: str) -> None:
        self.lines.append(f"a:{text}")
        self.fresh.append(("ChatMessage", WHO | {"text": text}))

    def move(self) -> None:
        self.affinity += "+"
        self.needs = "record"

    def get(self, kind: str, affinity: str, query: dict[str, str]) -> tuple[int, bytes]:
        if kind == "reconnect":
            missed = [each for each in [*(self.last[1] if self.last else []), *self.fresh] if each[0] == "Novel"]
            self.fresh, self.last, self.expected, self.needs = [record(*self.lines), *missed], None, 1, "record"
            return 200, batch(("ReconnectSession", {"affinityToken": self.affinity}))
        if affinity != self.affinity:
            return 503, b""
        if kind == "resync":
            self.needs = ""
            return 200, b"OK"
        if self.last and int(query["ack"]) != self.last[0]:
            return 200, batch(*self.last[1], sequence=self.last[0])
        self.last = None
        if not self.fresh:
            return 204, b""
        self.sequence += 3
        self.last, self.fresh = (self.sequence, self.fresh), []
        if any(each[0] == "ChasitorSessionData" for each in self.last[1]):
            self.needs = "resync"
        return 200, batch(*self.last[1], sequence=self.sequence)

    def post(self, session: Session, text: str) -> int:
        if session.affinity != self.affinity:
            return 503
        if session.sequence < self.expected:
            return 200
        assert session.sequence == self.expected, "a gap"
        if self.needs:
            return 500
        self.lines.append(f"v:{text}")
        self.expected += 1
        return 200


ACTS = st.sampled_from(
    ["say", "move", "read", "read", "read", "cut", "double", "fail", "post", "post", "cut post", "crash"]
)


@given(st.lists(ACTS, max_size=60))
def test_no_mixture_loses_or_doubles_a_line(acts: list[str]) -> None:
    """cut: the answer never came. double: the same answer twice. crash: all but what was kept is forgotten."""
    server, session, told, said, wanted = Server(), BEGUN, list[str](), list[str](), list[str]()

    def read(how: str) -> None:
        nonlocal session
        request = next_request(session)
        assert request is not None
        status, body = (500, b"") if how == "fail" else server.get(request.kind, request.affinity, request.query)
        for _ in range({"cut": 0, "double": 2}.get(how, 1)):
            if how == "double" and request.kind != "poll":
                how = "read"
                continue  # only batches come twice
            step = answered(session, request.kind, status, body)
            told.extend(each.text for each in step.events if isinstance(each, m.Said))
            session = step.session

    def post(is_cut: bool) -> None:
        nonlocal session
        if session.pending is None:
            wanted.append(f"w{len(wanted)}")
        text = session.pending.body["text"] if session.pending else wanted[-1]
        try:
            session = begun(session, Post(text, "ChatMessage", {"text": text}))
        except NotYet:
            if session.pending is None:
                wanted.pop()
            return
        status = server.post(session, text)
        if not is_cut:
            session = posted(session, status)[0].session

    for act in acts:
        if act == "say":
            said.append(f"s{len(said) % 3}")
            server.say(said[-1])
        elif act == "move":
            server.move()
        elif act in ("post", "cut post"):
            post(act == "cut post")
        elif act != "crash":
            read(act)
    for _ in range(8):
        read("read")
    while session.pending:
        post(False)
        for _ in range(8):
            read("read")

    assert told == said
    assert [each[2:] for each in server.lines if each[0] == "v"] == wanted


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
