"""What the operator's tools print and read: nothing that a terminal obeys, times, flips."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.errors import ConfigError
from omnibridge.operator.text import cut, moment, safe, since, span


@given(st.text(max_size=200))
def test_nothing_hostile_reaches_the_terminal(text: str) -> None:
    shown = safe(text)

    assert all(unicodedata.category(each) not in ("Cc", "Cs", "Zl", "Zp") for each in shown)
    assert not {"\x1b", "\x9b", "\u202e", "\u2066", "\ufeff"} & set(shown)


def test_plain_words_stay_as_they_are() -> None:
    family = "Grüße, 你好, 👩\u200d👩\u200d👧"

    assert safe(family) == family
    assert safe("a\nb\x1b[2J") == "a\\nb\\x1b[2J"


def test_long_text_is_cut_visibly() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert cut("abcdef", 0) == "abcdef"


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0 ms"), (999, "999 ms"), (1200, "1.2 s"), (180_000, "3 min"), (90_000_000, "1 d")]
)
def test_span(ms: int, text: str) -> None:
    assert span(ms) == text


def test_since_is_before_now_or_a_date() -> None:
    now = 1_700_000_000_000

    assert since("30m", now) == now - 1_800_000
    assert since(" 2h", now) == now - 7_200_000
    assert since(moment(now), 0) == now
    for wrong in ("yesterday", "5", "-3h", ""):
        with pytest.raises(ConfigError, match="2026-10-02T07:00"):
            since(wrong, now)
