"""Salesforce's messages as neutral content and back: golden examples, any rubbish, and both ways over sockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce_messaging.content import (
    as_text,
    attachments_of,
    carried,
    carry,
    choice_message,
    contents_of,
    file_message,
    form_message,
    pieces,
    text_message,
)
from connectors.salesforce_messaging.entries import Said
from omnibridge.connector import (
    Card,
    Carousel,
    Choices,
    Content,
    Custom,
    DatePick,
    File,
    Form,
    FormField,
    Image,
    Link,
    Option,
    Select,
    Text,
)
from tests.conftest import until
from tests.connectors.salesforce_messaging.listeners import visitor
from tests.connectors.salesforce_messaging.orgs import new_id

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"), key=lambda each: each.name)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda each: each.stem)
def test_golden(path: Path) -> None:
    example = json.loads(path.read_text("utf-8"))
    found = contents_of(example["abstract"])

    assert msgspec.to_builtins(found) == msgspec.to_builtins(msgspec.convert(example["contents"], tuple[Content, ...]))


def test_golden_examples_show_every_kind() -> None:
    kinds = {each["kind"] for path in FIXTURES for each in json.loads(path.read_text("utf-8"))["contents"]}

    assert kinds == {"text", "choices", "select", "form", "image", "file", "link", "card", "carousel", "custom"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(data=st.data(), path=st.sampled_from(FIXTURES), rubbish=JSON)
def test_any_rubbish_in_any_place_is_content_or_nothing(data: st.DataObject, path: Path, rubbish: Any) -> None:
    abstract = json.loads(path.read_text("utf-8"))["abstract"]
    node: Any = abstract
    while True:
        key = data.draw(st.sampled_from(sorted(node)) if isinstance(node, dict) else st.integers(0, len(node) - 1))
        if isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = rubbish
        break
    found = contents_of(abstract)

    assert msgspec.convert(msgspec.to_builtins(found), tuple[Content, ...]) == found
    assert isinstance(attachments_of(abstract), tuple)


def test_answers_name_what_was_asked() -> None:
    asked, mine = new_id(), new_id()

    assert choice_message(mine, carry(asked, "a"), carry(asked, "b:c")) == {
        "id": mine,
        "messageType": "ChoicesResponseMessage",
        "inReplyToMessageId": asked,
        "choicesResponse": {
            "formatType": "Selections",
            "selectedOptions": [{"optionIdentifier": "a"}, {"optionIdentifier": "b:c"}],
        },
    }
    assert form_message(mine, {carry(asked, "mail"): "v@example.com"}) == {
        "id": mine,
        "messageType": "FormResponseMessage",
        "inReplyToMessageId": asked,
        "formResponse": {"formatType": "Inputs", "inputs": [{"id": "mail", "value": "v@example.com"}]},
    }
    assert text_message(mine, "hi", asked)["inReplyToMessageId"] == asked
    assert file_message(mine, asked, "look") == {"id": mine, "fileId": asked, "text": "look"}


@pytest.mark.parametrize("values", [(), ("sales",), ("a:b",), (carry(new_id(), "a"), carry(new_id(), "a")), ("",)])
def test_what_answers_no_question_of_salesforce(values: tuple[str, ...]) -> None:
    assert choice_message(new_id(), *values) is None
    assert form_message(new_id(), dict.fromkeys(values, "x")) is None


def test_carried() -> None:
    asked = new_id()

    assert carried(carry(asked, "a")) == (asked, "a")
    assert carried(carry(asked, "")) == carried("x") == carried("") == ("", "")


@given(st.text(st.sampled_from("ab \n"), max_size=200))
def test_long_texts_lose_nothing_but_gaps(text: str) -> None:
    found = pieces(text, 10)

    assert all(len(each) <= 10 for each in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert pieces("") == [""]


def test_long_texts_are_cut_between_words() -> None:
    assert pieces("one two three", 8) == ["one two", "three"]
    assert pieces("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Text("hi"), "hi"),
        (
            Choices("Which?", (Option("One", "1"), Option("Site", url="https://x"))),
            "Which?\n1. One\n2. Site (https://x)",
        ),
        (Select("Which?", (Option("One"),)), "Which?\n1. One"),
        (DatePick("When?"), "When?"),
        (Form("You", (FormField("n", "Name"), FormField("m", "Mail"))), "You\n- Name\n- Mail"),
        (Card("Shoe", "red", "https://x/a.png", (Option("Buy"),)), "Shoe\nred\nhttps://x/a.png\n1. Buy"),
        (Carousel((Card("A"), Card("B"))), "A\n\nB"),
        (Image("https://x"), "https://x"),
        (File("https://x", "a.pdf"), "a.pdf\nhttps://x"),
        (Link("https://x", "More"), "More\nhttps://x"),
        (Custom({"a": 1}), ""),
    ],
)
def test_what_a_bot_showed_in_words(part: Content, expected: str) -> None:
    assert as_text(part) == expected


def test_every_kind_of_content_has_words() -> None:
    assert {each.__name__ for each in Content.__args__} == {
        "Text", "Choices", "Select", "DatePick", "Form", "Image", "File", "Link", "Card", "Carousel", "Custom",
    }  # fmt: skip


async def test_agent_asks_and_the_visitor_answers_over_sockets() -> None:
    async with visitor() as one:
        async with one.listening():
            desk, cid = one.org.desk, one.cid
            desk.ask(cid, "Which?", ["Sales", {"title": "Support", "id": "support"}])
            desk.ask(cid, "Country", ["Spain"], style="ListPicker")
            desk.ask(cid, "Shoes", [{"title": "Red", "image": "https://x/a.png"}], style="Carousel")
            desk.ask_form(cid, "You", [{"id": "mail", "inputType": "Email", "label": "Mail"}])
            desk.send_file(cid, "a.png", "image/png", "look", content="of an agent")
            desk.say(cid, "More", url="https://example.com")
            await until(lambda: sum(isinstance(each, Said) for _, each in one.told) == 6)
        shown = [contents_of(each.abstract) for _, each in one.told if isinstance(each, Said)]
        (choices,), (select,), (_, carousel), (form,), (_, picture), (card,) = shown
        assert isinstance(choices, Choices) and isinstance(select, Select) and isinstance(carousel, Carousel)
        assert isinstance(form, Form) and isinstance(picture, Image) and isinstance(card, Card)
        assert carousel.cards[0].image_url == "https://x/a.png"
        assert await one.calls.download(one.access, picture.url) == b"of an agent"
        values = (choices.options[1].value, select.options[0].value, carousel.cards[0].options[0].value)
        for value in values:
            answer = choice_message(new_id(), value)
            assert answer is not None
            await one.calls.send(one.access, cid, answer)
        filled = form_message(new_id(), {form.fields[0].name: "v@example.com"})
        assert filled is not None
        await one.calls.send(one.access, cid, filled)
        await asyncio.sleep(0)

    desk_got = [(each["type"], each["text"]) for each in one.org.org.desk]
    assert desk_got[0] == ("ChoicesResponseMessage", "support")
    assert [kind for kind, _ in desk_got] == ["ChoicesResponseMessage"] * 3 + ["FormResponseMessage"]
    assert "v@example.com" in desk_got[3][1]
    asked = {each["said"]["inReplyToMessageId"] for each in one.org.org.desk}
    entries = one.org.org.conversations[cid].entries
    assert asked <= {each["identifier"] for each in entries} and len(asked) == 4
