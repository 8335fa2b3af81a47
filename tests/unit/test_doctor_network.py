"""Failures that need a certificate, a route or a name server to happen: read from the exceptions that they raise."""

from __future__ import annotations

import errno
import socket
import ssl

import httpx2
import pytest

from omnibridge.doctor.finding import NETWORK, OURS
from omnibridge.doctor.network import explain, is_plain_and_far


def certificate(why: str) -> ssl.SSLCertVerificationError:
    """As ssl raises it."""
    exc = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    exc.verify_message = why
    return exc


def caused_by(kind: type[httpx2.TransportError], reason: BaseException | None) -> httpx2.TransportError:
    """As `omnibridge.http` raises it."""
    try:
        raise kind("no answer") from reason
    except httpx2.TransportError as exc:
        return exc


UNCONNECTED = httpx2.ConnectError
FAILURES = [
    (caused_by(UNCONNECTED, certificate("certificate has expired")), "certificate", NETWORK, "has expired"),
    (caused_by(UNCONNECTED, ssl.SSLError(1, "wrong version number")), "tls", OURS, "TLS"),
    (caused_by(UNCONNECTED, socket.gaierror(-2, "Name or service not known")), "dns", OURS, "resolved"),
    (caused_by(UNCONNECTED, OSError(errno.ECONNREFUSED, "refused")), "refused", NETWORK, "refuses"),
    (caused_by(UNCONNECTED, OSError(errno.EHOSTUNREACH, "No route to host")), "route", NETWORK, "No route"),
    (caused_by(UNCONNECTED, OSError("Multiple exceptions")), "route", NETWORK, "reached"),
    (caused_by(httpx2.ConnectTimeout, TimeoutError()), "route", NETWORK, "does not take"),
    (TimeoutError(), "slow", NETWORK, "in time"),
    (caused_by(httpx2.ReadTimeout, TimeoutError()), "slow", NETWORK, "in time"),
    (caused_by(httpx2.RemoteProtocolError, None), "cut", NETWORK, "RemoteProtocolError"),
    (caused_by(httpx2.ReadError, ConnectionResetError(104, "reset")), "cut", NETWORK, "ReadError"),
]


@pytest.mark.parametrize(("failure", "kind", "side", "says"), FAILURES, ids=[each[1] for each in FAILURES])
def test_failure_is_explained(failure: BaseException, kind: str, side: str, says: str) -> None:
    found = explain(failure, "https://chat.example.com", "[[workspace]] main: url")

    assert found is not None
    assert (found.kind, found.side) == (kind, side)
    assert "chat.example.com" in found.found and says in found.found and found.do


def test_defects_are_not_explained_away() -> None:
    assert explain(KeyError("x"), "https://chat.example.com", "url") is None


@pytest.mark.parametrize(
    ("url", "is_far"),
    [
        ("http://chat.example.com", True),
        ("https://chat.example.com", False),
        ("http://rocketchat:3000", False),
        ("http://10.1.2.3:3000", False),
        ("http://172.20.0.2", False),
        ("http://172.32.0.2", True),
        ("http://8.8.8.8", True),
    ],
)
def test_unencrypted_beyond_a_private_network(url: str, is_far: bool) -> None:
    assert is_plain_and_far(url) is is_far
