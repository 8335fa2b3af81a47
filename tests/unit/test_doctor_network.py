"""Failures that need a certificate, a route or a name server to happen: read from the exceptions that they raise."""

from __future__ import annotations

import errno
import ssl

import aiohttp
import httpx2
import pytest
from aiohttp.client_reqrep import ConnectionKey

from omnibridge.doctor.finding import NETWORK, OURS
from omnibridge.doctor.network import explain, is_plain_and_far

KEY = ConnectionKey("chat.example.com", 443, True, True, None, None, None)


def caused_by(reason: BaseException) -> httpx2.ConnectError:
    """As `omnibridge.http` raises it."""
    try:
        raise httpx2.ConnectError("not connected") from reason
    except httpx2.ConnectError as exc:
        return exc


FAILURES = [
    (aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("expired")), "certificate", NETWORK),
    (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "wrong version number")), "tls", OURS),
    (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")), "dns", OURS),
    (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "refused")), "refused", NETWORK),
    (aiohttp.ClientConnectorError(KEY, OSError(errno.EHOSTUNREACH, "No route to host")), "route", NETWORK),
    (aiohttp.ConnectionTimeoutError(), "route", NETWORK),
    (TimeoutError(), "slow", NETWORK),
    (aiohttp.ServerDisconnectedError(), "cut", NETWORK),
]


@pytest.mark.parametrize(("reason", "kind", "side"), FAILURES, ids=[each[1] for each in FAILURES])
def test_failure_is_explained(reason: BaseException, kind: str, side: str) -> None:
    found = explain(caused_by(reason), "https://chat.example.com", "[[workspace]] main: url")

    assert found is not None
    assert (found.kind, found.side) == (kind, side)
    assert "chat.example.com" in found.found and found.do


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
