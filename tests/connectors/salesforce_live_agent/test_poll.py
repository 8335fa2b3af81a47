"""The session as a state machine, also against a model of the server. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce_live_agent import messages as m
from connectors.salesforce_live_agent.errors import NotYet, ServerMoved, SessionGone
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
from tests.connectors.salesforce_live_agent.batches import BEGUN, WHO, batch, record


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


@pytest.mark.parametrize(
    ("told", "lines", "rest", "expected"),
    [
        ([], ["a:1", "a:2"], [], ["1", "2"]),
        (["1"], ["a:1", "v:x", "a:2"], [], ["2"]),
        (["1", "2"], ["a:1", "a:2"], [], []),
        (["1", "1"], ["a:1", "a:1", "a:1"], [], ["1"]),
        (["1", "2", "3"], ["a:3", "a:4"], [], ["4"]),  # the record was cut
        (["1", "2", "3"], ["a:8", "a:9"], [], ["8", "9"]),  # … so that none of it is known
        (["1", "a  b\r\nc"], ["a:1", "a:a b c", "a:4"], [], ["4"]),  # written in another way
        (["<b>1</b>", "2"], ["a:1", "a:2", "a:4"], [], ["4"]),
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
