"""What the visitor wrote -> what the agent is given. Pure."""

from __future__ import annotations

import re

LONGEST = 256
"""Characters of one query of ES. Source: public issues; longer ones are INVALID_ARGUMENT."""

MOST_PIECES = 8
"""Of one message. What is beyond is in the payload, and counted."""

_QUOTE = re.compile(r"^(\[\s*\]\([^\s()]+\)\s*)+")


def plain(text: str) -> str:
    """Without outer blanks, and without the link that Rocket.Chat puts in front of an answer to a message."""
    return _QUOTE.sub("", text.strip()).strip()


def pieces(text: str, longest: int = LONGEST) -> list[str]:
    """In order, cut after a sentence, else at a blank, else anywhere; all words are in one of them."""
    found, rest = [], text
    while len(rest) > longest:
        at = _end(rest, longest)
        found.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [each for each in (*found, rest) if each]


def _end(text: str, longest: int) -> int:
    """Where the first piece ends; a piece is not shorter than half of the longest."""
    window = text[: longest + 1]
    ends = [found.end() for found in re.finditer(r"[.!?\n](?=\s)", window) if longest // 2 <= found.end() <= longest]
    if ends:
        return ends[-1]
    blank = max(window.rfind(" "), window.rfind("\n"))
    return blank if blank >= longest // 2 else longest
