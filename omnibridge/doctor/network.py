"""Why there was no answer: name, route, TLS, nobody listening, or slow. Read from the chain of causes."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from omnibridge.doctor.finding import NETWORK, OURS


class Trouble(NamedTuple):
    """kind: dns, refused, route, certificate, tls, slow, cut. side, found and do as in a Finding."""

    kind: str
    side: str
    found: str
    do: str


def explain(exc: BaseException, url: str, setting: str) -> Trouble | None:
    """None when it is no failure of the transport. setting: where the address is configured."""
    parts = urlsplit(url)
    host = parts.hostname or url
    port = parts.port or (443 if parts.scheme == "https" else 80)
    chain = list(causes(exc))
    reason = next((each for each in chain if isinstance(each, OSError) and not isinstance(each, TimeoutError)), None)
    match reason:
        case socket.gaierror():
            return Trouble(
                "dns",
                OURS,
                f"the name {host} cannot be resolved",
                f"correct {setting}, or make the name known here: `getent hosts {host}` must answer",
            )
        case ssl.SSLCertVerificationError(verify_message=why):
            return Trouble(
                "certificate",
                NETWORK,
                f"the certificate of {host} is not trusted: {why}",
                "renew it or send its whole chain; for a CA of your own, set SSL_CERT_FILE to its certificates",
            )
        case ssl.SSLError():
            return Trouble(
                "tls",
                OURS,
                f"{host}:{port} does not speak TLS",
                f"correct scheme or port of {setting}: https:// for TLS, http:// without",
            )
        case OSError(errno=errno.ECONNREFUSED):
            return Trouble(
                "refused",
                NETWORK,
                f"{host}:{port} refuses connections: nothing listens there",
                f"start it, or correct host and port of {setting}",
            )
    if any(isinstance(each, httpx2.ConnectTimeout) for each in chain):
        return Trouble(
            "route",
            NETWORK,
            f"{host}:{port} does not take the connection",
            f"open the firewall for it, or correct {setting}",
        )
    if any(isinstance(each, httpx2.ConnectError) for each in chain):
        why = (reason and reason.strerror) or type(reason or chain[-1]).__name__
        return Trouble(
            "route",
            NETWORK,
            f"{host}:{port} cannot be reached ({why})",
            f"check route and firewall to {host}, or correct {setting}",
        )
    if any(isinstance(each, TimeoutError | httpx2.TimeoutException) for each in chain):
        return Trouble(
            "slow",
            NETWORK,
            f"{host}:{port} takes the connection and gives no answer in time",
            "look at the load of that server and at the proxy in front of it",
        )
    broken = [each for each in chain if isinstance(each, httpx2.TransportError)]
    if broken:
        return Trouble(
            "cut",
            NETWORK,
            f"{host}:{port} cut the connection ({type(broken[-1]).__name__})",
            f"check scheme and port of {setting}, and the proxy in front of it",
        )
    return None


def causes(exc: BaseException | None) -> Iterator[BaseException]:
    """The exception and what led to it, outermost first."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or exc.__context__


def is_plain_and_far(url: str) -> bool:
    """Whether secrets would travel unencrypted beyond a machine or a private network."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or "." not in host:  # `rocketchat`, `::1`: a container's or this machine's
        return False
    return not host.startswith(("127.", "10.", "192.168.", *(f"172.{each}." for each in range(16, 32))))
