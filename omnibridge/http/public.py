"""Which addresses are of the public network: what others name to be called at must be."""

from __future__ import annotations

import ipaddress


def is_public(address: str) -> bool:
    """address: as a socket tells it, perhaps with a zone behind a percent sign."""
    return ipaddress.ip_address(address.partition("%")[0]).is_global
