"""The wire form, out and in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.webhook_bot.convert import closed_id, to_reply, turn_body, turn_id
from omnibridge.connector import (
    Card,
    Carousel,
    Choices,
    Custom,
    DatePick,
    DeliveryRejected,
    File,
    Form,
    FormField,
    Handover,
    Image,
    Link,
    Option,
    Reply,
    Select,
    Text,
)
from omnibridge.connector.testing import turn

encode = msgspec.json.encode


def test_turn_is_told_whole() -> None:
    said = turn("2", choice_value="sales", message_id="m1", late=True, facts={"department": "d"})

    assert msgspec.json.decode(turn_body("message", said)) == {
        "event": "message",
        "session": "s1",
        "message_id": "m1",
        "text": "2",
        "choice": "sales",
        "late": True,
        "facts": {"department": "d"},
    }


def test_ids_hold_no_full_stop() -> None:
    assert turn_id(turn(session_id="a.b", delivery_id="7")) == "turn_a-b_7"
    assert closed_id("a.b", 7) == "closed_a-b_7"


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"text": "hi"}, Text("hi")),
        ({"kind": "text", "text": "hi", "mood": "good"}, Text("hi")),
        ({"text": "?", "options": ["A"]}, Choices("?", (Option("A", "A"),))),
        ({"kind": "choices", "text": "?", "options": [{"label": "A"}]}, Choices("?", (Option("A", "A"),))),
        (
            {"kind": "choices", "text": "?", "options": [{"label": "A", "value": "a", "url": "https://x"}]},
            Choices("?", (Option("A", "a", "https://x"),)),
        ),
        ({"kind": "image", "url": "https://x", "title": "T"}, Image("https://x", "T")),
        ({"kind": "file", "url": "https://x"}, File("https://x")),
        ({"kind": "link", "url": "https://x"}, Link("https://x")),
        (
            {"kind": "card", "title": "T", "body": "B", "image_url": "https://x", "options": ["A"]},
            Card("T", "B", "https://x", (Option("A", "A"),)),
        ),
        (
            {"kind": "carousel", "cards": [{"title": "T", "options": ["A"]}]},
            Carousel((Card("T", "", None, (Option("A", "A"),)),)),
        ),
        ({"kind": "custom", "data": {"a": 1}}, Custom({"a": 1})),
        (
            {"text": "?", "options": [{"label": "A", "style": "danger"}], "keeps": True},
            Choices("?", (Option("A", "A", style="danger"),), keeps=True),
        ),
        (
            {"kind": "select", "text": "?", "options": ["A"], "placeholder": "P", "initial": "A", "is_menu": True},
            Select("?", (Option("A", "A"),), "P", "A", is_menu=True),
        ),
        ({"kind": "date", "text": "?", "initial": "2026-02-01"}, DatePick("?", "2026-02-01")),
        (
            {"kind": "form", "text": "?", "fields": ["A", {"name": "b", "type": "select", "options": ["x"]}]},
            Form("?", (FormField("A", "A"), FormField("b", "b", "select", (Option("x", "x"),)))),
        ),
    ],
)
def test_what_the_bot_may_say(message: dict[str, Any], part: object) -> None:
    assert to_reply(encode({"messages": [message]})) == Reply((part,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ({}, Reply()),
        ({"text": "hi"}, Reply((Text("hi"),))),
        ({"text": "one", "messages": [{"text": "two"}]}, Reply((Text("one"), Text("two")))),
        ({"text": "", "messages": []}, Reply()),
        ({"handover": True}, Reply(handover=Handover())),
        ({"handover": {}}, Reply(handover=Handover())),
        ({"handover": {"department": "d", "reason": "r"}}, Reply(handover=Handover("d", "r"))),
        ({"handover": False}, Reply()),
        ({"handover": None}, Reply()),
        ({"text": "bye", "close": True}, Reply((Text("bye"),), close=True)),
        ({"text": "?", "fallback": True, "version": 2}, Reply((Text("?"),), fallback=True)),
    ],
)
def test_answers(answer: dict[str, Any], reply: Reply) -> None:
    assert to_reply(encode(answer)) == reply


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_empty_body_says_nothing(body: bytes) -> None:
    assert to_reply(body) == Reply()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"Hello", "not-json", "no JSON"),
        (b'{"text": "\xff"}', "not-json", "no JSON"),
        (b"[" * 100_000, "not-json", "no JSON"),
        (b'["hi"]', "bad-answer", "no object"),
        (b'{"messages": "my secret"}', "bad-answer", "wrong at messages:"),
        (b'{"messages": [{"text": 7}]}', "bad-answer", "wrong at messages[0].text:"),
        (b'{"text": {"a": "my secret"}}', "bad-answer", "wrong at messages[0].text:"),
        (b'{"messages": [{"text": "a"}, {"kind": "my secret"}]}', "bad-answer", "wrong at messages[1].kind:"),
        (b'{"messages": [{"kind": "image"}]}', "bad-answer", "wrong at messages[0]:"),
        (b'{"messages": [{"text": "?", "options": [{}]}]}', "bad-answer", "wrong at messages[0].options[0]"),
        (b'{"handover": "my secret"}', "bad-answer", "wrong at handover:"),
        (b'{"close": "yes"}', "bad-answer", "wrong at close:"),
    ],
)
def test_wrong_answer_is_explained_without_repeating_it(body: bytes, code: str, words: str) -> None:
    with pytest.raises(DeliveryRejected) as caught:
        to_reply(body)

    assert caught.value.code == code
    assert words in str(caught.value)
    assert "my secret" not in str(caught.value)


names = st.text() | st.sampled_from(["kind", "text", "options", "cards", "label", "value", "url", "title"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["text", "choices", "card", "carousel"]),
    lambda inner: st.lists(inner) | st.dictionaries(names, inner),
)


@given(st.fixed_dictionaries({}, optional={key: json_values for key in ("text", "messages", "handover", "close")}))
def test_any_json_is_an_answer_or_rejected(answer: dict[str, Any]) -> None:
    try:
        reply = to_reply(encode(answer))
    except DeliveryRejected as exc:
        assert exc.code == "bad-answer"
    else:
        assert isinstance(reply, Reply)
