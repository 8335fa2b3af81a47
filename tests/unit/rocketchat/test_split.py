"""Long texts in pieces: nothing lost, nothing torn, code closed and opened again."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.rocketchat.split import LONGEST, split_text

FAMILY = "👩\u200d👩\u200d👧"
THUMB = "👍🏽"
FLAG = "🇩🇪"
ACCENT = "e\u0301"


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(st.text(alphabet="ab .\n", max_size=400), st.integers(5, 60))
def test_long_text_is_split_without_loss(text: str, limit: int) -> None:
    pieces = split_text(text, limit)

    assert all(len(each) <= limit for each in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(st.text(max_size=300), st.integers(2, 40))
def test_any_text_is_split_without_loss(text: str, limit: int) -> None:
    pieces = split_text(text, limit)

    assert all(units(each) <= limit for each in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(st.lists(st.sampled_from([FAMILY, THUMB, FLAG, ACCENT, "x"]), max_size=60), st.integers(40, 80))
def test_what_a_reader_sees_as_one_is_not_torn(signs: list[str], limit: int) -> None:
    pieces = split_text("".join(signs), limit)

    assert "".join(pieces) == "".join(signs)
    for piece in pieces:
        assert units(piece) <= limit
        assert not unicodedata.category(piece[0]).startswith("M")
        assert piece[0] not in "\u200d🏽" and piece[-1] != "\u200d"
        assert sum("\U0001f1e6" <= each <= "\U0001f1ff" for each in piece) % 2 == 0


def test_letter_with_endless_marks_does_not_stop_it() -> None:
    pieces = split_text("a" + "\u0301" * 20_000)

    assert "".join(pieces) == "a" + "\u0301" * 20_000
    assert max(map(len, pieces)) <= LONGEST


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one two. three\n\nfour five six. seven", "one two. three"),
        ("one two. three\nfour five six. seven", "one two. three"),
        ("one two three. four five six seven", "one two three."),
        ("one two three! four five six seven", "one two three!"),
        ("one two three four five six seven", "one two three four"),
        ("一二三四五六七八九十。一二三四五六七八九十", "一二三四五六七八九十。"),
        ("onetwothreefourfivesixseven", "onetwothreefourfives"),
    ],
)
def test_it_is_cut_where_a_reader_would_pause(text: str, first: str) -> None:
    assert split_text(text, 20)[0] == first


def test_code_is_closed_and_begins_again() -> None:
    code = "\n".join(f"    line {number}" for number in range(60))
    pieces = split_text(f"Look:\n```python\n{code}\n```\nThat was it.", 300)

    assert len(pieces) > 2
    assert all(units(each) <= 300 and each.count("```") % 2 == 0 for each in pieces)
    assert all(each.startswith("```python\n    line") for each in pieces[1:-1])
    found = [line for piece in pieces for line in piece.split("\n") if not line.startswith("```")]
    assert found == ["Look:", *code.split("\n"), "That was it."]


@given(st.lists(st.sampled_from(["word ", "```", "\n", "```py\n", "`", "longer words here\n\n"]), max_size=300))
def test_every_fence_that_is_open_is_closed(parts: list[str]) -> None:
    text = "".join(parts)
    pieces = split_text(text, 200)
    plain = "".join("".join(pieces).split()).replace("`", "").replace("py", "")

    assert all(units(each) <= 200 for each in pieces)
    assert all(each.count("```") % 2 == 0 for each in pieces[:-1])
    assert plain == "".join(text.split()).replace("`", "").replace("py", "")
