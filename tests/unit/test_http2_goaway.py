"""GOAWAY frames are found wherever the bytes are cut, and nothing else is taken away."""

from __future__ import annotations

import itertools

from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.http.goaway import GoAways

FRAMES = [
    DataFrame(1, b"x" * 20).serialize(),
    DataFrame(3, b"").serialize(),
    PingFrame(0, b"\x07" * 8).serialize(),
    SettingsFrame(0, flags=["ACK"]).serialize(),
    GoAwayFrame(0, last_stream_id=5, error_code=2).serialize(),
    GoAwayFrame(0, last_stream_id=0x7FFF_FFFF, additional_data=b"because" * 9).serialize(),
]


@given(which=st.lists(st.integers(0, 5)), cuts=st.sets(st.integers(1, 200)))
def test_where_bytes_are_cut_does_not_matter(which: list[int], cuts: set[int]) -> None:
    whole = b"".join(FRAMES[each] for each in which)
    places = sorted({0, *(each for each in cuts if each < len(whole)), len(whole)})
    goaways = GoAways()
    found = [goaways.taken_from(whole[begin:end]) for begin, end in itertools.pairwise(places)]

    assert b"".join(others for others, _ in found) == b"".join(FRAMES[each] for each in which if each < 4)
    told = {4: (5, 2), 5: (0x7FFF_FFFF, 0)}
    assert [each for _, some in found for each in some] == [told[each] for each in which if each > 3]
