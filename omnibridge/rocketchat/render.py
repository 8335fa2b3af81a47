"""Neutral content -> messages of the hub, as the visitor's side can show them, and what of it got lost.

Source: rocketchat-api 5.5 and 10.1. The widget draws text and image / file attachments; attachment texts,
fields and action buttons are invisible to the visitor, and presses of blocks reach nobody without an installed app.
So: everything to be read is in `msg`. Without the app choices are numbered text; with it `msg` is the question, with
elements below it, because the widget draws both. What is typed, number or label, is understood on every side.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, NamedTuple

import msgspec

from omnibridge.domain.commands import Speaker
from omnibridge.domain.content import (
    Card,
    Carousel,
    Choices,
    Content,
    Custom,
    DatePick,
    File,
    Form,
    FormField,
    Image,
    Link,
    Option,
    Select,
    Text,
    chosen_from,
)
from omnibridge.domain.files import FileSource
from omnibridge.rocketchat import uikit
from omnibridge.rocketchat.capabilities import WIDGET, Capabilities
from omnibridge.rocketchat.markup import escape, to_plain
from omnibridge.rocketchat.split import split_text

TITLE = 200
"""Longest title of an attachment, characters."""

DAY = "YYYY-MM-DD"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
LOSSES = {
    "choices": "options are a numbered list, not buttons",
    "style": "the look of a button",
    "select": "a list to open is a numbered list",
    "menu": "a menu is a numbered list",
    "date": "a day is asked for in words",
    "form": "the fields of a form are a list of questions, answered in words",
    "placeholder": "words inside an empty field",
    "initial": "what was picked or filled in at first",
    "card": "a card is words, its picture a message of its own",
    "carousel": "cards are one below the other",
    "picture": "a picture is a link",
    "picture-address": "a picture without an address that a browser may open",
    "link-address": "a link without an address that a browser may open",
    "formatting": "bold, italic, headings and the like",
    "custom": "something that only the two ends understand",
}
"""Every kind of loss of a rendering, in words; others are told by connectors."""


class OutgoingMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the hub. lost: kinds of what could not be shown, or not as it was meant. intent: the bot's own
    word for what it answers. file: uploaded instead, if it can be; the rest is what is shown if it cannot."""

    text: str
    attachments: tuple[dict[str, Any], ...] = ()
    speaker: Speaker | None = None
    blocks: tuple[dict[str, Any], ...] = ()
    tmid: str = ""
    lost: tuple[str, ...] = ()
    intent: str = ""
    file: FileSource | None = None


class Rendered(NamedTuple):
    """messages: in order; none for what nobody can see. losses: each kind once."""

    messages: list[OutgoingMessage]
    losses: tuple[str, ...] = ()


def render(content: Content, capabilities: Capabilities = WIDGET) -> Rendered:
    """The messages that show a content on a side."""
    if type(content) is Text and capabilities is WIDGET:
        return Rendered(_texts(content.text))
    return _Rendering(capabilities).of(content)


class _Rendering:
    """One content on its way to a side."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._can, self._lost = capabilities, dict[str, None]()
        self._is_plain = capabilities.side == "plain"

    def of(self, content: Content) -> Rendered:
        messages = self._messages(content)
        return Rendered(messages, tuple(self._lost))

    def _messages(self, content: Content) -> list[OutgoingMessage]:
        match content:
            case Text(text=text):
                return _texts(self._words(text))
            case Choices():
                return self._chosen(content, "choices")
            case Select():
                return self._chosen(content, "menu" if content.is_menu else "select")
            case DatePick():
                return self._day(content)
            case Form():
                return self._form(content)
            case Image(url=url, title=title):
                return self._image(url, title)
            case File(url=url, title=title) | Link(url=url, title=title):
                return _texts(self._link(title or url, url))
            case Card():
                return self._card(content)
            case Carousel(cards=cards):
                self._lose("carousel", len(cards) > 1)
                firsts = itertools.accumulate((len(chosen_from(card)) for card in cards), initial=1)
                pairs = zip(cards, firsts, strict=False)
                return [message for card, first in pairs for message in self._card(card, first, of_several=True)]
            case Custom():
                self._lose("custom")
                return []

    def _chosen(self, content: Choices | Select, kind: str) -> list[OutgoingMessage]:
        shown, words = self._as_elements(content.options)
        if not shown:
            self._lose(kind, bool(chosen_from(content)))
            self._lose_looks(content)
            return _texts(_lines(self._words(content.text), self._numbered(content.options)))
        if isinstance(content, Select):
            self._lose_looks(content, is_shown=True)
        question = _lines(self._words(content.text), words)
        # Blocks alone would leave nothing to read where they are not drawn: in mails, notices, transcripts.
        return self._with_blocks(
            msgspec.structs.replace(content, options=shown), question, self._numbered(content.options)
        )

    def _lose_looks(self, content: Choices | Select, *, is_shown: bool = False) -> None:
        """Of what is text now; or, is_shown, of a list, whose entries have no looks of their own."""
        is_button = isinstance(content, Select) and is_shown and not content.is_menu
        self._lose("style", any(each.style for each in content.options if not (is_button and each.url)))
        if isinstance(content, Select) and (content.is_menu or not is_shown):
            self._lose("placeholder", bool(content.placeholder))
            self._lose("initial", bool(content.initial))
        elif isinstance(content, Select):
            values = [uikit.value_of(each) for each in content.options if not each.url]
            self._lose("initial", bool(content.initial) and content.initial not in values)

    def _as_elements(self, options: tuple[Option, ...]) -> tuple[tuple[Option, ...], str]:
        """Those that can be elements, and words for the ones whose address nobody may open; () = all are text."""
        if not self._can.app_id or not uikit.can_show(options):
            return (), ""
        shown = tuple(each for each in options if each.url is None or is_web(each.url))
        dead = [each.label for each in options if each.url is not None and not is_web(each.url)]
        if not shown:
            return (), ""
        self._lose("link-address", bool(dead))
        return shown, "\n".join(map(self._words, dead))

    def _with_blocks(
        self, content: Choices | Select | DatePick | Card, words: str, instead: str, *, keeps: bool = False
    ) -> list[OutgoingMessage]:
        """The last message of the words carries the blocks. instead: to be read where there are no words."""
        shown = _lines(words, instead) if self._can.is_guess or not words.strip() else words
        texts = split_text(shown) or [""]
        blocks = uikit.blocks_of(content, self._can.app_id, texts[-1] if words.strip() else "", keeps=keeps)
        return [*map(OutgoingMessage, texts[:-1]), OutgoingMessage(texts[-1], blocks=blocks)]

    def _day(self, content: DatePick) -> list[OutgoingMessage]:
        text = self._words(content.text)
        if self._can.app_id:
            is_day = _DAY.fullmatch(content.initial) is not None
            self._lose("initial", bool(content.initial) and not is_day)
            shown = content if is_day else msgspec.structs.replace(content, initial="")
            return self._with_blocks(shown, text, DAY)
        self._lose("date")
        self._lose("initial", bool(content.initial))
        self._lose("placeholder", bool(content.placeholder))
        return _texts(f"{text} ({DAY})" if text else DAY)

    def _form(self, content: Form) -> list[OutgoingMessage]:
        """Nothing of a form reaches anybody from a message: its inputs tell nothing until a view is submitted."""
        self._lose("form")
        self._lose("initial", any(each.initial for each in content.fields))
        return _texts(_lines(self._words(content.text), *map(self._question, content.fields)))

    def _question(self, field: FormField) -> str:
        notes = [f"({DAY})"] if field.type == "date" else []
        notes += [] if field.required else ["(optional)"]
        options = ": " + ", ".join(self._option(each) for each in field.options) if field.options else ""
        return " ".join([f"- {self._words(field.label or field.name)}", *notes]) + options

    def _option(self, option: Option) -> str:
        return self._words(option.label) if option.url is None else self._link(option.label, option.url)

    def _image(self, url: str, title: str) -> list[OutgoingMessage]:
        picture = self._picture(title or "Image", url)
        if picture and len(title) <= TITLE and not self._is_plain:
            return [OutgoingMessage(title and self._words(title), picture[0].attachments)]
        return [*(_texts(self._words(title)) if not (picture and self._is_plain) else []), *picture]

    def _picture(self, title: str, url: str) -> list[OutgoingMessage]:
        """A message that is one picture; none for an address that the hub would refuse, message and all (5.5)."""
        if not is_web(url):
            self._lose("picture-address")
            return []
        if self._is_plain:
            self._lose("picture")
            return _texts(self._link(title, url))
        return [OutgoingMessage("", ({"title": title[:TITLE], "image_url": url},))]

    def _card(self, card: Card, first: int = 1, *, of_several: bool = False) -> list[OutgoingMessage]:
        title, body = self._title(card.title), self._words(card.body)
        shown, words = self._as_elements(card.options)
        image = card.image_url if card.image_url and is_web(card.image_url) else None
        if shown or (self._can.app_id and image and not card.options and (title + body).strip()):
            self._lose("picture-address", bool(card.image_url) and image is None)
            pressed = msgspec.structs.replace(card, options=shown, image_url=image)
            instead = self._numbered(card.options, first)
            return self._with_blocks(pressed, _lines(title, body, words), instead, keeps=of_several)
        self._lose("card", bool(card.image_url and (title or body)))
        self._lose("choices", bool(chosen_from(card)))
        self._lose("style", any(each.style for each in card.options))
        picture = self._picture(card.title or "Image", card.image_url) if card.image_url else []
        return [*picture, *_texts(_lines(title, body, self._numbered(card.options, first)))]

    def _title(self, title: str) -> str:
        words = self._words(title)
        return words if self._is_plain or not words else f"*{words}*"

    def _numbered(self, options: tuple[Option, ...], first: int = 1) -> str:
        """`1. Label` lines; an option with an address is a link, and has no number: it is opened, not chosen."""
        numbers = itertools.count(first)
        lines = (
            self._link(each.label, each.url) if each.url is not None else f"{next(numbers)}. {self._words(each.label)}"
            for each in options
        )
        return "\n".join(lines)

    def _words(self, text: str) -> str:
        """A text of the bot as this side shows it."""
        if self._can.markup == "plain":
            return text if self._is_plain else escape(text)
        if not self._is_plain:
            return text
        found = to_plain(text)
        self._lose("formatting", found != text)
        return found

    def _link(self, label: str, url: str) -> str:
        """A link; of an address that is no http(s) only the label is shown."""
        self._lose("link-address", not is_web(url))
        if not self._is_plain:
            return link(label if label == url else self._words(label), url)
        if not is_web(url) or label == url:
            return label
        return f"{self._words(label)} ({url})"

    def _lose(self, kind: str, is_lost: bool = True) -> None:
        if is_lost:
            self._lost[kind] = None


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _texts(text: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(piece) for piece in split_text(text)]


def is_web(url: str) -> bool:
    """Whether a browser may be given it."""
    return url.startswith(("http://", "https://"))


def link(label: str, url: str) -> str:
    """Markdown link; of an address that is no http(s) only the label is shown."""
    if not is_web(url):
        return label
    shown = label.replace("[", "(").replace("]", ")")
    return url if label == url else f"[{shown}]({url.replace(')', '%29')})"
