"""Every way in which clients send parameters (S3-37)."""

from __future__ import annotations

import pytest

from omnibridge.botapi.errors import MethodError
from omnibridge.botapi.multipart import FilePart
from omnibridge.botapi.parameters import read

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xx"
PARTS = (
    b'--xx\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n7\r\n'
    b'--xx\r\nContent-Disposition: form-data; name="text"\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--xx--\r\n'
)


@pytest.mark.parametrize(
    ("query", "kind", "body"),
    [
        ("chat_id=7&text=Gr%C3%BC%C3%9Fe", "", b""),
        ("", FORM, b"chat_id=7&text=Gr%C3%BC%C3%9Fe"),
        ("", "application/json; charset=utf-8", '{"chat_id": 7, "text": "Grüße"}'.encode()),
        ("", "application/json", '{"chat_id": "7", "text": "Grüße"}'.encode()),
        ("", MULTIPART, PARTS),
        ("chat_id=8", MULTIPART, PARTS),
    ],
)
def test_same_call_however_it_is_sent(query: str, kind: str, body: bytes) -> None:
    found = read(query, kind, body)

    assert (found.integer("chat_id"), found.text("text")) == (7, "Grüße")


def test_objects_come_as_they_are_or_in_a_text() -> None:
    assert read("", "application/json", b'{"m": {"a": 1}}').value("m") == {"a": 1}
    assert read("", FORM, b"m=%7B%22a%22%3A1%7D").value("m") == {"a": 1}
    assert read("", FORM, b"m=").value("m") is None
    assert read("", "", b"").value("m") is None


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("application/json", b"{", "can't parse the body as JSON"),
        ("application/json", b"[1]", "must be a JSON object"),
        ("application/json", b'{"chat_id": true}', "parameter chat_id must be an integer"),
        ("application/json", b'{"chat_id": 1e99}', "parameter chat_id must be an integer"),
        (FORM, b"chat_id=@name", "parameter chat_id must be an integer"),
        (FORM, b"text=x", "parameter chat_id is missing"),
        ("multipart/form-data", b"x", "can't parse the multipart form"),
        (MULTIPART, PARTS.replace(b'name="text"', b'name="text"; filename="a"'), "files are not taken"),
    ],
)
def test_what_cannot_be_read_is_told(kind: str, body: bytes, why: str) -> None:
    with pytest.raises(MethodError, match=why):
        read("", kind, body).integer("chat_id")


def test_endless_forms_are_refused() -> None:
    with pytest.raises(MethodError) as caught:
        read("", FORM, b"&".join(b"a=1" for _ in range(500)))
    assert caught.value.code == 413


def test_file_whose_name_is_encoded_is_a_file() -> None:
    """As RFC 5987 and older clients have it; it was taken for a text, and its bytes were not kept as they are."""
    body = PARTS.replace(b'name="text"', b"name=\"text\"; filename*=utf-8''%D0%BA%20%22.png")
    found = read("", MULTIPART, body, takes_files=True).file("text")

    assert isinstance(found, FilePart)
    assert found.name == '\u043a ".png'
