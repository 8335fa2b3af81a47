"""Names that we give, and values that we recognise. Pure."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from base64 import b32encode

POOL = "~pool"
"""Reserved system: the external ids below it are the numbers of the pool's proxies."""

MOST_CHARACTERS = 128
"""Of an external id: `maxLength` of the custom field (rocketchat-api 3.1)."""


def username(secret: bytes, prefix: str, workspace: str, system: str, external_id: str, n: int = 0) -> str:
    """`PREFIX.` and 16 characters that tell nothing about the person and cannot be guessed. n: when taken, the next."""
    text = "\0".join(("username", workspace, system, external_id, str(n)))
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return f"{prefix}.{b32encode(digest)[:16].decode().lower()}"


def claim(system: str, external_id: str) -> str:
    """What the custom field of a user that we make holds."""
    return f"{system}:{external_id}"


def problem_of(system: str, external_id: str) -> str:
    """Why these cannot be ids; '' = they can."""
    for name, value in (("system", system), ("external_id", external_id)):
        if not value:
            return f"{name} is missing"
        if value != value.strip() or not is_plain(value):
            return f"{name} holds spaces around it, or characters that cannot be seen"
    if system.startswith("~") or ":" in system:
        return 'system must not begin with "~" nor hold ":"'
    if len(claim(system, external_id)) > MOST_CHARACTERS:
        return f"system and external_id together are longer than {MOST_CHARACTERS - 1} characters"
    return ""


def one_line(text: str, longest: int) -> str:
    """Without what cannot be seen, and not longer: what an external system tells is kept like this."""
    return " ".join("".join(each if is_plain(each) else " " for each in text).split())[:longest]


def is_plain(text: str) -> bool:
    """Without control characters and such that change direction."""
    return not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text)


def display_name(text: str) -> str:
    """A name as the hub takes it: one line, at most 120 characters, without `<>\\/%`, which 7.x and later refuse."""
    return one_line("".join(" " if each in "<>\\/%" else each for each in text), 120)
