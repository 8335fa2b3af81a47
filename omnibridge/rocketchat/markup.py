"""Rocket.Chat's markdown, which our neutral text is written in: to plain text for a side that shows none, and from
plain text whose author means each character as it is. Pure.

Source: Rocket.Chat's message parser and the widget's, which is markdown-it with `*` as bold. A backslash in front of a
mark is what both were made to read; the brackets of a link only the widget's reads so, hence a character of no width.
"""

from __future__ import annotations

import re

NO_WIDTH = "\u200b"
"""Between two characters that would be a mark together."""

_AS_IT_IS = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])|```[A-Za-z0-9_+#.\-]*\n(?P<fenced>.*?)\n?```|`(?P<code>[^`\n]+)`", re.DOTALL
)
"""From the left: what is escaped opens nothing, and nothing is escaped in code."""

_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\(((?:https?://|mailto:|tel:)[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)\)")
_NAMED = re.compile(r"<((?:https?://|mailto:)[^\s|<>]+)\|([^<>\n]+)>")
_HEADING = re.compile(r"^#{1,6}[ \t]+(?=\S)", re.MULTILINE)


def _span(mark: str) -> re.Pattern[str]:
    """Words between two marks, without another such mark: so that a long text is gone through once."""
    char = re.escape(mark[0])
    opens, closes = rf"(?<![\w{char}]){re.escape(mark)}(?=[^\s{char}])", rf"{re.escape(mark)}(?![\w{char}])"
    return re.compile(rf"{opens}([^\n{char}]*[^\s\\{char}]){closes}")


_SPANS = tuple(map(_span, ("**", "__", "~~", "*", "_", "~")))
_ADDRESS = re.compile(r"(?:https?://|mailto:)\S+")
_MARK = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)|(?m:^(?=#{1,6}[ \t]))")
_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~\n])")
"""One that would escape what follows it."""

_HELD = "\ue000{}\ue001"
_PLACE = re.compile("\ue000(\\d+)\ue001")


def to_plain(markdown: str) -> str:
    """Words, code and addresses without their marks; a link is `label (address)`.

    Nothing of what can be read goes: only the marks, and an address that its label repeats.
    """
    if not _may_have_marks(markdown):
        return markdown
    kept: list[str] = []

    def keep(words: str) -> str:
        kept.append(words)
        return _HELD.format(len(kept) - 1)

    text = markdown.replace("\ue000", "").replace("\ue001", "")
    text = _AS_IT_IS.sub(lambda found: keep(found[str(found.lastgroup)]), text)
    text = _LINK.sub(lambda found: _spans(found[1]) + keep(_address(found[1], found[2])), text)
    text = _NAMED.sub(lambda found: found[2] + keep(_address(found[2], found[1])), text)
    text = _ADDRESS.sub(lambda found: keep(found[0]), text)
    text = _spans(_HEADING.sub("", text))
    while _PLACE.search(text):
        text = _PLACE.sub(lambda found: kept[int(found[1])], text)
    return text.replace(NO_WIDTH, "")


def escape(plain: str) -> str:
    """Plain text so that Rocket.Chat shows each character of it. Addresses stay links."""
    if not _may_have_marks(plain):
        return plain
    pieces, last = [], 0
    for found in _ADDRESS.finditer(plain):
        pieces += [_escaped(plain[last : found.start()]), found[0]]
        last = found.end()
    return "".join([*pieces, _escaped(plain[last:])])


def _escaped(words: str) -> str:
    words = _BACKSLASH.sub(r"\\\\", words)
    words = _MARK.sub(lambda found: f"\\{found[0]}", words)
    words = words.replace("](", f"]{NO_WIDTH}(")
    return re.sub(r"<(?=[A-Za-z/!])", f"<{NO_WIDTH}", words)


def _may_have_marks(text: str) -> bool:
    return any(mark in text for mark in "*_~`[<#\\\u200b\ue000\ue001")


def _spans(text: str) -> str:
    for pattern in _SPANS:
        text = pattern.sub(r"\1", text)
    return text


def _address(label: str, url: str) -> str:
    shown = url.removeprefix("mailto:").removeprefix("tel:")
    if not label:
        return shown
    return "" if label in (url, shown) else f" ({shown})"
