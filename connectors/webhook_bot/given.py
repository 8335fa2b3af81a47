"""Files that a bot puts into its answer as base64: found, decoded, and replaced by addresses of ours. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from omnibridge.connector import DeliveryRejected


def given_files(body: bytes) -> list[tuple[bytes, str, str]]:
    """(bytes, name, media type) of each, in their order. Raises DeliveryRejected for what is no base64."""
    if b'"data"' not in body:  # nearly all
        return []
    found = []
    for each in _with_data(_decoded(body)):
        try:
            content = base64.b64decode(each["data"], validate=True)
        except (binascii.Error, ValueError):
            raise DeliveryRejected("data of a file in the bot's answer is no base64", code="bad-answer") from None
        found.append((content, _text(each, "name") or _text(each, "title"), _text(each, "media_type")))
    return found


def with_addresses(body: bytes, addresses: list[str]) -> bytes:
    """The same answer with an address for each file that was given."""
    answer = _decoded(body)
    for each, url in zip(list(_with_data(answer)), addresses, strict=True):
        each.pop("data")
        each |= {"kind": "file", "url": url, "title": _text(each, "name") or _text(each, "title")}
    return msgspec.json.encode(answer)


def _with_data(answer: Any) -> Iterator[dict[str, Any]]:
    messages = answer.get("messages") if isinstance(answer, dict) else None
    for each in messages if isinstance(messages, list) else ():
        if isinstance(each, dict) and each.get("kind") in ("file", "image") and isinstance(each.get("data"), str):
            yield each


def _decoded(body: bytes) -> Any:
    """None for what `to_reply` says is wrong."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
