"""Whether an address is on the public network: judged after a name was resolved, right before we connect."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

TRANSLATED = (
    IPv6Network("64:ff9b::/96"),  # RFC 6052: NAT64, the last 32 bits are an IPv4 address
    IPv6Network("64:ff9b:1::/48"),  # RFC 8215: the same, of the local network
    IPv6Network("2002::/16"),  # RFC 3056: 6to4
    IPv6Network("2001::/32"),  # RFC 4380: Teredo
    IPv6Network("::/96"),  # IPv4-compatible, long withdrawn
    IPv6Network("::ffff:0:0:0/96"),  # RFC 2765: IPv4-translated
)
"""Addresses behind which an IPv4 address may be, of any network. The standard library calls them global."""


def is_public(address: str) -> bool:
    """address: as resolved, a zone may follow a `%`. Raises ValueError for what is no address."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif any(found in each for each in TRANSLATED):
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved
