"""Golden: each kind of CX's `ResponseMessage`, made with Google's types -> neutral content, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import dialogflowcx_v3 as types

from connectors.dialogflow.cx import read, read_message
from connectors.dialogflow.draft import Draft
from omnibridge.connector import Choices, Handover, Option, Text
from tests.connectors.dialogflow.bots import cx_message, cx_result, settings

CHIPS = {"richContent": [[{"type": "chips", "options": [{"text": "A"}]}]]}
MATCH = types.Match.MatchType

KINDS: dict[str, tuple[dict[str, Any], tuple[Any, ...], dict[str, int]]] = {
    "text": ({"text": {"text": ["Hello", ""]}}, (Text("Hello"),), {}),
    "payload": ({"payload": CHIPS}, (Choices("", (Option("A", "A"),)),), {}),
    "conversation_success": (
        {"conversation_success": {"metadata": {"a": 1}}},
        (),
        {"conversation-success": 1},
    ),
    "output_audio_text": (
        {"output_audio_text": {"ssml": "<speak>Hi <b>you</b> &amp; me</speak>"}},
        (Text("Hi you & me"),),
        {},
    ),
    "live_agent_handoff": ({"live_agent_handoff": {"metadata": {"department": "sales"}}}, (), {}),
    "end_interaction": ({"end_interaction": {}}, (), {}),
    "play_audio": ({"play_audio": {"audio_uri": "gs://a"}}, (), {"audio": 1}),
    "mixed_audio": ({"mixed_audio": {"segments": [{"uri": "gs://a"}]}}, (), {"audio": 1}),
    "telephony_transfer_call": ({"telephony_transfer_call": {"phone_number": "+1"}}, (), {"telephony": 1}),
    "knowledge_info_card": ({"knowledge_info_card": {}}, (), {"knowledge-info-card": 1}),
    "tool_call": ({"tool_call": {"tool": "t", "action": "a"}}, (), {"tool-call": 1}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind: str) -> None:
    given, parts, lost = KINDS[kind]
    draft = Draft()
    read_message(cx_message(**given), draft)

    assert tuple(draft.parts) == parts
    assert draft.lost == lost
    assert draft.handover == (Handover("sales") if kind == "live_agent_handoff" else None)
    assert draft.close == (kind == "end_interaction")


def test_every_kind_that_there_is_has_a_golden() -> None:
    pb = types.ResponseMessage.pb(types.ResponseMessage())
    known = {each.name for each in pb.DESCRIPTOR.oneofs_by_name["message"].fields}

    assert known == set(KINDS)


def test_spoken_words_are_not_said_twice() -> None:
    messages = [{"output_audio_text": {"text": "Hello"}}, {"text": {"text": ["Hello"]}}]
    draft = read(settings(), cx_result(response_messages=messages), is_event=False)

    assert (draft.parts, draft.lost) == ([Text("Hello")], {"speech": 1})


@pytest.mark.parametrize(
    ("channel", "named", "said", "lost"),
    [
        ("", ["", "phone"], ["for all"], {}),
        ("phone", ["", "phone"], ["for phone"], {}),
        ("web", ["", "phone"], ["for all"], {}),
        ("", ["phone"], ["for phone"], {"other-channel": 1}),
    ],
)
def test_only_one_channel_is_shown(channel: str, named: list[str], said: list[str], lost: dict[str, int]) -> None:
    messages = [{"text": {"text": [f"for {each or 'all'}"]}, "channel": each} for each in named]
    draft = read(settings(platform=channel), cx_result(response_messages=messages), is_event=False)

    assert ([each.text for each in draft.parts if isinstance(each, Text)], draft.lost) == (said, lost)


@pytest.mark.parametrize(
    ("kind", "is_event", "is_fallback"),
    [
        (MATCH.INTENT, False, False),
        (MATCH.NO_MATCH, False, True),
        (MATCH.NO_INPUT, False, True),
        (MATCH.PARAMETER_FILLING, False, False),
        (MATCH.PLAYBOOK, False, False),
        (MATCH.NO_MATCH, True, False),
    ],
)
def test_fallback_is_no_match(kind: Any, is_event: bool, is_fallback: bool) -> None:
    result = cx_result(match={"match_type": kind})

    assert read(settings(), result, is_event=is_event).fallback == is_fallback


def test_handoff_with_an_end_says_both() -> None:
    """The core lets the handover win."""
    messages = [
        {"text": {"text": ["One moment."]}},
        {"live_agent_handoff": {"metadata": {"skill": "billing", "reason": "angry"}}},
        {"end_interaction": {}},
    ]
    draft = read(settings(), cx_result(response_messages=messages), is_event=False)

    assert (draft.parts, draft.handover, draft.close) == ([Text("One moment.")], Handover("billing", "angry"), True)
