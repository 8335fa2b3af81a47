"""Hosts, paths, session ids, languages and pieces of long texts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.dialogflow.languages import language_of
from connectors.dialogflow.names import Target, context_name, flow_versions, session_of, session_path, target_of
from connectors.dialogflow.texts import LONGEST, pieces, plain
from tests.connectors.dialogflow.bots import AGENT, settings


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "projects/p/agent/sessions/s1"),
        ({"environment": "live"}, "projects/p/agent/environments/live/users/-/sessions/s1"),
        ({"location": "europe-west1"}, "projects/p/locations/europe-west1/agent/sessions/s1"),
        (
            {"location": "europe-west1", "environment": "live"},
            "projects/p/locations/europe-west1/agent/environments/live/users/-/sessions/s1",
        ),
        ({"edition": "cx", "agent": AGENT}, f"projects/p/locations/global/agents/{AGENT}/sessions/s1"),
        (
            {"edition": "cx", "agent": AGENT, "location": "us-central1", "environment": "e1"},
            f"projects/p/locations/us-central1/agents/{AGENT}/environments/e1/sessions/s1",
        ),
    ],
)
def test_session_paths(given: dict[str, Any], path: str) -> None:
    assert session_path(settings(**given), "p", "s1") == path


@pytest.mark.parametrize(
    ("given", "project", "what"),
    [
        ({}, "", "project is missing"),
        ({}, "a/b", "project"),
        ({"environment": "x/y"}, "p", "environment"),
        ({"edition": "cx"}, "p", "agent must be the agent's UUID"),
        ({"agent": AGENT}, "p", 'edition = "cx"'),
        ({"flow_versions": ["a/1"]}, "p", 'edition = "cx"'),
    ],
)
def test_paths_that_cannot_be(given: dict[str, Any], project: str, what: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=what):
        settings(**given, project=project)


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({}, Target("dialogflow.googleapis.com:443")),
        ({"location": "europe-west1"}, Target("europe-west1-dialogflow.googleapis.com:443")),
        (
            {"location": "europe-west1", "url": "https://europe-west1-dialogflow.googleapis.com"},
            Target("europe-west1-dialogflow.googleapis.com:443"),
        ),
        ({"url": "https://dialogflow-me.p.example.com:8443"}, Target("dialogflow-me.p.example.com:8443")),
        ({"url": "grpc://127.0.0.1:7001"}, Target("127.0.0.1:7001", is_plain=True)),
        ({"url": "grpc://[::1]:7001"}, Target("[::1]:7001", is_plain=True)),
        ({"url": "grpc://localhost:7001"}, Target("localhost:7001", is_plain=True)),
    ],
)
def test_hosts(given: dict[str, Any], target: Target) -> None:
    assert target_of(settings(**given)) == target


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"location": "Europe"}, "location"),
        ({"location": "a.evil.test/"}, "location"),
        ({"url": "grpc://10.0.0.1:7001"}, "on this machine"),
        ({"url": "grpc://dialogflow.googleapis.com:443"}, "on this machine"),
        ({"url": "grpc://127.0.0.1.evil.test:1"}, "on this machine"),
        ({"url": "grpc://127.0.0.1"}, "on this machine"),
        ({"url": "http://127.0.0.1:7001"}, "must begin with"),
        ({"url": "https://dialogflow.googleapis.com", "location": "europe-west1"}, "another region"),
        ({"url": "https://me:secret@host"}, "url must be"),
        ({"url": "https://host:port"}, "url must be"),
    ],
)
def test_hosts_that_cannot_be(given: dict[str, Any], what: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=what) as told:
        settings(**given)

    assert "secret" not in str(told.value)


@given(st.text(max_size=60))
def test_session_ids_are_within_the_limits_and_stable(given: str) -> None:
    found = session_of(given)

    assert 1 <= len(found) <= 36
    assert len(found.encode()) == len(found)
    assert all(each.isalnum() or each in "-_" for each in found)
    assert found == session_of(given) == session_of(found)


def test_session_ids_that_are_safe_stay() -> None:
    assert session_of("a" * 36) == "a" * 36
    assert session_of("a" * 37) != session_of("a" * 38)
    assert session_of("room.visitor") != "room.visitor"


def test_context_and_version_names() -> None:
    found = settings(edition="cx", agent=AGENT, flow_versions=["f1/3"])

    assert context_name("S", "Facts") == "S/contexts/facts"
    assert flow_versions(found, "p") == [f"projects/p/locations/global/agents/{AGENT}/flows/f1/versions/3"]
    with pytest.raises(msgspec.ValidationError, match="FLOW/VERSION"):
        settings(edition="cx", agent=AGENT, flow_versions=["f1"])


@pytest.mark.parametrize(
    ("facts", "language"),
    [
        ({"visitor.language": "de"}, "de"),
        ({"visitor.language": "DE-at"}, "de"),
        ({"visitor.language": "pt_PT"}, "pt-BR"),
        ({"visitor.language": "pt-BR"}, "pt-BR"),
        ({"visitor.language": "tlh", "room.language": "de"}, "de"),
        ({"visitor.language": 7, "room.language": ""}, "en"),
        ({}, "en"),
    ],
)
def test_language_chain(facts: dict[str, Any], language: str) -> None:
    assert language_of(facts, ("visitor.language", "room.language"), ("en", "de", "pt-BR")) == language


@given(st.text(alphabet=st.sampled_from("abc .!?\n"), max_size=1500))
def test_pieces_lose_no_word(text: str) -> None:
    found = pieces(text)

    assert all(len(each) <= LONGEST for each in found)
    assert "".join("".join(found).split()) == "".join(text.split())


def test_pieces_end_with_a_sentence() -> None:
    first, second = "a" * 150 + ".", "b" * 150 + "!"

    assert pieces(f"{first} {second}") == [first, second]
    assert [len(each) for each in pieces("x" * 600)] == [256, 256, 88]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("  hello ", "hello"),
        ("[ ](https://chat.test/live/x?msg=1) yes", "yes"),
        ("[ ](https://chat.test/live/x?msg=1)yes(no)", "yes(no)"),
        ("[see](https://x.test)", "[see](https://x.test)"),
        (" \n", ""),
    ],
)
def test_plain(text: str, found: str) -> None:
    assert plain(text) == found
