"""What external systems send: read, checked, cut."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.domain.agent_events import AssignmentRequested, DecisionFailed
from omnibridge.engine.decisions import DECIDED, MOST_DEPARTMENTS, PUSHED, agent_of, derive_decision, read_named
from omnibridge.storage.journal import Observation


def row(source: str, body: object, kind: str = "crm") -> Observation:
    return Observation(1, "main", "r", source, kind, 1, msgspec.json.encode(body), "key")


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_body_is_read_or_refused(body: object) -> None:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    try:
        agent_of(read_named(raw), "crm")
    except ValueError as exc:
        assert len(str(exc)) < 300


@given(st.text(max_size=300), st.text(max_size=300), st.lists(st.text(max_size=200), max_size=40))
def test_names_of_others_are_one_line_and_short(name: str, language: str, departments: list[str]) -> None:
    body = {"external_id": "1", "name": name, "language": language, "departments": departments}
    agent = agent_of(read_named(msgspec.json.encode(body)), "crm")

    assert len(agent.name) <= 128
    assert len(agent.departments) <= MOST_DEPARTMENTS
    assert all(each >= " " and each != "\x7f" for text in (agent.name, agent.language) for each in text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"external_id": "x" * 129},
        {"external_id": " "},
        {"external_id": "a\nb"},
        {"external_id": "1", "external_system": "Not Fit"},
        {"external_id": "1", "avatar_url": "file:///etc/passwd"},
    ],
)
def test_what_is_not_fit_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"external_|avatar_url"):
        agent_of(read_named(msgspec.json.encode(wrong)), "crm")


def test_pushed_decision_names_its_token_and_an_answer_its_ticket() -> None:
    body = {"external_system": "erp", "external_id": "7", "cause": "skill", "ticket": "T"}
    pushed = derive_decision(row(PUSHED, body, "router"), "unused").events[0]
    answer = derive_decision(row(DECIDED, body), "crm").events[0]
    nobody = derive_decision(row(DECIDED, {"ticket": "T"}), "crm").events[0].event

    assert isinstance(pushed.event, AssignmentRequested)
    assert (pushed.key, pushed.event.by, pushed.event.decider) == ("key", "token:router", "")
    assert isinstance(answer.event, AssignmentRequested)
    assert (answer.event.by, answer.event.decider, answer.event.ticket) == ("decider:crm", "crm", "T")
    assert nobody == DecisionFailed("crm", "no-agent", "", "T")
