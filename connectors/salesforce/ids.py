"""Salesforce ids: 15 characters that differ in case, and 18 that do not (reference 3.9)."""

from __future__ import annotations

import re

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")


def long_id(text: str) -> str:
    """15 or 18 characters -> 18. Raises ValueError for what is no id, or whose last three do not fit the others."""
    if not _ID.fullmatch(text):
        raise ValueError("a Salesforce id has 15 or 18 letters and digits")
    suffix = ""
    for begin in (0, 5, 10):
        bits = sum(1 << n for n, each in enumerate(text[begin : begin + 5]) if "A" <= each <= "Z")
        suffix += _DIGITS[bits]
    if len(text) == 18 and text[15:].upper() != suffix:
        raise ValueError("the last three characters do not fit the others: the id was changed, or its case was")
    return text[:15] + suffix


def short_id(text: str) -> str:
    """15 or 18 characters -> 15. Raises as `long_id`."""
    return long_id(text)[:15]


def long_or_same(text: str) -> str:
    """As `long_id`; what is no id stays as it is."""
    try:
        return long_id(text)
    except ValueError:
        return text
