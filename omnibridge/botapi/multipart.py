"""multipart/form-data, byte by byte: the standard library's reader changes line breaks in files. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

from omnibridge.botapi.errors import bad

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))', re.IGNORECASE)
_NAME = re.compile(r'[;\s]name="?([^";\r\n]{1,200})', re.IGNORECASE)
_FILENAME = re.compile(r'[;\s]filename="([^"\r\n]*)"', re.IGNORECASE)
_ENCODED = re.compile(r"[;\s]filename\*=utf-8''([^;\s]*)", re.IGNORECASE)
_KIND = re.compile(r"content-type:\s*([^\s;]+)", re.IGNORECASE)
MOST_PARTS = 200


class FilePart(msgspec.Struct, frozen=True):
    """A file of a form. name: as it was given, hostile."""

    name: str
    media_type: str
    content: bytes


def read_multipart(content_type: str, body: bytes) -> dict[str, str | FilePart]:
    """Its parts by name. Raises MethodError 400."""
    found = _BOUNDARY.search(content_type)
    mark = f"--{found[1] or found[2]}".encode("latin-1", "replace") if found else b""
    if not found or not body.startswith(mark):
        raise bad("can't parse the multipart form")
    parts: dict[str, str | FilePart] = {}
    for raw in (b"\r\n" + body).split(b"\r\n" + mark)[1:]:
        if raw.startswith(b"--") or len(parts) == MOST_PARTS:
            break
        head, _, content = raw.partition(b"\r\n\r\n")
        headers = head.decode("utf-8", "replace")
        name, filename, kind = (each.search(headers) for each in (_NAME, _FILENAME, _KIND))
        encoded = _ENCODED.search(headers)
        if name is None:
            continue
        if filename is None and encoded is None:
            parts[name[1]] = content.decode("utf-8", "replace")
        else:
            shown = unquote(encoded[1]) if encoded else filename[1] if filename else ""
            parts[name[1]] = FilePart(shown, kind[1] if kind else "", content)
    return parts
