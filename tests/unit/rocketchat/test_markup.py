"""Markdown to plain text, and plain text that is to be seen as it is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.rocketchat.markup import escape, to_plain


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("*bold* and **bold**", "bold and bold"),
        ("_it_ and __it__ and *_both_*", "it and it and both"),
        ("~gone~ ~~gone~~", "gone gone"),
        ("[Docs](https://d/a_b_c) now", "Docs (https://d/a_b_c) now"),
        ("[https://d](https://d)", "https://d"),
        ("![Cat](https://i/cat.png)", "Cat (https://i/cat.png)"),
        ("[](https://d)", "https://d"),
        ("[*Docs*](https://d)", "Docs (https://d)"),
        ("<https://d|Docs>", "Docs (https://d)"),
        ("[Mail](mailto:a@b.c)", "Mail (a@b.c)"),
        ("`a*b*c` and ```py\nx = *1*\n```", "a*b*c and x = *1*"),
        ("# Head\n## Second", "Head\nSecond"),
        ("\\*not bold\\* 1\\. C#", "*not bold* 1. C#"),
        ("snake_case_name and 2*3*4", "snake_case_name and 2*3*4"),
        ("see https://d/_x_/*y*", "see https://d/_x_/*y*"),
        ("* one\n* two", "* one\n* two"),
        ("[no](link) [x] (y)", "[no](link) [x] (y)"),
        ("> said", "> said"),
        ("a < b, 5 * 3 * 2", "a < b, 5 * 3 * 2"),
    ],
)
def test_markdown_to_plain_text(markdown: str, plain: str) -> None:
    assert to_plain(markdown) == plain


@pytest.mark.parametrize(
    ("plain", "markdown"),
    [
        ("*not bold*", "\\*not bold\\*"),
        ("snake_case _it_", "snake_case \\_it\\_"),
        ("[x](y)", "[x]\u200b(y)"),
        ("# 1 and #1", "\\# 1 and #1"),
        ("`code` ~x~", "\\`code\\` \\~x\\~"),
        ("https://d/_x_/*y* *z*", "https://d/_x_/*y* \\*z\\*"),
        ("C:\\Users\\*", "C:\\Users\\\\\\*"),
        ("a <b>c</b> < d", "a <\u200bb>c<\u200b/b> < d"),
        ("plain. (really)", "plain. (really)"),
    ],
)
def test_plain_text_to_markdown(plain: str, markdown: str) -> None:
    assert escape(plain) == markdown


@pytest.mark.parametrize(
    "piece", ["*a ", "_a ", "**a ", "```", "[a](https://x", "* " + " " * 50, "*_~`a", "<https://x"]
)
def test_marks_without_an_end_take_no_time(piece: str) -> None:
    """A bot may answer a megabyte, and everybody waits meanwhile. Quadratic patterns took minutes."""
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    to_plain(escape(text))

    assert time.process_time() - began < 5


@given(st.text(st.sampled_from("ab *_~`#[]()\\\n<>/!.:x1")))
def test_what_was_escaped_reads_as_it_was_written(text: str) -> None:
    assert to_plain(escape(text)) == text


@given(st.text(st.sampled_from("ab *_~`#[]()\\\n<>|!h")))
def test_no_word_goes(text: str) -> None:
    assert [each for each in to_plain(text) if each.isalnum()] == [each for each in text if each.isalnum()]
