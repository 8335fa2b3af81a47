"""Neutral content -> messages that the livechat widget shows.

Source: rocketchat-api 5.5 and 10.1. The widget draws text and image / file attachments; attachment texts,
fields and action buttons are invisible to the visitor, and clicks on blocks reach nobody without an
installed app. So: everything to be read is in `msg`, choices are numbered text, links are links.
"""

from __future__ import annotations

import itertools
from typing import Any

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
    Image,
    Link,
    Option,
    Select,
    Text,
    chosen_from,
)
from omnibridge.domain.files import FileSource
from omnibridge.rocketchat.split import split_text

TITLE = 200
"""Longest title of an attachment, characters."""


class OutgoingMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the hub. file: uploaded instead, if it can be; the rest is what is shown if it cannot."""

    text: str
    attachments: tuple[dict[str, Any], ...] = ()
    speaker: Speaker | None = None
    file: FileSource | None = None


def render(content: Content) -> list[OutgoingMessage]:
    """The messages that show a content, in order; none for what nobody can see."""
    match content:
        case Text(text=text):
            return _texts(text)
        case Choices(text=text, options=options) | Select(text=text, options=options):
            return _texts("\n".join(part for part in (text, numbered(options)) if part))
        case DatePick(text=text):
            return _texts(f"{text} (YYYY-MM-DD)" if text else "YYYY-MM-DD")
        case Form(text=text, fields=fields):
            return _texts("\n".join(part for part in (text, *(f"- {each.label}" for each in fields)) if part))
        case Image(url=url, title=title):
            picture = _picture(title or "Image", url)
            if picture and len(title) <= TITLE:
                return [OutgoingMessage(title, picture[0].attachments)]
            return [*_texts(title), *picture]
        case File(url=url, title=title) | Link(url=url, title=title):
            return _texts(_link(title or url, url))
        case Card():
            return _card(content)
        case Carousel(cards=cards):
            firsts = itertools.accumulate((len(chosen_from(card)) for card in cards), initial=1)
            return [message for card, first in zip(cards, firsts, strict=False) for message in _card(card, first)]
        case Custom():
            return []


def numbered(options: tuple[Option, ...], first: int = 1) -> str:
    """`1. Label` lines; an option with an address is a link, and has no number: it is opened, not chosen."""
    numbers = itertools.count(first)
    lines = (
        _link(each.label, each.url) if each.url is not None else f"{next(numbers)}. {each.label}" for each in options
    )
    return "\n".join(lines)


def _texts(text: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(piece) for piece in split_text(text)]


def _picture(title: str, url: str) -> list[OutgoingMessage]:
    """A message that is one picture; none for an address that the hub would refuse, message and all (5.5)."""
    if not _is_web(url):
        return []
    return [OutgoingMessage("", ({"title": title[:TITLE], "image_url": url},))]


def _card(card: Card, first: int = 1) -> list[OutgoingMessage]:
    lines = [f"*{card.title}*" if card.title else "", card.body, numbered(card.options, first)]
    picture = _picture(card.title or "Image", card.image_url) if card.image_url else []
    return [*picture, *_texts("\n".join(line for line in lines if line))]


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _link(label: str, url: str) -> str:
    """Markdown link; of an address that is no http(s) only the label is shown."""
    if not _is_web(url):
        return label
    return url if label == url else f"[{label.replace(']', '')}]({url.replace(')', '%29')})"
