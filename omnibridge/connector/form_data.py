"""multipart/form-data (RFC 7578) of small bodies: written for vendors that take files, read by their simulators."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple


class Part(NamedTuple):
    """filename, media_type: may be hostile. Both empty: a plain field."""

    name: str
    filename: str
    media_type: str
    data: bytes


def encode(parts: Iterable[Part]) -> tuple[str, bytes]:
    """Content type and body. What could end a header is left out of names and types."""
    boundary = f"omnibridge-{uuid.uuid4().hex}"
    pieces = []
    for name, filename, media_type, data in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if filename:
            shown = "".join(each for each in filename if each.isprintable()).replace("\\", "_").replace('"', "_")
            head += f'; filename="{shown[:200] or "file"}"'
        if media_type or filename:
            is_right = media_type.isascii() and media_type.isprintable() and "/" in media_type
            head += f"\r\nContent-Type: {media_type if is_right else 'application/octet-stream'}"
        pieces.append(f"{head}\r\n\r\n".encode("utf-8", "replace") + data + b"\r\n")
    body = b"".join(pieces) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


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
