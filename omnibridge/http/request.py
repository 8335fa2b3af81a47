"""Where a request goes, and its bytes."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import httpx2

_SPACE = re.compile(r"[\x00-\x20\x7f]")


class Origin(NamedTuple):
    """Where connections go. host: as in the Host header. log_in: an Authorization line, when the URL has a user."""

    scheme: str
    name: str
    port: int
    host: str
    log_in: str = ""


@functools.lru_cache(maxsize=256)
def origin_of(url: str) -> tuple[Origin, str]:
    """Origin and path of a URL, without a slash at its end. Raises httpx2.UnsupportedProtocol."""
    try:
        parts = urlsplit(url)
        scheme, name, port = parts.scheme, parts.hostname, parts.port
        if name and not name.isascii():
            # IDNA of 2008, as browsers have it. The codec is of 2003, and leads to another host for some names.
            name = httpx2.URL(scheme="https", host=name).raw_host.decode()
    except (ValueError, httpx2.InvalidURL) as exc:
        raise httpx2.UnsupportedProtocol(f"not a URL that can be called ({exc})") from exc
    if scheme not in ("http", "https") or not name:
        raise httpx2.UnsupportedProtocol("a URL that can be called begins with http:// or https:// and a host")
    usual = 443 if scheme == "https" else 80
    shown = f"[{name}]" if ":" in name else name
    host = shown if port in (None, usual) else f"{shown}:{port}"
    log_in = ""
    if parts.username or parts.password:
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        log_in = f"Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"
    return Origin(scheme, name, port or usual, host, log_in), parts.path.rstrip("/")


def request_bytes(
    origin: Origin, method: str, target: str, headers: Iterable[tuple[str, str]], content: bytes | None
) -> bytes:
    """Raises httpx2.UnsupportedProtocol for what would be read as another request than was meant."""
    lines = [f"{method} {target or '/'} HTTP/1.1\r\nHost: {origin.host}\r\n{origin.log_in}"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    if content is not None or method != "GET":
        lines.append(f"Content-Length: {len(content or b'')}\r\n")
    head = "".join(lines)
    expected = len(lines) + 1 + bool(origin.log_in)
    if head.count("\n") != expected or head.count("\r") != expected or "\0" in head or _SPACE.search(target):
        raise httpx2.UnsupportedProtocol("a header or the path contains a line break, or the path a space")
    if method in ("HEAD", "CONNECT"):
        raise httpx2.UnsupportedProtocol(f"{method} is not spoken here")
    try:
        return b"%b\r\n%b" % (head.encode(), content or b"")
    except UnicodeEncodeError as exc:
        raise httpx2.UnsupportedProtocol("a header or the path contains half of a surrogate pair") from exc
