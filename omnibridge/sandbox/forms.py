"""Bodies that are no JSON: HTML forms and multipart, parsed with the standard library."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from omnibridge.sandbox.http import body_of
from omnibridge.sandbox.state import HubError

_BOUNDARY = re.compile(r'boundary="?([^";]{1,200})')
_NAME = re.compile(r'\bname="?([^";\r\n]{1,200})', re.IGNORECASE)
_FILENAME = re.compile(r'\bfilename="?([^"\r\n]{0,1000})', re.IGNORECASE)
_KIND = re.compile(r"content-type:\s*([^\s;]+)", re.IGNORECASE)


@dataclass
class Upload:
    """content: of the file in `field`. fields: the others, as text."""

    content: bytes
    media_type: str
    name: str
    fields: dict[str, str] = field(default_factory=dict)


def is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


async def form_or_json(request: Request) -> dict[str, Any]:
    """`login` takes both. Raises HubError 400."""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    return await body_of(request)


async def upload_of(request: Request, file_field: str) -> Upload | None:
    """The file that a form carries under that name. Raises HubError 400."""
    boundary = _BOUNDARY.search(request.headers.get("content-type", ""))
    if boundary is None:
        raise HubError("Multipart: Boundary not found", coded=False)
    found: Upload | None = None
    fields: dict[str, str] = {}
    for part in (b"\r\n" + await request.body()).split(f"\r\n--{boundary[1]}".encode("latin-1"))[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = head.decode("utf-8", "replace")
        name, filename, kind = (each.search(headers) for each in (_NAME, _FILENAME, _KIND))
        if filename is None:
            fields[name[1] if name else ""] = content.decode("utf-8", "replace")
        elif name and name[1] == file_field:
            found = Upload(content, kind[1] if kind else "application/octet-stream", filename[1])
        else:
            raise HubError("invalid-field", "invalid-field")
    if found:
        found.fields = fields
    return found
