"""Files as multipart/form-data, written and read again; whatever names they have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnibridge.connector.form_data import Part, encode, parse


@given(st.binary(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_any_file_comes_out_as_it_went_in(data: bytes, filename: str, media_type: str) -> None:
    found = parse(*encode([Part("a", "", "", b"1"), Part("file", filename or "x", media_type, data)]))

    assert set(found) == {"a", "file"}
    assert (found["a"], found["file"].data) == (Part("a", "", "text/plain", b"1"), data)


def test_names_and_types_end_no_header() -> None:
    _, body = encode([Part("file", 'a"\r\nX: y.png', "image/png\r\nX: y", b"z")])

    assert body.split(b"\r\n")[1:3] == [
        b'Content-Disposition: form-data; name="file"; filename="a_X: y.png"',
        b"Content-Type: application/octet-stream",
    ]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b""),
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent"),
        ("multipart/form-data; boundary=x", b"--x\r\nno head\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nno name\r\n--x--\r\n"),
    ],
)
def test_what_is_none(content_type: str, body: bytes) -> None:
    with pytest.raises(ValueError):
        parse(content_type, body)
