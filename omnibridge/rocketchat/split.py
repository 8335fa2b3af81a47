"""A long text as several messages that the hub takes: cut where a reader would pause. Pure."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 5_000
"""Message_MaxAllowedSize. Counted in UTF-16 units, as the hub's JavaScript does: an emoji is two."""

PAUSES = (
    ("\n\n",),
    ("\n",),
    (". ", "! ", "? ", "… ", "。", "！", "？"),  # noqa: RUF001 - they end sentences in Chinese and Japanese
    (" ",),
)
"""Where to cut, the best first."""

FENCE = "```"
ROOM_FOR_FENCES = 200
"""Below this limit a block of code is cut like any text: there would be no room to close it and begin again."""

LONGEST_CLUSTER = 64
"""Characters that are kept together at most: a single letter may carry any number of marks."""

_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{0,20}(?=\n)")


def split_text(text: str, limit: int = LONGEST) -> list[str]:
    """Cut at a paragraph, else a line, a sentence, a blank, else between two characters as people see them: the first
    of these in the second half of what fits. A block of code that is cut is closed, and begins again in the next
    piece. Without that, the joined pieces hold every character in order, but for the blanks at the cuts.

    limit: UTF-16 units, at least 2.
    """
    with_fences = FENCE in text and limit >= ROOM_FOR_FENCES
    room = limit - len(FENCE) - 1 if with_fences else limit
    pieces: list[str] = []
    while _fitting(text, limit) < len(text):
        cut = _cut(text, _fitting(text, room))
        piece, text = text[:cut].rstrip(), text[cut:]
        opening = _open_fence(piece) if with_fences else None
        if opening is None:
            text = text.lstrip()
        else:  # the indentation of a line of code is part of it
            piece, text = f"{piece}\n{FENCE}", f"{opening}\n{text.removeprefix(chr(10))}"
        pieces.append(piece)
    return [piece for piece in (*pieces, text) if piece.strip()]


def fits(text: str) -> bool:
    """Whether it is one message."""
    return _fitting(text, LONGEST) == len(text)


def _fitting(text: str, limit: int) -> int:
    """How many characters of a text take at most `limit` UTF-16 units."""
    end = min(len(text), limit)
    while (excess := end + sum(char > "\uffff" for char in text[:end]) - limit) > 0:
        end -= (excess + 1) // 2
    return end


def _cut(text: str, fits: int) -> int:
    """Length of the first piece, of which at most `fits` characters have room."""
    for marks in PAUSES:
        at, mark = max((text.rfind(mark, fits // 2, fits), mark) for mark in marks)
        if at > 0:
            return at + len(mark.rstrip())
    for cut in range(fits, max(fits - LONGEST_CLUSTER, fits // 2), -1):
        if not _belong_together(text, cut):
            return cut
    return fits


def _belong_together(text: str, at: int) -> bool:
    """Whether the characters before and after a place are one for the reader, or one mark."""
    before, after = text[at - 1], text[at]
    if _is_flag_letter(before) and _is_flag_letter(after):
        start = at
        while start and _is_flag_letter(text[start - 1]):
            start -= 1
        return (at - start) % 2 == 1
    return (
        "\u200d" in (before, after)
        or unicodedata.category(after).startswith("M")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
        or before == after == "`"
    )


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _open_fence(piece: str) -> str | None:
    """The line that opened a block of code which is still open at the end, or None."""
    parts = piece.split(FENCE)
    if len(parts) % 2 == 1:
        return None
    language = _LANGUAGE.match(parts[-1])
    return FENCE + (language.group() if language else "")
