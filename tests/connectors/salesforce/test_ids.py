"""Ids of 15 and of 18 characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce.ids import long_id, long_or_same, short_id


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("00DgL0000044OAP", "00DgL0000044OAPUA2"),
        ("0053g000000usWa", "0053g000000usWaAAI"),
        ("0" * 15, "0" * 15 + "AAA"),
    ],
)
def test_ids_of_15_and_18(short: str, long: str) -> None:
    assert (long_id(short), long_id(long), short_id(long), short_id(short)) == (long, long, short, short)


@pytest.mark.parametrize("wrong", ["", "00D", "00DgL0000044OAPUA3", "00dgL0000044OAPUA2", "00DgL0000044OA!", "0" * 16])
def test_what_is_no_id(wrong: str) -> None:
    with pytest.raises(ValueError):
        long_id(wrong)
    assert long_or_same(wrong) == wrong


@given(st.text("abcXYZ019", min_size=15, max_size=15), st.text("abcXYZ019", min_size=15, max_size=15))
def test_long_ids_differ_also_where_case_is_lost(one: str, other: str) -> None:
    assert (long_id(one).lower() == long_id(other).lower()) == (one == other)
