"""Whatever a bot may say: no option, link, picture or word goes on any side without being counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnibridge.domain.content import (
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
from omnibridge.rocketchat.capabilities import Capabilities
from omnibridge.rocketchat.render import LOSSES, render
from omnibridge.rocketchat.split import LONGEST
from tests.golden.sides import seen

SIDES = [
    Capabilities(side, app_id, markup, is_guess)
    for side, app_id in (("widget", ""), ("widget", "APP"), ("plain", ""))
    for markup in ("markdown", "plain")
    for is_guess in ((False, True) if app_id else (False,))
]

words = st.lists(
    st.sampled_from(
        ["tea", "*bold*", "_it_", "`code`", "a_b", "# x", "[docs](https://d.test/1)", "2*3", "\n", "é", "5."]
    ),
    max_size=6,
).map(" ".join)
names = st.text(st.sampled_from("ab *_[]()\\~`:1é"), min_size=0, max_size=90)
addresses = st.sampled_from(
    ["https://x.test/", "http://x.test/a_b?c=d&e=*f*", "javascript:alert(1)", "gs://b/c", "https://x.test/p(1)"]
)
styles = st.sampled_from(["", "primary", "danger"])
options = st.builds(Option, names, names, st.none() | addresses, styles)
lists = st.lists(options, max_size=8).map(tuple)
cards = st.builds(Card, names, words, st.none() | addresses, lists)
kinds = st.sampled_from(["text", "long_text", "number", "email", "date", "select"])
fields = st.builds(FormField, names, names, kinds, lists, st.booleans(), names)
contents: st.SearchStrategy[Content] = st.one_of(
    st.builds(Text, words),
    st.builds(Choices, words, lists, st.booleans()),
    st.builds(Select, words, lists, names, names, st.booleans()),
    st.builds(DatePick, words, st.sampled_from(["", "2026-02-01", "soon"]), names),
    st.builds(Form, words, st.lists(fields, max_size=3).map(tuple), names),
    st.builds(Image, addresses, names),
    st.builds(File, addresses, names),
    st.builds(Link, addresses, names),
    cards,
    st.builds(Carousel, st.lists(cards, max_size=3).map(tuple)),
    st.builds(Custom, st.just({"seen": "never"})),
)


class Piece(NamedTuple):
    """Something that was said, and the losses that may stand for it."""

    words: str
    losses: frozenset[str] = frozenset()


def pieces(content: Content) -> Iterator[Piece]:
    """All that is said in a content."""
    match content:
        case Text(text=text):
            yield Piece(text)
        case Choices(text=text, options=found):
            yield Piece(text)
            yield from map_options(found)
        case Select(text=text, options=found, placeholder=placeholder):
            yield Piece(text)
            yield from map_options(found)
            yield Piece(placeholder, frozenset({"placeholder"}))
        case DatePick(text=text, initial=initial, placeholder=placeholder):
            yield Piece(text)
            yield Piece(placeholder, frozenset({"placeholder"}))
            yield Piece(initial, frozenset({"initial"}))
        case Form(text=text, fields=found, submit=submit):
            yield Piece(text)
            yield Piece(submit, frozenset({"form"}))
            for field in found:
                yield Piece(field.label or field.name)
                yield Piece(field.initial, frozenset({"initial"}))
                yield from map_options(field.options)
        case Image(url=url, title=title):
            yield Piece(title)
            yield address(url, "picture-address")
        case File(url=url, title=title) | Link(url=url, title=title):
            yield Piece(title)
            yield address(url, "link-address")
        case Card(title=title, body=body, image_url=url, options=found):
            yield Piece(title)
            yield Piece(body)
            if url:
                yield address(url, "picture-address")
            yield from map_options(found)
        case Carousel(cards=found_cards):
            for card in found_cards:
                yield from pieces(card)
        case Custom():
            yield Piece("never", frozenset({"custom"}))


def map_options(found: tuple[Option, ...]) -> Iterator[Piece]:
    for option in found:
        yield Piece(option.label)
        if option.url is not None:
            yield address(option.url, "link-address")


def address(url: str, loss: str) -> Piece:
    return Piece(url, frozenset({loss}) if not url.startswith("http") else frozenset())


def letters(text: str) -> str:
    """Without marks and blanks, which are other ones on each side."""
    return "".join(re.findall(r"[^\W_]+", text.replace("%29", ")")))


@pytest.mark.parametrize("side", SIDES, ids=lambda each: f"{each.side}-{each.app_id}-{each.markup}-{each.is_guess}")
@given(content=contents)
@settings(max_examples=150, deadline=None)
def test_nothing_disappears_without_a_loss(side: Capabilities, content: Content) -> None:
    rendered = render(content, side)
    lost = set(rendered.losses)

    assert lost <= set(LOSSES)
    for engine in ("livechat", "rocket.chat"):
        shown = letters("\n".join(line for each in rendered.messages for line in seen(each, engine)))
        for piece in pieces(content):
            assert letters(piece.words) in shown or piece.losses & lost, (engine, piece)
    assert all(each.text or each.attachments for each in rendered.messages), "msg is what mails and notices show"


@pytest.mark.parametrize("side", SIDES, ids=lambda each: f"{each.side}-{each.app_id}-{each.markup}-{each.is_guess}")
@given(text=st.lists(st.sampled_from(["word", "end. ", "\n\n", "é", "😀", "x" * 900, " "]), min_size=8, max_size=40))
@settings(max_examples=40, deadline=None)
def test_splitting_keeps_order_and_every_character(side: Capabilities, text: list[str]) -> None:
    said = "".join(text)
    messages = render(Choices(said, (Option("Yes", "y"),)), side).messages
    joined = "".join("".join(each.text.split()) for each in messages)

    assert joined.startswith("".join(said.split()))
    assert all(len(each.text.encode("utf-16-le")) // 2 <= LONGEST for each in messages)
    assert [bool(each.blocks) for each in messages[:-1]] == [False] * (len(messages) - 1)
