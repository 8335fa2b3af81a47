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
ACTIONS = (
    "callback_data", "url", "login_url", "web_app", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "callback_game", "pay", "copy_text",
)  # fmt: skip
"""What a button of an inline keyboard may do: without any it is an error of the bot's, and Telegram says so."""

_ESCAPED = re.compile(r"\\([\[\]()>+\-=|{}.!\\])")
"""Marks of MarkdownV2 that are none here: the others stay escaped, `*` and `_` among them."""

_ITSELF = re.compile(r"\\(\])(?=\\?\()")
_UNDERLINED = re.compile(r"(?<![\\_])__(?!_)([^\n]+?)(?<![\\_])__(?!_)")
_SPOILER = re.compile(r"(?<!\\)\|\|([^\n]+?)(?<!\\)\|\|")
NO_WIDTH = "\u200b"
_LITERAL = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)|(?m:^(?=#{1,6}[ \t]))")
_MARKS = {"b": "*", "strong": "*", "i": "_", "em": "_", "s": "~", "strike": "~", "del": "~"}

Count = Callable[[str, int], None]
"""`count("name", 1)`: what got lost."""


def plain_text(text: str, parse_mode: str) -> str:
    """A bot's text as our neutral markdown. Of HTML, bold, italic, struck, code and links are kept. Of MarkdownV2 the
    escapes of what is no mark here go: `*bold*`, `_italic_` and `[links](…)` mean the same. Raises MethodError 400."""
    if not text.strip():
        raise bad("message text is empty")
    if len(text) > LONGEST_TEXT:
        raise bad("message is too long")
    mode = parse_mode.strip().casefold()
    if mode == "html":
        reader = _Html()
        reader.feed(text)
        reader.close()
        found = reader.text()
        if not found.strip():
            raise bad("message text is empty")
        return found
    if mode == "markdownv2":
        return _ESCAPED.sub(r"\1", _ITSELF.sub(rf"\1{NO_WIDTH}", _spoken(text)))
    if mode not in ("", "markdown"):
        raise bad("unsupported parse_mode")
    return text


def _spoken(text: str) -> str:
    """Without the marks of what is not here: underlined words, spoilers."""
    return _SPOILER.sub(r"\1", _UNDERLINED.sub(r"\1", text))


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
    if not any(each in button for each in ACTIONS):
        raise bad("Text buttons are unallowed in the inline keyboard")
    count("button_not_shown", 1)  # web apps, payment, inline queries: nothing of that is here
    return None


class _Html(HTMLParser):
    """HTML -> markdown. What is written is what is read: marks in it are escaped, but in code."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = [""]
        self._open: list[tuple[str, str]] = []
        self._n_code = 0

    def text(self) -> str:
        """Of what was never closed too."""
        while self._open:
            self._close()
        return self._parts[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self._parts[-1] += "\n"
            return
        self._n_code += tag in ("code", "pre")
        self._open.append((tag, dict(attrs).get("href") or ""))
        self._parts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in [each for each, _ in self._open]:
            while self._close() != tag:
                pass  # what was opened inside of it and not closed ends with it

    def handle_data(self, data: str) -> None:
        if self._n_code:
            self._parts[-1] += data
            return
        words = _LITERAL.sub(lambda found: f"\\{found[0]}", data).replace("](", f"]{NO_WIDTH}(")
        self._parts[-1] += re.sub(r"<(?=[A-Za-z/!])", f"<{NO_WIDTH}", words)

    def _close(self) -> str:
        tag, url = self._open.pop()
        inner = self._parts.pop()
        self._n_code -= tag in ("code", "pre")
        self._parts[-1] += self._marked(tag, url, inner)
        return tag

    def _marked(self, tag: str, url: str, inner: str) -> str:
        words = inner.strip()
        if not words:
            return inner
        before, after = inner[: inner.index(words)], inner[inner.index(words) + len(words) :]
        if tag == "a" and url.startswith(("http://", "https://")):
            label = words.replace("[", "(").replace("]", ")")
            linked = url if words == url else f"[{label}]({url.replace(')', '%29')})"
            return f"{before}{linked}{after}"
        if tag == "a" and url and url != words:  # an address that no browser is given
            return f"{inner} ({url})"
        if tag == "pre" or (tag == "code" and self._n_code == 0 and "\n" in words):
            return f"```\n{words}\n```" if self._n_code == 0 else inner
        if tag == "code" and self._n_code == 0:
            return f"{before}`{words.replace('`', chr(39))}`{after}"
        mark = _MARKS.get(tag, "")
        if not mark or "\n" in words or self._n_code:
            return inner
        return f"{before}{mark}{words}{mark}{after}"
