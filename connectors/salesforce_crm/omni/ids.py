"""Ids of 15 characters -> 18, so that one agent has one id (reference 3.9)."""

from __future__ import annotations

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def long_id(found: str) -> str:
    """One of 15 characters with its check; anything else as it is."""
    if len(found) != 15:
        return found
    blocks = (found[at : at + 5] for at in (0, 5, 10))
    return found + "".join(
        _LETTERS[sum(1 << k for k, each in enumerate(block) if "A" <= each <= "Z")] for block in blocks
    )
