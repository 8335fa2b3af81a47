"""Golden: the payloads that agents made for other integrations already send."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.dialogflow.draft import CLOSE, HANDOVER, Draft, Event, event_option, read_value
from connectors.dialogflow.payloads import read_payload
from omnibridge.connector import Card, Carousel, Choices, Custom, File, Handover, Image, Option, Select, Text

URL = "https://x.test/"


def rich(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"richContent": [list(elements)]}


CONTENT: dict[str, tuple[dict[str, Any], list[Any], dict[str, int]]] = {
    "Rocket.Chat's app": (
        {
            "quickReplies": {
                "text": "Which?",
                "options": [
                    {"text": "Site", "url": URL, "buttonStyle": "primary"},
                    {"text": "Yes", "buttonStyle": "blue"},
                    {"text": "A person", "actionId": "df_perform_handover", "data": {"departmentName": "sales"}},
                    {"text": "Bye", "actionId": "df_close_chat"},
                ],
            }
        },
        [
            Choices(
                "Which?",
                (
                    Option("Yes", "Yes"),
                    Option("A person", HANDOVER + "sales"),
                    Option("Bye", CLOSE),
                    Option("Site", "Site", URL, "primary"),
                ),
            )
        ],
        {"button-style": 1},
    ),
    "our own content": (
        {"kind": "select", "text": "Team?", "options": ["Sales", {"label": "Help", "value": "h"}]},
        [Select("Team?", (Option("Sales", "Sales"), Option("Help", "h")))],
        {},
    ),
    "our own content, not well formed": (
        {"kind": "select", "text": "Team?", "options": "Sales"},
        [Custom({"kind": "select", "text": "Team?", "options": "Sales"})],
        {"payload-unknown": 1},
    ),
    "its fork's cards": (
        {
            "imagecards": [
                {"title": "A", "subtitle": "a", "image_url": URL, "buttons": [{"title": "Buy", "payload": "buy a"}]},
                {"title": "B", "buttons": [{"title": "Buy", "payload": "buy b"}, {"title": "See", "url": URL}]},
            ]
        },
        [
            Carousel((Card("A", "a", URL), Card("B", "", None, (Option("See", "", URL),)))),
            Choices("", (Option("Buy: A", "buy a"), Option("Buy: B", "buy b"))),
        ],
        {},
    ),
    "its fork's fields of the input": (
        {"customFields": {"disableInput": True, "displayTyping": True}},
        [],
        {"input-disableInput": 1, "input-displayTyping": 1},
    ),
    "send-message": (
        {
            "action": "send-message",
            "actionData": {"messages": ["Hi", {"text": "Which?", "options": [{"text": "A"}]}]},
        },
        [Text("Hi"), Choices("Which?", (Option("A", "A"),))],
        {},
    ),
    "Chatwoot's select": (
        {
            "content": "Which?",
            "content_type": "input_select",
            "content_attributes": {"items": [{"title": "A", "value": "a"}]},
        },
        [Choices("Which?", (Option("A", "a"),))],
        {},
    ),
    "Chatwoot's form": (
        {"content": "Your e-mail", "content_type": "form", "content_attributes": {"items": [{"name": "email"}]}},
        [Text("Your e-mail")],
        {"content-form": 1},
    ),
    "Chatwoot's cards": (
        {
            "content": "See",
            "content_type": "cards",
            "content_attributes": {
                "items": [
                    {
                        "title": "A",
                        "description": "a",
                        "media_url": URL,
                        "actions": [{"type": "link", "text": "Open", "uri": URL}],
                    }
                ]
            },
        },
        [Text("See"), Card("A", "a", URL, (Option("Open", "", URL),))],
        {},
    ),
    "Messenger info of ES": (
        rich({"type": "info", "title": "T", "subtitle": "S", "image": {"src": {"rawUrl": URL}}, "actionLink": URL}),
        [Card("T", "S", URL, (Option("T", "", URL),))],
        {},
    ),
    "Messenger info of CX": (
        rich({"type": "info", "title": "T", "image": {"rawUrl": URL}, "anchor": {"href": URL}}),
        [Card("T", "", URL, (Option("T", "", URL),))],
        {},
    ),
    "Messenger description": (
        rich({"type": "description", "title": "T", "text": ["a", "b"]}, {"type": "divider"}),
        [Card("T", "a\nb")],
        {"divider": 1},
    ),
    "Messenger image": (
        rich({"type": "image", "rawUrl": URL, "accessibilityText": "alt"}),
        [Image(URL, "alt")],
        {},
    ),
    "pictures that no browser can load": (
        rich(
            {"type": "image", "rawUrl": "gs://bucket/cat.png", "accessibilityText": "a cat"},
            {"type": "info", "title": "T", "image": {"rawUrl": "data:image/png;base64,AA"}},
        ),
        [Text("a cat"), Card("T")],
        {"image-address": 2},
    ),
    "Messenger buttons and list": (
        rich(
            {"type": "button", "text": "Open", "link": URL, "icon": {"type": "launch"}},
            {"type": "button", "text": "Ask", "event": {"name": "ask", "parameters": {"n": 1}, "languageCode": "de"}},
            {"type": "list", "title": "One", "subtitle": "first", "event": {"event": "one"}},
        ),
        [
            Choices(
                "One: first",
                (
                    event_option("Ask", Event("ask", {"n": 1}, "de")),
                    event_option("One", Event("one")),
                    Option("Open", "", URL),
                ),
            )
        ],
        {"icon": 1},
    ),
    "Messenger accordion": (
        rich({"type": "accordion", "title": "T", "subtitle": "S", "text": "all of it"}),
        [Card("T", "S\nall of it")],
        {"accordion": 1},
    ),
    "Messenger chips": (
        rich({"type": "chips", "options": [{"text": "A", "image": {"rawUrl": URL}}, {"text": "B", "link": URL}]}),
        [Choices("", (Option("A", "A"), Option("B", "", URL)))],
        {"chip-image": 1},
    ),
    "Messenger's newest": (rich({"type": "files"}), [], {"rich-files": 1}),
    "Facebook": (
        {
            "facebook": {
                "text": "Which?",
                "quick_replies": [
                    {"content_type": "text", "title": "A", "payload": "a"},
                    {"content_type": "user_email"},
                ],
            }
        },
        [Choices("Which?", (Option("A", "a"),))],
        {"quick-reply-without-title": 1},
    ),
    "Facebook's file": (
        {"facebook": {"attachment": {"type": "video", "payload": {"url": URL}}}},
        [File(URL)],
        {},
    ),
    "Facebook's template": (
        {
            "facebook": {
                "attachment": {
                    "type": "template",
                    "payload": {
                        "template_type": "button",
                        "text": "Which?",
                        "buttons": [
                            {"type": "web_url", "title": "Open", "url": URL},
                            {"type": "postback", "title": "A", "payload": "a"},
                        ],
                    },
                }
            }
        },
        [Choices("Which?", (Option("A", "a"), Option("Open", "", URL)))],
        {},
    ),
    "what has too many names to count": (
        {
            **rich({"type": "my-own"}),
            "customFields": {"myOwn": 1},
            "content": "Hi",
            "content_type": "my-own",
        },
        [Text("Hi")],
        {"rich-other": 1, "input-other": 1, "content-other": 1},
    ),
    "unknown": ({"my": {"own": 1}}, [Custom({"my": {"own": 1}})], {"payload-unknown": 1}),
}


@pytest.mark.parametrize("name", CONTENT)
def test_content(name: str) -> None:
    payload, parts, lost = CONTENT[name]
    draft = Draft()
    read_payload(payload, draft)

    assert draft.parts == parts
    assert draft.lost == lost


@pytest.mark.parametrize(
    ("payload", "handover"),
    [
        ({"action": "handoff"}, Handover()),
        ({"type": "handover", "department": "Sales", "reason": "asked"}, Handover("Sales", "asked")),
        ({"action": {"name": "df_perform_handover", "params": {"departmentName": "b"}}}, Handover("b")),
        ({"action": "handover", "actionData": {"targetDepartment": "c"}}, Handover("c")),
        ({"type": "live_agent_handoff", "data": {"skill": "d"}}, Handover("d")),
    ],
)
def test_handovers(payload: dict[str, Any], handover: Handover) -> None:
    draft = Draft()
    read_payload(payload, draft)

    assert (draft.handover, draft.parts, draft.lost) == (handover, [], {})


@pytest.mark.parametrize(
    "payload", [{"action": "resolve"}, {"action": "close-chat"}, {"action": {"name": "df_close_chat"}}]
)
def test_closes(payload: dict[str, Any]) -> None:
    draft = Draft()
    read_payload(payload, draft)

    assert (draft.close, draft.parts) == (True, [])


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (
            {
                "action": "trigger-event",
                "actionData": {"event": {"name": "e", "parameters": {"a": 1}, "languageCode": "de"}},
            },
            Event("e", {"a": 1}, "de"),
        ),
        ({"action": {"name": "new_welcome_event"}}, Event("Welcome")),
        ({"action": "trigger-event"}, None),
    ],
)
def test_events(payload: dict[str, Any], event: Event | None) -> None:
    draft = Draft()
    read_payload(payload, draft)

    assert draft.event == event
    assert bool(draft.lost) == (event is None)


def test_fields() -> None:
    draft = Draft()
    read_payload({"type": "set_fields", "fields": {"a": 7.0, "b": True, "c": "x", "d": {}, "e": 0.5}}, draft)

    assert draft.fields == {"a": "7", "b": "true", "c": "x", "e": "0.5"}


@pytest.mark.parametrize(
    "payload",
    [
        {"richContent": [None, 7, [None, {"type": 7}], {"type": "chips", "options": 7}]},
        {"quickReplies": {"options": [None, {}, {"text": None}]}},
        {"quickReplies": []},
        {"action": {}, "type": [], "event": 7},
        {"facebook": {"attachment": {"type": "template", "payload": None}, "quick_replies": {}}},
        {"content": None, "content_attributes": []},
        {"imagecards": [7, {"buttons": 7, "title": {}}]},
        {"action": "send-message", "actionData": {"messages": [7, None]}},
        {"type": "set_fields", "fields": 7},
    ],
)
def test_what_is_malformed_ends_nothing(payload: dict[str, Any]) -> None:
    draft = Draft()
    draft.text("before")
    read_payload(payload, draft)
    draft.text("after")

    assert draft.parts[0] == Text("before")
    assert draft.parts[-1] == Text("after")


WORDS = (
    *("richContent", "quickReplies", "imagecards", "customFields", "facebook", "content", "content_type", "title"),
    *("content_attributes", "items", "action", "type", "event", "actionData", "messages", "options", "text", "url"),
    *("actionId", "data", "buttons", "attachment", "payload", "elements", "quick_replies", "fields", "name", "value"),
    *("image", "src", "rawUrl", "anchor", "href", "parameters", "info", "list", "chips", "button", "accordion"),
    *("template", "handover", "close", "set_fields", "trigger-event", "send-message", "cards", "article"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(WORDS), JSON, max_size=4))
@settings(max_examples=400)
def test_no_payload_ends_an_answer(payload: dict[str, Any]) -> None:
    draft = Draft()
    read_payload(payload, draft)
    draft.text("goes on")

    assert draft.parts[-1] == Text("goes on")
    assert isinstance(msgspec.json.encode(draft.parts), bytes)


def test_what_an_option_means_comes_back() -> None:
    event = Event("ask", {"n": 1}, "de")

    assert read_value(event_option("Ask", event).value) == event
    assert read_value(HANDOVER + "sales") == Handover("sales", "chosen by the visitor")
    assert read_value(CLOSE) is True
    assert read_value("just words") is None
    assert read_value("omnibridge:event:[") is None
