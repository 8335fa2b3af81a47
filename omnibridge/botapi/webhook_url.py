"""Addresses that bots give us to be called at: they come from outside, so this machine's network is out of bounds."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from omnibridge.botapi.errors import MethodError, bad
from omnibridge.http.public import is_public

RESOLVE_S = 5.0
LONGEST_URL = 2048


def public_only(host: str, address: str) -> None:
    """Also of an address that is written as one. Raises OSError. For `omnibridge.http.Wire`."""
    if not is_public(address):
        raise OSError("the address is private")


async def check_url(url: str, *, allow_private: bool) -> None:
    """Raises MethodError 400. What is connected to is judged again at each delivery: names may change."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise bad("bad webhook: the URL cannot be read") from None
    if not url.isascii() or len(url) > LONGEST_URL or not host or any(each <= " " for each in url):
        raise bad("bad webhook: the URL cannot be read")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    if parts.username is not None or parts.fragment:
        raise bad("bad webhook: the URL must hold no user name, password or fragment; use secret_token")
    if allow_private:
        return
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise bad("bad webhook: Failed to resolve host") from None
    try:
        for each in found:
            public_only(host, str(each[4][0]))
    except OSError:
        raise MethodError(
            400, "Bad Request: bad webhook: IP address is reserved; the operator may set allow_private"
        ) from None
