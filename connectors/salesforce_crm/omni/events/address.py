"""Where the Pub/Sub API is, and what may be subscribed: checked with the settings, without anything of gRPC."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

HOST = "api.pubsub.salesforce.com:7443"
"""Of every org (reference 4.3)."""

TOPICS = ("/data/PendingServiceRoutingChangeEvent", "/data/AgentWorkChangeEvent")
_TOPIC = re.compile(r"/(data|event)/[A-Za-z][A-Za-z0-9_]{0,99}")
MOST_TOPICS = 10


class Address(msgspec.Struct, frozen=True):
    """host: HOST:PORT. is_plain: without TLS."""

    host: str
    is_plain: bool = False


def read_address(text: str) -> Address:
    """`HOST:PORT` is by TLS, `grpc://127.0.0.1:PORT` is plain. Raises ValueError."""
    is_plain = text.startswith("grpc://")
    try:
        parts = urlsplit(text if is_plain else f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not host or port is None or parts.path or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f'pubsub_address must be HOST:PORT, as in "{HOST}"')
    if is_plain and not _is_loopback(host):
        raise ValueError(
            "pubsub_address: grpc:// is without TLS, so only for a simulator on this machine, grpc://127.0.0.1:PORT; "
            "write HOST:PORT for TLS"
        )
    return Address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", is_plain)


def check_topics(topics: tuple[str, ...]) -> None:
    """Raises ValueError."""
    if not 1 <= len(topics) <= MOST_TOPICS:
        raise ValueError(f"pubsub_topics: 1 to {MOST_TOPICS} of them")
    if len(set(topics)) != len(topics):
        raise ValueError("pubsub_topics: one of them is there twice")
    if wrong := [each for each in topics if not _TOPIC.fullmatch(each)]:
        raise ValueError(f'pubsub_topics: {wrong[0]!r} is none: as in "{TOPICS[0]}", or "/data/CHANNEL__chn"')


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
