"""multipart/form-data as requests have it (RFC 7578): small bodies, read whole."""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple


class Part(NamedTuple):
    name: str
    filename: str
    media_type: str
    data: bytes


def parse(content_type: str, body: bytes) -> dict[str, Part]:
    """Parts by name. Raises ValueError."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_param("boundary")
    if head.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise ValueError("not multipart/form-data with a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise ValueError("the last boundary is missing")
    found = {}
    for piece in pieces[1:-1]:
        raw, gap, data = piece.partition(b"\r\n\r\n")
        if not gap:
            raise ValueError("a part without a head")
        headers = HeaderParser().parsestr(raw.decode("utf-8").lstrip("\r\n"))
        name = headers.get_param("name", header="content-disposition")
        filename = headers.get_param("filename", header="content-disposition") or ""
        if not isinstance(name, str) or not isinstance(filename, str):
            raise ValueError("a part without a plain name")
        found[name] = Part(name, filename, headers.get_content_type(), data)
    return found
