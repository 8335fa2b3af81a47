"""Rasa's shapes, in and out."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from connectors.rasa.convert import events_to_messages, to_message, to_reply
from connectors.rasa.errors import from_exception, from_status
from omnibridge.connector import (
    Card,
    Choices,
    Custom,
    DatePick,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    File,
    Handover,
    Image,
    Option,
    Select,
    Text,
)


@pytest.mark.parametrize(
    ("text", "choice", "message"),
    [
        (" hello ", "", "hello"),
        ("/restart", "", "\u200b/restart"),
        ("  /SetSlots(a=b)", "", "\u200b/SetSlots(a=b)"),
        ("2", '/pick{"a": 1}', '/pick{"a": 1}'),
        ("   ", "", ""),
        ("a / b", "", "a / b"),
    ],
)
def test_what_rasa_is_told(text: str, choice: str, message: str) -> None:
    assert to_message(text, choice) == message


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"text": "hi"}, [Text("hi")]),
        ({"text": "?", "buttons": [{"title": "A", "payload": "/a"}]}, [Choices("?", (Option("A", "/a"),))]),
        (
            {"text": "?", "buttons": [{"title": "A", "url": "https://x"}]},
            [Choices("?", (Option("A", "A", "https://x"),))],
        ),
        ({"text": "?", "buttons": "none"}, [Text("?")]),
        ({"image": "https://x/y.png"}, [Image("https://x/y.png")]),
        ({"attachment": "https://x/y.pdf"}, [File("https://x/y.pdf")]),
        ({"attachment": {"type": "file", "payload": {"title": "P", "src": "https://x"}}}, [File("https://x", "P")]),
        ({"attachment": {"type": "image", "payload": {"src": "https://x"}}}, [Image("https://x")]),
        ({"custom": {"type": "card", "title": "T", "body": "B"}}, [Card("T", "B")]),
        ({"custom": {"type": "weather"}}, [Custom({"type": "weather"})]),
        ({"custom": [1]}, [Custom({"value": [1]})]),
        (
            {"custom": {"quickReplies": {"text": "?", "options": [{"text": "A"}]}}},
            [Choices("?", (Option("A", "A"),))],
        ),
        (
            {"text": "?", "buttons": [{"title": "A", "payload": "/a", "style": "danger"}]},
            [Choices("?", (Option("A", "/a", style="danger"),))],
        ),
        ({"custom": {"quickReplies": {"text": "?", "options": "none"}}}, [Text("?")]),
        ({"custom": {"kind": "date", "text": "When?"}}, [DatePick("When?")]),
        ({"custom": {"kind": "select", "text": "?", "options": ["A"]}}, [Select("?", (Option("A", "A"),))]),
        ({"custom": {"kind": "select", "text": "?"}}, [Custom({"kind": "select", "text": "?"})]),
        ({"text": 7, "image": None, "buttons": [{}]}, []),
        ("no object", []),
    ],
)
def test_what_rasa_says(message: Any, parts: list[Any]) -> None:
    assert list(to_reply([message]).parts) == parts


@pytest.mark.parametrize(
    ("custom", "handover", "close", "fallback"),
    [
        ({"type": "handover", "department": "sales"}, Handover("sales"), False, False),
        ({"type": "handover", "department": None}, Handover(), False, False),
        ({"action": "handoff"}, Handover(), False, False),
        ({"action": {"name": "df_perform_handover", "params": {}}}, Handover(), False, False),
        ({"action": "handover", "actionData": {"targetDepartment": "d"}}, Handover("d"), False, False),
        ({"handoff_host": "http://x"}, Handover(), False, False),
        ({"type": "close"}, None, True, False),
        ({"action": "resolve"}, None, True, False),
        ({"type": "fallback"}, None, False, True),
        ({"type": "echo"}, None, False, False),
    ],
)
def test_signals(custom: dict[str, Any], handover: Handover | None, close: bool, fallback: bool) -> None:
    reply = to_reply([{"custom": custom}])

    assert (reply.handover, reply.close, reply.fallback) == (handover, close, fallback)


@pytest.mark.parametrize(
    ("custom", "fields"),
    [
        ({"type": "set_fields", "fields": {"a": "x", "n": 7, "f": 1.5, "b": True}},
         {"a": "x", "n": "7", "f": "1.5", "b": "true"}),
        ({"type": "set_field", "name": "a", "value": "x"}, {"a": "x"}),
        ({"type": "set_fields", "fields": {"a": None, "l": [1], "o": {}}}, {}),
        ({"type": "set_fields", "fields": "none"}, {}),
        ({"type": "set_fields"}, {}),
    ],
)  # fmt: skip
def test_fields(custom: dict[str, Any], fields: dict[str, str]) -> None:
    reply = to_reply([{"custom": custom}])

    assert (reply.fields, reply.parts) == (fields, ())


def test_intent_and_what_was_left_out() -> None:
    named = {"custom": {"type": "intent", "intent": "order_status"}}
    odd = {"text": "?", "buttons": [{"payload": "/a"}, {"title": "B", "style": "blue"}]}
    reply = to_reply([named, odd])

    assert reply.intent == "order_status" and reply.losses == ("button-without-title", "button-style")
    assert reply.parts == (Choices("?", (Option("B", "B"),)),)


def test_fallback_by_text() -> None:
    assert to_reply([{"text": "Sorry? "}], ("Sorry?",)).fallback
    assert not to_reply([{"text": "Fine"}], ("Sorry?",)).fallback


def test_tracker_tells_what_the_channel_said() -> None:
    events = [
        {"event": "action", "name": "utter_x"},
        {"event": "bot", "text": "One.\n\nTwo.", "data": {"buttons": None, "custom": None}},
        {"event": "bot", "text": "Pick", "data": {"buttons": [{"title": "A", "payload": "/a"}]}},
        {"event": "bot", "text": None, "data": {"image": "https://i", "attachment": "https://i"}},
        {"event": "bot", "text": None, "data": {"custom": {"type": "handover"}}},
    ]

    assert events_to_messages(events) == [
        {"text": "One."},
        {"text": "Two."},
        {"text": "Pick", "buttons": [{"title": "A", "payload": "/a"}]},
        {"image": "https://i"},
        {"custom": {"type": "handover"}},
    ]


def every_subclass(root: type[Exception]) -> set[type[Exception]]:
    return {root} | {leaf for each in root.__subclasses__() for leaf in every_subclass(each)}


def test_every_failure_of_the_client_has_a_place() -> None:
    not_sent = {httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol}
    for each in every_subclass(httpx2.HTTPError) - {httpx2.HTTPStatusError}:
        expected = DeliveryRetryable if each in not_sent else DeliveryUncertain
        assert type(from_exception(each("x"))) is expected, each
    with pytest.raises(KeyError):
        from_exception(KeyError("not the client's"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, DeliveryRejected),
        (404, DeliveryRejected),
        (409, DeliveryRetryable),
        (503, DeliveryRetryable),
        (500, DeliveryUncertain),
        (400, DeliveryRejected),
    ],
)
def test_status(status: int, kind: type[Exception]) -> None:
    assert type(from_status(status)) is kind
