"""Addresses that bots give us (S3-40)."""

from __future__ import annotations

import pytest

from omnibridge.botapi.errors import MethodError
from omnibridge.botapi.webhook_url import check_url, public_only
from omnibridge.http.public import is_public


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://bot.example.com/hook", "An HTTPS URL must be provided for webhook"),
        ("https://127.0.0.1/hook", "IP address is reserved; the operator may set allow_private"),
        ("https://[::1]/hook", "IP address is reserved; the operator may set allow_private"),
        ("https://10.1.2.3/hook", "IP address is reserved; the operator may set allow_private"),
        ("https://localhost/hook", "IP address is reserved; the operator may set allow_private"),
        (
            "https://user:pass@bot.example.com/",
            "the URL must hold no user name, password or fragment; use secret_token",
        ),
        ("https://no-such-host.invalid/", "Failed to resolve host"),
        ("https://a b/", "the URL cannot be read"),
        ("nonsense", "the URL cannot be read"),
    ],
)
async def test_s3_40_addresses_that_are_refused(url: str, why: str) -> None:
    with pytest.raises(MethodError) as caught:
        await check_url(url, allow_private=False)

    assert (caught.value.code, caught.value.description) == (400, f"Bad Request: bad webhook: {why}")


async def test_private_is_allowed_by_the_operator_only() -> None:
    await check_url("http://127.0.0.1:8000/hook", allow_private=True)
    with pytest.raises(MethodError, match="HTTPS"):
        await check_url("ftp://127.0.0.1/hook", allow_private=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "192.168.0.9", "0.0.0.0"])
def test_judge_refuses_also_literal_addresses(address: str) -> None:
    with pytest.raises(OSError, match="private"):
        public_only(address, address)


def test_judge_takes_public_ones() -> None:
    public_only("dns.example", "9.9.9.9")


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::", "::127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:10.0.0.1",
     "224.0.0.1", "ff02::1", "fe80::1%eth0", "100.64.0.1"],
)  # fmt: skip
def test_s3_40_private_addresses_in_disguise_are_refused(address: str) -> None:
    """NAT64, 6to4 and the like lead to an IPv4 address; the standard library calls them global."""
    assert not is_public(address)


def test_public_addresses_in_disguise_are_what_they_are() -> None:
    assert is_public("::ffff:8.8.8.8")
