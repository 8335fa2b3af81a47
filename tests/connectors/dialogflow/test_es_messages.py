"""Golden: each kind of ES's `Intent.Message`, made with Google's types -> neutral content, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import dialogflow_v2 as types

from connectors.dialogflow.draft import Draft
from connectors.dialogflow.es import read, read_message
from omnibridge.connector import Card, Carousel, Choices, Custom, File, Handover, Image, Option, Text
from tests.connectors.dialogflow.bots import es_message, es_result, settings

CAT = {"image_uri": "https://x.test/cat.png", "accessibility_text": "a cat"}
URL = "https://x.test/"
ITEMS = [
    {"info": {"key": "k1", "synonyms": ["one"]}, "title": "One", "description": "the first", "image": CAT},
    {"info": {"key": "k2"}, "title": "Two"},
]
TWO = (Option("One", "k1"), Option("Two", "k2"))

KINDS: dict[str, tuple[dict[str, Any], tuple[Any, ...], dict[str, int]]] = {
    "text": ({"text": {"text": ["Hello", "", " "]}}, (Text("Hello"),), {}),
    "image": ({"image": CAT}, (Image(CAT["image_uri"], "a cat"),), {}),
    "quick_replies": (
        {"quick_replies": {"title": "Which?", "quick_replies": ["A", "B"]}},
        (Choices("Which?", (Option("A", "A"), Option("B", "B"))),),
        {},
    ),
    "card": (
        {
            "card": {
                "title": "T",
                "subtitle": "S",
                "image_uri": URL,
                "buttons": [{"text": "Open", "postback": URL}, {"text": "Buy", "postback": "buy 1"}, {"text": "Go"}],
            }
        },
        (Card("T", "S", URL, (Option("Buy", "buy 1"), Option("Go", "Go"), Option("Open", "", URL))),),
        {},
    ),
    "payload": ({"payload": {"what": {"ever": 7}}}, (Custom({"what": {"ever": 7.0}}),), {"payload-unknown": 1}),
    "simple_responses": (
        {
            "simple_responses": {
                "simple_responses": [{"text_to_speech": "a", "display_text": "A"}, {"ssml": "<s>B</s>"}]
            }
        },
        (Text("A"), Text("B")),
        {"speech": 1},
    ),
    "basic_card": (
        {
            "basic_card": {
                "title": "T",
                "subtitle": "S",
                "formatted_text": "F",
                "image": CAT,
                "buttons": [{"title": "Open", "open_uri_action": {"uri": URL}}],
            }
        },
        (Card("T", "S\nF", CAT["image_uri"], (Option("Open", "", URL),)),),
        {},
    ),
    "suggestions": (
        {"suggestions": {"suggestions": [{"title": "A"}, {"title": "B"}]}},
        (Choices("", (Option("A", "A"), Option("B", "B"))),),
        {},
    ),
    "link_out_suggestion": (
        {"link_out_suggestion": {"destination_name": "Shop", "uri": URL}},
        (Choices("", (Option("Shop", "", URL),)),),
        {},
    ),
    "list_select": (
        {"list_select": {"title": "Pick", "subtitle": "one", "items": [{"info": {"key": "k"}, "title": "K"}]}},
        (Choices("Pick\none", (Option("K", "k"),)),),
        {},
    ),
    "carousel_select": (
        {"carousel_select": {"items": ITEMS}},
        (Carousel((Card("One", "the first", CAT["image_uri"]), Card("Two"))), Choices("", TWO)),
        {},
    ),
    "browse_carousel_card": (
        {
            "browse_carousel_card": {
                "items": [
                    {"open_uri_action": {"url": URL}, "title": "P", "description": "D", "image": CAT, "footer": "F"},
                    {"open_uri_action": {"url": URL}, "title": "Q"},
                ]
            }
        },
        (
            Carousel(
                (
                    Card("P", "D\nF", CAT["image_uri"], (Option("P", "", URL),)),
                    Card("Q", "", None, (Option("Q", "", URL),)),
                )
            ),
        ),
        {},
    ),
    "table_card": (
        {
            "table_card": {
                "title": "T",
                "subtitle": "S",
                "column_properties": [{"header": "a"}, {"header": "b"}],
                "rows": [{"cells": [{"text": "1"}, {"text": "2"}]}],
                "buttons": [{"title": "Open", "open_uri_action": {"uri": URL}}],
            }
        },
        (Card("T", "S\na | b\n1 | 2", None, (Option("Open", "", URL),)),),
        {"table": 1},
    ),
    "media_content": (
        {
            "media_content": {
                "media_type": "AUDIO",
                "media_objects": [{"name": "Song", "description": "Nice", "content_url": URL, "icon": CAT}],
            }
        },
        (Text("Nice"), File(URL, "Song")),
        {"media-image": 1},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind: str) -> None:
    given, parts, lost = KINDS[kind]
    draft = Draft()
    read_message(es_message(**given), draft)

    assert tuple(draft.parts) == parts
    assert draft.lost == lost


def test_every_kind_that_there_is_has_a_golden() -> None:
    pb = types.Intent.Message.pb(types.Intent.Message())
    known = {each.name for each in pb.DESCRIPTOR.oneofs_by_name["message"].fields}

    assert known == set(KINDS)


@pytest.mark.parametrize("message", [{}, {"text": None}, {"telephony_play_audio": {"audio_uri": URL}}, {"card": 7}])
def test_what_is_unknown_or_empty_ends_nothing(message: dict[str, Any]) -> None:
    draft = Draft()
    read_message(message, draft)
    draft.text("goes on")

    assert draft.parts == [Text("goes on")]


def test_suggestions_belong_to_the_words_before_them() -> None:
    result = es_result(
        fulfillment_messages=[
            {"text": {"text": ["Hello"]}},
            {"suggestions": {"suggestions": [{"title": "A"}]}},
            {"link_out_suggestion": {"destination_name": "Shop", "uri": URL}},
        ],
        intent={"display_name": "x"},
    )

    assert read(settings(), result, is_event=False).parts == [
        Choices("Hello", (Option("A", "A"), Option("Shop", "", URL)))
    ]


ON_PLATFORMS = [
    {"text": {"text": ["for Slack"]}, "platform": "SLACK"},
    {"text": {"text": ["for Facebook"]}, "platform": "FACEBOOK"},
    {"text": {"text": ["for all"]}},
]


@pytest.mark.parametrize(
    ("platform", "messages", "said", "lost"),
    [
        ("", ON_PLATFORMS, "for all", {}),
        ("FACEBOOK", ON_PLATFORMS, "for Facebook", {}),
        ("VIBER", ON_PLATFORMS, "for all", {}),
        ("", ON_PLATFORMS[:2], "for Slack", {"other-platform": 1}),
    ],
)
def test_only_one_platform_is_shown(platform: str, messages: list[Any], said: str, lost: dict[str, int]) -> None:
    draft = read(settings(platform=platform), es_result(fulfillment_messages=messages), is_event=True)

    assert (draft.parts, draft.lost) == ([Text(said)], lost)


@pytest.mark.parametrize(
    ("result", "signals"),
    [
        ({"intent": {"display_name": "x"}}, (None, False, False)),
        ({"intent": {"display_name": "x", "is_fallback": True}}, (None, False, True)),
        ({}, (None, False, True)),  # no intent at all: an agent without a fallback intent
        ({"intent": {"display_name": "x", "end_interaction": True}}, (None, True, False)),
        ({"intent": {"display_name": "x"}, "diagnostic_info": {"end_conversation": True}}, (None, True, False)),
        (
            {
                "intent": {"display_name": "human", "live_agent_handoff": True, "end_interaction": True},
                "parameters": {"team": "sales"},
            },
            (Handover("sales", "human"), True, False),
        ),
        ({"intent": {"display_name": "x"}, "all_required_params_present": False}, (None, False, False)),
    ],
)
def test_signals(result: dict[str, Any], signals: tuple[Any, ...]) -> None:
    draft = read(settings(), es_result(**result), is_event=False)

    assert (draft.handover, draft.close, draft.fallback) == signals


def test_event_that_nobody_listens_to_is_no_misunderstanding() -> None:
    draft = read(settings(), es_result(), is_event=True)

    assert (draft.parts, draft.fallback) == ([], False)


def test_legacy_text_counts_where_there_is_no_message() -> None:
    assert read(settings(), es_result(fulfillment_text="Old"), is_event=True).parts == [Text("Old")]
