"""What a bot sends -> neutral content: text of any parse mode, keyboards as choices. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from omnibridge.botapi.errors import bad
from omnibridge.botapi.shapes import buttons
from omnibridge.connector import Choices, Option, Text

LONGEST_TEXT = 4096
LONGEST_DATA_BYTES = 64
MOST_BUTTONS = 100
_ESCAPED = re.compile(r"\\([_*\[\]()~`>#+\-=|{}.!\\])")

Count = Callable[[str, int], None]
"""`count("name", 1)`: what got lost."""


def plain_text(text: str, parse_mode: str) -> str:
    """HTML loses its tags and keeps its links' addresses. Of Markdown only the escapes go: the hub reads *bold*,
    _italic_ and [links](…) itself. Raises MethodError 400."""
    if not text.strip():
        raise bad("message text is empty")
    if len(text) > LONGEST_TEXT:
        raise bad("message is too long")
    mode = parse_mode.strip().casefold()
    if mode == "html":
        reader = _Html()
        reader.feed(text)
        reader.close()
        found = "".join(reader.parts)
        if not found.strip():
            raise bad("message text is empty")
        return found
    if mode == "markdownv2":
        return _ESCAPED.sub(r"\1", text)
    if mode not in ("", "markdown"):
        raise bad("unsupported parse_mode")
    return text


def to_content(text: str, markup: Any, count: Count) -> Text | Choices:
    """Text, or Choices when there are buttons that can be chosen. Raises MethodError 400."""
    if markup is None:
        return Text(text)
    if not isinstance(markup, dict):
        raise bad("object expected as reply markup")
    options: list[Option] = []
    if rows := markup.get("inline_keyboard"):
        options = [found for each in _of(rows) if (found := _inline(each, count))]
    elif rows := markup.get("keyboard"):
        options = [Option(_label(each), _label(each)) for each in _of(rows)]
    return Choices(text, tuple(options)) if options else Text(text)


def _of(rows: Any) -> list[dict[str, Any]]:
    if not isinstance(rows, list):
        raise bad("can't parse reply markup: rows of buttons are expected")
    found = buttons(rows)
    if len(found) > MOST_BUTTONS:
        raise bad("reply markup is too long")
    return found


def _label(button: dict[str, Any]) -> str:
    label = button.get("text")
    if not isinstance(label, str) or not label.strip():
        raise bad("BUTTON_TEXT_INVALID: text buttons must have a text")
    return label


def _inline(button: dict[str, Any], count: Count) -> Option | None:
    label, data, url = _label(button), button.get("callback_data"), button.get("url")
    if isinstance(data, str) and data:
        if len(data.encode()) > LONGEST_DATA_BYTES:
            raise bad("BUTTON_DATA_INVALID")
        return Option(label, data)
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return Option(label, url=url)
    count("button_not_shown", 1)  # web apps, payment, inline queries: nothing of that is here
    return None


class _Html(HTMLParser):
    """Text without tags; `<a href>` as `text (address)`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.parts)))
        elif tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links:
            url, start = self._links.pop()
            if url and url != "".join(self.parts[start:]):
                self.parts.append(f" ({url})")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
